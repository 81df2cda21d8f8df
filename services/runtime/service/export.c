#include "service/export.h"

#include "service/csv_text.h"
#include "service/handler.h"

#include "base/mask.h"
#include "base/wire.h"

#include <stdlib.h>

#define FIELD_DATA 1
#define PIECE_BYTES ((size_t)64 * 1024)
/* One batch as text; the statements end a batch at about 1 MB. */
#define BATCH_BYTES_LIMIT ((size_t)64 * 1024 * 1024)
#define PARAMS_ARENA_BYTES ((size_t)1024 * 1024)

struct export
{
    struct rpc_call *call;
    struct pg_pool *pool;
    const struct export_source *source;
    void *context;
    struct page_start start; /* of the next batch */
    struct arena *arena;     /* of the statement under way; NULL: none is */
    struct buf text, piece;
    size_t sent;
    bool is_last; /* what is in `text` is the rest */
    bool is_gone;
};

static void export_free(struct export *export)
{
    arena_free(export->arena);
    buf_done(&export->text);
    buf_done(&export->piece);
    free(export);
}

static void fail(struct export *export, const struct err *err)
{
    rpc_fail(export->call, err);
    export_free(export);
}

static void fail_gone(struct export *export)
{
    struct err err = {0};

    err_set(&err, ERR_CANCELLED, NULL, "the client went away");
    fail(export, &err);
}

static void on_rows(void *context, const struct pg_outcome *outcome);

static void fetch(struct export *export)
{
    struct pg_params params = {.arena = arena_new(PARAMS_ARENA_BYTES)};
    struct err err = {0};

    export->arena = params.arena;
    if (!params.arena) {
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        fail(export, &err);
        return;
    }
    export->source->put_params(export->context, &params, &export->start);
    pg_read(export->pool, rpc_call_owner(export->call), export->source->statement, &params, on_rows,
            export);
}

/* One message is under way at a time; the rest waits here. */
static void pump(struct export *export)
{
    size_t left = export->text.length - export->sent;
    size_t part = left < PIECE_BYTES ? left : PIECE_BYTES;

    if (!left && export->is_last) {
        rpc_stream_end(export->call);
        export_free(export);
        return;
    }
    if (!left) {
        buf_reset(&export->text);
        export->sent = 0;
        fetch(export);
        return;
    }
    buf_reset(&export->piece);
    wire_put_bytes(&export->piece, FIELD_DATA,
                   (struct str){export->text.data + export->sent, part});
    export->sent += part;
    /* Refused: the client has gone, and on_cancel comes. */
    rpc_stream_send(export->call, buf_str(&export->piece));
}

static void on_writable(void *context)
{
    pump(context);
}

static bool put_batch(struct export *export, const struct pg_result *rows, struct err *err)
{
    const struct export_source *source = export->source;
    int count = pg_rows(rows);

    for (int i = 0; i < count; i++)
        if (!source->put_row(export->context, rows, i, &export->text, err))
            return false;
    if (count)
        export->start = page_after(NULL, source->order, rows, count - 1, source->key_columns);
    else if (source->put_end)
        source->put_end(export->context, &export->text);
    export->is_last = count == 0;
    return true;
}

static void on_rows(void *context, const struct pg_outcome *outcome)
{
    struct export *export = context;
    struct err err = {0};

    arena_free(export->arena);
    export->arena = NULL;
    if (export->is_gone) {
        fail_gone(export);
        return;
    }
    if (!outcome->result) {
        fail(export, &outcome->err);
        return;
    }
    if (!put_batch(export, outcome->result, &err)) {
        fail(export, &err);
        return;
    }
    if (export->text.failed) {
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL,
                "a batch of rows does not fit the memory of one export");
        fail(export, &err);
        return;
    }
    pump(export);
}

static void on_cancel(void *context)
{
    struct export *export = context;

    if (export->arena)
        export->is_gone = true; /* the statement asks for the call until its callback */
    else
        fail_gone(export);
}

void export_put_names(struct buf *head, bool with_byte_order_mark, const char *const *names,
                      size_t count)
{
    if (with_byte_order_mark)
        buf_put_cstr(head, CSV_BYTE_ORDER_MARK);
    csv_put_cells(head, names, count);
}

void export_start(struct rpc_call *call, struct pg_pool *pool, struct buf *head,
                  const struct export_source *source, void *context)
{
    struct export *export = head->failed ? NULL : calloc(1, sizeof(*export));

    if (!export) {
        buf_done(head);
        fail_memory(call);
        return;
    }
    export->call = call;
    export->pool = pool;
    export->source = source;
    export->context = context;
    buf_init(&export->text, BATCH_BYTES_LIMIT);
    buf_init(&export->piece, 2 * PIECE_BYTES);
    buf_put_str(&export->text, buf_str(head));
    buf_done(head);
    rpc_stream_on_writable(call, on_writable, export);
    rpc_call_on_cancel(call, on_cancel, export);
    pump(export);
}

void export_put_cell(struct buf *out, const struct rpc_call *call, enum export_personal personal,
                     struct str cell, bool *is_first)
{
    struct buf masked;

    if (personal == EXPORT_NOT_PERSONAL || !rpc_call_masks_phones(call)) {
        csv_put_cell(out, cell, is_first);
        return;
    }
    buf_init(&masked, BATCH_BYTES_LIMIT);
    if (personal == EXPORT_PHONE)
        mask_phone(&masked, cell);
    else
        mask_phones_in_text(&masked, cell);
    if (masked.failed)
        out->failed = true;
    else
        csv_put_cell(out, buf_str(&masked), is_first);
    buf_done(&masked);
}

void export_put_line(struct buf *out, const struct rpc_call *call,
                     const struct export_columns *columns, const struct pg_result *rows, int row,
                     int column)
{
    struct pg_array cells = pg_text_array(rows, row, column);
    bool is_first = true;
    struct str cell;

    for (size_t i = 0; pg_array_next(&cells, &cell); i++)
        export_put_cell(out, call, i < columns->count ? columns->personal[i] : EXPORT_TEXT, cell,
                        &is_first);
    csv_put_line_end(out);
}
