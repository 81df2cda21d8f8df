#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"

#include "domain/period.h"

#include "service/csv_text.h"
#include "service/export.h"

/* As sql/export_calls.sql gives them. */
static const char *const names[] = {
    "id",       "company_id",      "skillbase_id", "campaign_id", "phone_number",
    "status",   "outcome",         "duration_sec", "turn_count",  "started_at",
    "ended_at", "avg_eou_latency", "cost_total",
};

#define NAMES (sizeof(names) / sizeof(names[0]))
static const enum export_personal personal[NAMES] = {[4] = EXPORT_PHONE};
static const struct export_columns columns = {personal, NAMES};

struct call_export {
    struct rpc_call *call;
    const Dialplane__V1__ExportCallsRequest *request;
    int64_t started_us; /* where the last batch ended */
    struct uuid id;
    bool continues;
};

static void put_params(void *context, struct pg_params *params);
static bool put_rows(void *context, const struct pg_result *rows, struct buf *out, bool *ret_last,
                     struct err *err);

static const struct export_source source = {put_params, put_rows, &sql_export_calls};

void check_export_calls(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ExportCallsRequest *request = request_;

    period_check(request->start_date, request->end_date, violations);
}

void export_calls(struct rpc_call *call, const void *request)
{
    struct analytics_service *service = rpc_call_context(call);
    struct call_export *export = ARENA_NEW(rpc_call_arena(call), struct call_export);
    bool is_first = true;
    struct buf head;

    if (!export) {
        fail_memory(call);
        return;
    }
    export->call = call;
    export->request = request;
    buf_init(&head, 0);
    if (export->request->bom)
        buf_put_cstr(&head, CSV_BYTE_ORDER_MARK);
    for (size_t i = 0; i < NAMES; i++)
        csv_put_cell(&head, str_from(names[i]), &is_first);
    csv_put_line_end(&head);
    if (head.failed)
        fail_memory(call);
    else
        export_start(call, service->pool, buf_str(&head), &source, export);
    buf_done(&head);
}

static void put_params(void *context, struct pg_params *params)
{
    const struct call_export *export = context;
    const Dialplane__V1__ExportCallsRequest *request = export->request;

    param_scope(params, export->call);
    param_if(params, request->_company_id_case, request->company_id);
    param_if(params, request->_skillbase_id_case, request->skillbase_id);
    param_if(params, request->_campaign_id_case, request->campaign_id);
    param_if(params, request->_outcome_case, request->outcome);
    if (request->_status_case && request->status)
        pg_param_int64(params, request->status);
    else
        pg_param_null(params);
    param_if(params, request->_start_date_case, request->start_date);
    param_if(params, request->_end_date_case, request->end_date);
    if (export->continues) {
        pg_param_time_us(params, export->started_us);
        pg_param_uuid(params, &export->id);
    } else {
        pg_param_null(params);
        pg_param_null(params);
    }
}

static bool put_rows(void *context, const struct pg_result *rows, struct buf *out, bool *ret_last,
                     struct err *err)
{
    enum { COLUMN_STARTED_AT, COLUMN_ID, COLUMN_CELLS };
    struct call_export *export = context;
    int count = pg_rows(rows);

    (void)err;
    *ret_last = count == 0;
    for (int i = 0; i < count; i++)
        export_put_line(out, export->call, &columns, rows, i, COLUMN_CELLS);
    if (count) {
        export->continues = true;
        export->started_us = pg_time_us(rows, count - 1, COLUMN_STARTED_AT);
        export->id = pg_uuid(rows, count - 1, COLUMN_ID);
    }
    return true;
}
