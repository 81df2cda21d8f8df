/* DownloadUploadErrors: row, column, reason and content of what was refused. The content is the row
 * as it came, written as CSV in one cell. */
#include "campaign.h"
#include "campaign_sql.h"
#include "contact_vault.h"
#include "handlers/handlers.h"
#include "uploads/rows.h"

#include "service/csv_text.h"
#include "service/export.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct error_export {
    struct rpc_call *call;
    const Dialplane__V1__DownloadUploadErrorsRequest *request;
    int64_t error_count, errors_kept;
};

enum { COLUMN_ROW_NUMBER, COLUMN_CELLS, COLUMN_STORED };

static void on_upload(void *context, const struct pg_outcome *outcome);
static void put_params(void *context, struct pg_params *params, const struct page_start *start);
static bool put_row(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err);
static void put_end(void *context, struct buf *out);

/* Row, column; reason and content may hold numbers. */
static const enum export_personal personal[] = {EXPORT_NOT_PERSONAL, EXPORT_NOT_PERSONAL,
                                                EXPORT_TEXT, EXPORT_TEXT};
static const struct export_columns columns = {personal, 4};

static const struct export_source source = {
    .statement = &sql_list_upload_errors,
    .order = PAGE_BY_NUMBER,
    .key_columns = {COLUMN_ROW_NUMBER},
    .put_params = put_params,
    .put_row = put_row,
    .put_end = put_end,
};

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
    export_put_names(&head, export->request->bom, names, columns.count);
    csv_put_line_end(&head);
    export_start(call, service->pool, &head, &source, export);
}

static void put_params(void *context, struct pg_params *params, const struct page_start *start)
{
    const struct error_export *export = context;

    pg_param_text(params, export->request->id);
    pg_param_int64(params, start->after.number); /* 0: from the beginning */
}

/* What is missing is said in the file itself, where nobody can overlook it. */
static void put_end(void *context, struct buf *out)
{
    const struct error_export *export = context;
    int64_t missing = export->error_count - export->errors_kept;
    char reason[120];

    if (missing <= 0)
        return;
    snprintf(reason, sizeof(reason), "and %lld more rejected rows that were not kept",
             (long long)missing);
    csv_put_cells(out, (const char *const[]){"", "", reason, ""}, columns.count);
    csv_put_line_end(out);
}

/* The cells of a JSON array as one line of CSV, as sql/list_upload_errors.sql writes them. */
static bool put_content(struct str json, struct buf *out)
{
    json_t *cells = json_loadb(json.data, json.length, JSON_ALLOW_NUL, NULL), *value;
    bool ok = json_is_array(cells);
    size_t i;

    json_array_foreach(cells, i, value)
    {
        struct str cell = {json_string_value(value), json_string_length(value)};
        bool quotes = false;

        for (size_t k = 0; k < cell.length && !quotes; k++)
            quotes = cell.data[k] && strchr("\",;\t\r\n", cell.data[k]);
        if (i)
            buf_put_char(out, ',');
        if (quotes)
            buf_put_char(out, '"');
        for (size_t k = 0; k < cell.length; k++) {
            if (cell.data[k] == '"')
                buf_put_char(out, '"');
            buf_put_char(out, cell.data[k]);
        }
        if (quotes)
            buf_put_char(out, '"');
    }
    json_decref(cells);
    return ok;
}

/* A row whose content is encrypted. */
static bool put_sealed_row(const struct error_export *export, int64_t row, struct pg_array cells,
                           struct str stored, struct buf *out, struct err *err)
{
    const struct campaign_service *service = rpc_call_context(export->call);
    struct vault_place place;
    struct uuid upload;
    struct buf plain, content;
    struct str cell;
    bool is_first = true;

    buf_init(&plain, 0);
    buf_init(&content, 0);
    uuid_parse(str_from(export->request->id), &upload);
    upload_content_place(&place, &upload, row);
    bool ok = vault_open_text(service->vault, &place, stored, &plain, err) &&
              (put_content(buf_str(&plain), &content) ||
               err_set(err, ERR_INTERNAL, "DATA_DAMAGED", "a rejected row cannot be read"));

    for (size_t i = 0; ok && i < columns.count && pg_array_next(&cells, &cell); i++)
        export_put_cell(out, export->call, personal[i],
                        i == columns.count - 1 ? buf_str(&content) : cell, &is_first);
    csv_put_line_end(out);
    buf_done(&content);
    buf_done(&plain);
    return ok;
}

static bool put_row(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err)
{
    const struct error_export *export = context;

    if (!pg_is_null(rows, row, COLUMN_STORED))
        return put_sealed_row(export, pg_int64(rows, row, COLUMN_ROW_NUMBER),
                              pg_text_array(rows, row, COLUMN_CELLS),
                              pg_str(rows, row, COLUMN_STORED), out, err);
    export_put_line(out, export->call, &columns, rows, row, COLUMN_CELLS);
    return true;
}
