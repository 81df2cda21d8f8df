#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"

#include "domain/period.h"

#include "service/paging.h"

enum {
    COLUMN_ID,
    COLUMN_SKILLBASE_ID,
    COLUMN_CAMPAIGN_ID,
    COLUMN_PHONE_NUMBER,
    COLUMN_OUTCOME,
    COLUMN_DURATION_MS,
    COLUMN_TURN_COUNT,
    COLUMN_STATUS,
    COLUMN_STARTED_AT,
    COLUMN_ENDED_AT,
    COLUMN_AVG_EOU_LATENCY,
    COLUMN_COST_TOTAL,
    COLUMN_TOTAL,
};

void check_list_calls(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListCallsRequest *request = request_;
    page_check_token(CALLS_SCOPE, request->page_token, violations);
    if (request->page_token && *request->page_token && request->_page_case)
        violations_add(violations, "page_token", "cannot be given together with page");
    period_check(request->start_date, request->end_date, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_calls(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListCallsRequest *request = (void *)request_;
    struct analytics_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_key after = {0};
    bool continues = request->page_token && *request->page_token;
    if (!rpc_apply_defaults(service->schema, &request->base, arena) ||
        (continues && !page_token_read(arena, CALLS_SCOPE, request->page_token, &after))) {
        fail_memory(call);
        return;
    }
    param_scope(&params, call);
    param_if(&params, request->_company_id_case, request->company_id);
    param_if(&params, request->_skillbase_id_case, request->skillbase_id);
    param_if(&params, request->_campaign_id_case, request->campaign_id);
    param_if(&params, request->_outcome_case, request->outcome);
    if (request->_status_case && request->status)
        pg_param_int64(&params, request->status);
    else
        pg_param_null(&params);
    param_if(&params, request->_start_date_case, request->start_date);
    param_if(&params, request->_end_date_case, request->end_date);
    if (continues) {
        pg_param_time_us(&params, after.time_us);
        pg_param_uuid(&params, &after.id);
    } else {
        pg_param_null(&params);
        pg_param_null(&params);
    }
    pg_param_int64(&params, (int64_t)(request->page - 1) * request->page_size);
    pg_param_int64(&params, request->page_size);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_calls, &params, on_listed, call);
}

static Dialplane__V1__CallSummary *summary_from_row(struct arena *arena,
                                                    const struct pg_result *rows, int row)
{
    Dialplane__V1__CallSummary *item = ARENA_NEW(arena, Dialplane__V1__CallSummary);
    if (!item)
        return NULL;
    *item = (Dialplane__V1__CallSummary)DIALPLANE__V1__CALL_SUMMARY__INIT;
    item->id = pg_text(rows, row, COLUMN_ID, arena);
    if (!pg_is_null(rows, row, COLUMN_SKILLBASE_ID)) {
        item->_skillbase_id_case = DIALPLANE__V1__CALL_SUMMARY___SKILLBASE_ID_SKILLBASE_ID;
        item->skillbase_id = pg_text(rows, row, COLUMN_SKILLBASE_ID, arena);
    }
    if (!pg_is_null(rows, row, COLUMN_CAMPAIGN_ID)) {
        item->_campaign_id_case = DIALPLANE__V1__CALL_SUMMARY___CAMPAIGN_ID_CAMPAIGN_ID;
        item->campaign_id = pg_text(rows, row, COLUMN_CAMPAIGN_ID, arena);
    }
    if (!pg_is_null(rows, row, COLUMN_PHONE_NUMBER)) {
        item->_phone_number_case = DIALPLANE__V1__CALL_SUMMARY___PHONE_NUMBER_PHONE_NUMBER;
        item->phone_number = pg_text(rows, row, COLUMN_PHONE_NUMBER, arena);
    }
    if (!pg_is_null(rows, row, COLUMN_OUTCOME)) {
        item->_outcome_case = DIALPLANE__V1__CALL_SUMMARY___OUTCOME_OUTCOME;
        item->outcome = pg_text(rows, row, COLUMN_OUTCOME, arena);
    }
    item->duration_sec = pg_int64(rows, row, COLUMN_DURATION_MS);
    item->turn_count = (int32_t)pg_int64(rows, row, COLUMN_TURN_COUNT);
    item->status = (Dialplane__V1__CallStatus)pg_int64(rows, row, COLUMN_STATUS);
    item->started_at = timestamp_from_column(arena, rows, row, COLUMN_STARTED_AT);
    item->ended_at = timestamp_from_column(arena, rows, row, COLUMN_ENDED_AT);
    if (!pg_is_null(rows, row, COLUMN_AVG_EOU_LATENCY)) {
        item->_avg_eou_latency_case = DIALPLANE__V1__CALL_SUMMARY___AVG_EOU_LATENCY_AVG_EOU_LATENCY;
        item->avg_eou_latency = pg_double(rows, row, COLUMN_AVG_EOU_LATENCY);
    }
    if (!pg_is_null(rows, row, COLUMN_COST_TOTAL)) {
        item->_cost_total_case = DIALPLANE__V1__CALL_SUMMARY___COST_TOTAL_COST_TOTAL;
        item->cost_total = pg_int64(rows, row, COLUMN_COST_TOTAL);
    }
    return arena_is_exhausted(arena) ? NULL : item;
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const struct pg_result *rows = outcome->result;
    const Dialplane__V1__ListCallsRequest *request = rpc_call_state(call);
    struct arena *arena = rpc_call_arena(call);
    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    Dialplane__V1__ListCallsResponse response = DIALPLANE__V1__LIST_CALLS_RESPONSE__INIT;
    /* There is always a row, for the total; an empty page has NULLs beside it. */
    int fetched = pg_is_null(rows, 0, COLUMN_ID) ? 0 : pg_rows(rows);
    int shown = fetched > request->page_size ? request->page_size : fetched;
    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.page = request->page;
    response.page_size = request->page_size;
    response.items = ARENA_ARRAY(arena, Dialplane__V1__CallSummary *, (size_t)shown);
    for (int i = 0; response.items && i < shown; i++) {
        response.items[i] = summary_from_row(arena, rows, i);
        if (!response.items[i])
            break;
        response.n_items++;
    }
    if (fetched > shown && shown > 0) {
        struct page_key last = {.time_us = pg_time_us(rows, shown - 1, COLUMN_STARTED_AT),
                                .id = pg_uuid(rows, shown - 1, COLUMN_ID)};
        response._next_page_token_case =
            DIALPLANE__V1__LIST_CALLS_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token = page_token_make(arena, CALLS_SCOPE, &last);
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
