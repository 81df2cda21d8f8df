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
};

enum { COLUMN_STARTED_AT, COLUMN_ID, COLUMN_CELLS };

static void put_params(void *context, struct pg_params *params, const struct page_start *start);
static bool put_row(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err);

static const struct export_source source = {
    .statement = &sql_export_calls,
    .order = PAGE_BY_TIME,
    .key_columns = {COLUMN_STARTED_AT, COLUMN_ID},
    .put_params = put_params,
    .put_row = put_row,
};

void check_export_calls(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ExportCallsRequest *request = request_;

    period_check(request->start_date, request->end_date, violations);
}

void export_calls(struct rpc_call *call, const void *request)
{
    struct analytics_service *service = rpc_call_context(call);
    struct call_export *export = ARENA_NEW(rpc_call_arena(call), struct call_export);
    struct buf head;

    if (!export) {
        fail_memory(call);
        return;
    }
    export->call = call;
    export->request = request;
    buf_init(&head, 0);
    export_put_names(&head, export->request->bom, names, NAMES);
    csv_put_line_end(&head);
    export_start(call, service->pool, &head, &source, export);
}

static void put_params(void *context, struct pg_params *params, const struct page_start *start)
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
    param_page(params, PAGE_BY_TIME, start);
}

static bool put_row(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err)
{
    const struct call_export *export = context;

    (void)err;
    export_put_line(out, export->call, &columns, rows, row, COLUMN_CELLS);
    return true;
}
