/* export: a server stream of file pieces (dialplane.v1.FilePiece) that is as long as it likes and
 * costs constant memory: a batch of rows is read when the one before has left. What is not read by
 * the client is not asked of the database, and between two batches nothing is held there: no
 * cursor, no snapshot. */
#ifndef DIALPLANE_SERVICE_EXPORT_H
#define DIALPLANE_SERVICE_EXPORT_H

#include "base/buf.h"
#include "pg/pg.h"
#include "rpc/rpc.h"
#include "service/paging.h"

struct export;

struct export_source {
    const struct pg_statement *statement; /* gives a batch of rows; none: that was all */
    enum page_order order;                /* of the rows, and where their key stands; no name */
    int key_columns[2];
    /* Fills the parameters of the statement for the batch that begins there. */
    void (*put_params)(void *context, struct pg_params *params, const struct page_start *start);
    /* Appends a row as text. False with err: the export fails. */
    bool (*put_row)(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err);
    void (*put_end)(void *context, struct buf *out); /* what follows the last row; may be NULL */
};

/* The names of columns, for a head that may go on with more of them. */
void export_put_names(struct buf *head, bool with_byte_order_mark, const char *const *names,
                      size_t count);
/* Begins with `head` (may be empty; one that has failed fails the call), which is sent before the
 * first batch is read, and ends it. From here on the export ends the call. `source` and `context`
 * live in the call's arena. */
void export_start(struct rpc_call *call, struct pg_pool *pool, struct buf *head,
                  const struct export_source *source, void *context);

/* What a column says of a person, as `personal` of options.proto; what is past the list is TEXT. */
enum export_personal { EXPORT_NOT_PERSONAL, EXPORT_PHONE, EXPORT_TEXT };
struct export_columns {
    const enum export_personal *personal;
    size_t count;
};

/* One cell of such a column, masked when the caller of `call` may not see phones. */
void export_put_cell(struct buf *out, const struct rpc_call *call, enum export_personal personal,
                     struct str cell, bool *is_first);
/* The text[] of a column as a line of CSV. */
void export_put_line(struct buf *out, const struct rpc_call *call,
                     const struct export_columns *columns, const struct pg_result *rows, int row,
                     int column);

#endif
