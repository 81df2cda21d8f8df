/* export: a server stream of file pieces (dialplane.v1.FilePiece) that is as long as it likes and
 * costs constant memory: a batch of rows is read when the one before has left. What is not read by
 * the client is not asked of the database, and between two batches nothing is held there: no
 * cursor, no snapshot. */
#ifndef DIALPLANE_SERVICE_EXPORT_H
#define DIALPLANE_SERVICE_EXPORT_H

#include "base/buf.h"
#include "pg/pg.h"
#include "rpc/rpc.h"

struct export;

struct export_source {
    /* Fills the parameters of the statement for the next batch. */
    void (*put_params)(void *context, struct pg_params *params);
    /* Appends a batch as text. False with err: the export fails. *ret_last: there is no batch after
     * it. */
    bool (*put_rows)(void *context, const struct pg_result *rows, struct buf *out, bool *ret_last,
                     struct err *err);
    const struct pg_statement *statement;
};

/* Begins with `head` (copied; may be empty), which is sent before the first batch is read. From
 * here on the export ends the call. `source` and `context` live in the call's arena. */
void export_start(struct rpc_call *call, struct pg_pool *pool, struct str head,
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
