/* ExportAuditEntries and ExportAuditEntryLines: the same rows as CSV and as lines of JSON. */
#include "audit_rows.h"
#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/csv_text.h"
#include "service/export.h"

/* As the fields of AuditEntry are called; in the order of enum audit_column. */
static const char *const names[AUDIT_COLUMNS] = {
    "id",   "company_id",  "at",     "actor",  "address", "request_id",
    "kind", "resource_id", "action", "before", "after",
};

struct audit_export {
    struct rpc_call *call;
    struct audit_filter filter;
    bool is_csv, bom;
};

static void put_params(void *context, struct pg_params *params, const struct page_start *start);
static bool put_row(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err);
static void on_checked(void *context, const struct pg_outcome *outcome);

static const struct export_source source = {
    .statement = &sql_export_audit_entries,
    .order = PAGE_BY_TIME,
    .key_columns = {AUDIT_AT, AUDIT_ID},
    .put_params = put_params,
    .put_row = put_row,
};

static void start(struct rpc_call *call, const void *request_, bool is_csv)
{
    const Dialplane__V1__ExportAuditEntriesRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    struct audit_export *export = ARENA_NEW(rpc_call_arena(call), struct audit_export);

    if (!export) {
        fail_memory(call);
        return;
    }
    *export = (struct audit_export){.call = call, .is_csv = is_csv, .bom = request->bom};
    export->filter = (struct audit_filter)AUDIT_FILTER_OF(request);
    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    pg_read(service->pool, rpc_call_owner(call), &sql_check_audited_company, &params, on_checked,
            export);
}

void export_audit_entries(struct rpc_call *call, const void *request)
{
    start(call, request, true);
}

void export_audit_entry_lines(struct rpc_call *call, const void *request)
{
    start(call, request, false);
}

static void on_checked(void *context, const struct pg_outcome *outcome)
{
    struct audit_export *export = context;
    struct rpc_call *call = export->call;
    struct skillbase_service *service = rpc_call_context(call);
    struct buf head;

    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (!pg_bool(outcome->result, 0, 0)) {
        fail_not_found(call, "company", export->filter.company_id);
        return;
    }
    buf_init(&head, 0);
    if (export->is_csv) {
        export_put_names(&head, export->bom, names, AUDIT_COLUMNS);
        csv_put_line_end(&head);
    }
    export_start(call, service->pool, &head, &source, export);
}

static void put_params(void *context, struct pg_params *params, const struct page_start *start)
{
    const struct audit_export *export = context;

    param_audit_filter(params, export->call, &export->filter);
    param_page(params, PAGE_BY_TIME, start);
}

/* One column as text, NUL-terminated where it is no str of the result's; data NULL for SQL NULL. */
static struct str text_of(const struct pg_result *rows, int row, int column,
                          char room[TIME_TEXT_SIZE + UUID_TEXT_SIZE])
{
    struct uuid id;

    if (pg_is_null(rows, row, column))
        return (struct str){NULL, 0};
    switch (column) {
    case AUDIT_ID:
    case AUDIT_COMPANY_ID:
    case AUDIT_RESOURCE_ID:
        id = pg_uuid(rows, row, column);
        uuid_format(&id, room);
        return str_from(room);
    case AUDIT_AT:
        time_format_rfc3339(pg_time_us(rows, row, column), room);
        return str_from(room);
    default:
        return pg_str(rows, row, column);
    }
}

static void put_csv(struct buf *out, const struct pg_result *rows, int row)
{
    char room[TIME_TEXT_SIZE + UUID_TEXT_SIZE];
    bool is_first = true;

    for (int column = 0; column < AUDIT_COLUMNS; column++)
        csv_put_cell(out, text_of(rows, row, column, room), &is_first);
    csv_put_line_end(out);
}

static void put_json(struct buf *out, const struct pg_result *rows, int row)
{
    char room[TIME_TEXT_SIZE + UUID_TEXT_SIZE];

    for (int column = 0; column < AUDIT_COLUMNS; column++) {
        struct str text = text_of(rows, row, column, room);

        buf_printf(out, "%s\"%s\":", column ? "," : "{", names[column]);
        if (pg_is_null(rows, row, column))
            buf_put_cstr(out, "null");
        else if (column == AUDIT_BEFORE || column == AUDIT_AFTER)
            buf_put_str(out, text); /* JSON, in one line as PostgreSQL prints it */
        else
            buf_put_json_string(out, text);
    }
    buf_put_cstr(out, "}\n");
}

static bool put_row(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err)
{
    const struct audit_export *export = context;

    (void)err;
    (export->is_csv ? put_csv : put_json)(out, rows, row);
    return true;
}
