/* DownloadUploadErrors: row, column, reason and content of what was refused. The content is the row
 * as it came, written as CSV in one cell. */
#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "uploads/rows.h"

#include "service/csv_text.h"
#include "service/export.h"

#include <stdio.h>

struct error_export {
    struct rpc_call *call;
    const Dialplane__V1__DownloadUploadErrorsRequest *request;
    int64_t error_count, errors_kept;
    int64_t row; /* where the last batch ended; 0: at the beginning */
};

static void on_upload(void *context, const struct pg_outcome *outcome);
static void put_params(void *context, struct pg_params *params);
static bool put_rows(void *context, const struct pg_result *rows, struct buf *out, bool *ret_last,
                     struct err *err);

/* Row, column; reason and content may hold numbers. */
static const enum export_personal personal[] = {EXPORT_NOT_PERSONAL, EXPORT_NOT_PERSONAL,
                                                EXPORT_TEXT, EXPORT_TEXT};
static const struct export_columns columns = {personal, 4};

static const struct export_source source = {put_params, put_rows, &sql_list_upload_errors};

void download_upload_errors(struct rpc_call *call, const void *request)
{
    struct campaign_service *service = rpc_call_context(call);
    struct error_export *export = ARENA_NEW(rpc_call_arena(call), struct error_export);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!export) {
        fail_memory(call);
        return;
    }
    export->call = call;
    export->request = request;
    param_scope(&params, call);
    pg_param_text(&params, export->request->campaign_id);
    pg_param_text(&params, export->request->id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_upload, &params, on_upload, export);
}

static void put_line(struct buf *out, const char *const cells[4])
{
    bool is_first = true;

    for (int i = 0; i < 4; i++)
        csv_put_cell(out, str_from(cells[i]), &is_first);
    csv_put_line_end(out);
}

static void on_upload(void *context, const struct pg_outcome *outcome)
{
    static const char *const names[4] = {"row", "column", "reason", "content"};
    struct error_export *export = context;
    struct rpc_call *call = export->call;
    struct campaign_service *service = rpc_call_context(call);
    struct buf head;

    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(outcome->result) == 0) {
        fail_not_found(call, "upload", export->request->id);
        return;
    }
    export->error_count = pg_int64(outcome->result, 0, UPLOAD_ERROR_COUNT);
    export->errors_kept = pg_int64(outcome->result, 0, UPLOAD_ERRORS_KEPT);
    buf_init(&head, 0);
    if (export->request->bom)
        buf_put_cstr(&head, CSV_BYTE_ORDER_MARK);
    put_line(&head, names);
    if (head.failed)
        fail_memory(call);
    else
        export_start(call, service->pool, buf_str(&head), &source, export);
    buf_done(&head);
}

static void put_params(void *context, struct pg_params *params)
{
    const struct error_export *export = context;

    pg_param_text(params, export->request->id);
    pg_param_int64(params, export->row);
}

/* What is missing is said in the file itself, where nobody can overlook it. */
static void put_rest(const struct error_export *export, struct buf *out)
{
    int64_t missing = export->error_count - export->errors_kept;
    char reason[120];

    if (missing <= 0)
        return;
    snprintf(reason, sizeof(reason), "and %lld more rejected rows that were not kept",
             (long long)missing);
    put_line(out, (const char *const[4]){"", "", reason, ""});
}

static bool put_rows(void *context, const struct pg_result *rows, struct buf *out, bool *ret_last,
                     struct err *err)
{
    enum { COLUMN_ROW_NUMBER, COLUMN_CELLS };
    struct error_export *export = context;
    int count = pg_rows(rows);

    (void)err;
    *ret_last = count == 0;
    for (int i = 0; i < count; i++)
        export_put_line(out, export->call, &columns, rows, i, COLUMN_CELLS);
    if (count)
        export->row = pg_int64(rows, count - 1, COLUMN_ROW_NUMBER);
    else
        put_rest(export, out);
    return true;
}
