#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"

#include "domain/period.h"

#include "base/time.h"
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
    COLUMN_TOTAL, /* of a search by number */
};
/* Of place_calls.sql. */
enum { PLACE_TOTAL, PLACE_AT, PLACE_BEFORE, PLACE_MINUTES };

/* Matches of a number are counted to here. */
#define COUNT_LIMIT 10000

void check_list_calls(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListCallsRequest *request = request_;
    page_check_token(CALLS_SCOPE, request->page_token, violations);
    if (request->page_token && *request->page_token && request->_page_case)
        violations_add(violations, "page_token", "cannot be given together with page");
    period_check(request->start_date, request->end_date, violations);
}

static void on_placed(void *context, const struct pg_outcome *outcome);
static void on_listed(void *context, const struct pg_outcome *outcome);

/* In the call's arena. */
struct listing {
    const Dialplane__V1__ListCallsRequest *request;
    struct page_key after; /* where the last page ended */
    bool continues;
    int64_t total, skip;
};

static void param_filter(struct pg_params *params, const struct rpc_call *call,
                         const Dialplane__V1__ListCallsRequest *request)
{
    param_scope(params, call);
    param_if(params, request->_company_id_case, request->company_id);
    param_if(params, request->_skillbase_id_case, request->skillbase_id);
    param_if(params, request->_campaign_id_case, request->campaign_id);
    param_if(params, request->_outcome_case, request->outcome);
    if (request->_status_case && request->status)
        pg_param_int64(params, request->status);
    else
        pg_param_null(params);
}

static void param_after(struct pg_params *params, const struct listing *listing, bool with_id)
{
    if (listing->continues)
        pg_param_time_us(params, listing->after.time_us);
    else
        pg_param_null(params);
    if (with_id && listing->continues)
        pg_param_uuid(params, &listing->after.id);
    else if (with_id)
        pg_param_null(params);
}

static void search_number(struct rpc_call *call, struct listing *listing)
{
    struct analytics_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    param_filter(&params, call, listing->request);
    param_if(&params, listing->request->_start_date_case, listing->request->start_date);
    param_if(&params, listing->request->_end_date_case, listing->request->end_date);
    pg_param_text(&params, listing->request->phone_number);
    param_after(&params, listing, true);
    pg_param_int64(&params, listing->skip);
    pg_param_int64(&params, listing->request->page_size + 1);
    pg_param_int64(&params, COUNT_LIMIT);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_calls_by_phone, &params, on_listed,
            call);
}

void list_calls(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListCallsRequest *request = (void *)request_;
    struct analytics_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct listing *listing = ARENA_NEW(arena, struct listing);
    bool continues = request->page_token && *request->page_token;
    if (!listing || !rpc_apply_defaults(service->schema, &request->base, arena) ||
        (continues && !page_token_read(arena, CALLS_SCOPE, request->page_token, &listing->after))) {
        fail_memory(call);
        return;
    }
    listing->request = request;
    listing->continues = continues;
    listing->skip = (int64_t)(request->page - 1) * request->page_size;
    rpc_call_set_state(call, listing);
    if (request->_phone_number_case && *request->phone_number) {
        search_number(call, listing);
        return;
    }
    param_filter(&params, call, request);
    param_if(&params, request->_start_date_case, request->start_date);
    param_if(&params, request->_end_date_case, request->end_date);
    param_after(&params, listing, false);
    pg_param_int64(&params, listing->skip);
    pg_param_int64(&params, request->page_size + 1);
    pg_read(service->pool, rpc_call_owner(call), &sql_place_calls, &params, on_placed, call);
}

static const char *stretch_text(struct arena *arena, int64_t us)
{
    char text[TIME_TEXT_SIZE];
    time_format_rfc3339(us, text);
    return arena_strdup(arena, text);
}

static void reply_page(struct rpc_call *call, const struct pg_result *rows, int fetched);

/* The stretches of time are known: their calls. */
static void on_placed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    struct analytics_service *service = rpc_call_context(call);
    struct listing *listing = rpc_call_state(call);
    struct arena *arena = rpc_call_arena(call);
    const struct pg_result *rows = outcome->result;
    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    int count = pg_rows(rows);
    listing->total = pg_int64(rows, 0, PLACE_TOTAL);
    if (pg_is_null(rows, 0, PLACE_AT)) {
        reply_page(call, rows, 0);
        return;
    }
    struct pg_params params = {.arena = arena};
    int64_t minutes = pg_int64(rows, 0, PLACE_MINUTES);
    const char **stretches = ARENA_ARRAY(arena, const char *, (size_t)count);
    for (int i = 0; stretches && i < count; i++)
        stretches[i] = stretch_text(arena, pg_time_us(rows, i, PLACE_AT));
    if (arena_is_exhausted(arena)) {
        fail_memory(call);
        return;
    }
    param_filter(&params, call, listing->request);
    pg_param_time_us(&params, pg_time_us(rows, count - 1, PLACE_AT));
    pg_param_time_us(&params, pg_time_us(rows, 0, PLACE_AT) + minutes * 60 * TIME_US_PER_SECOND);
    pg_param_text_array(&params, stretches, (size_t)count);
    pg_param_int64(&params, minutes);
    param_after(&params, listing, true);
    pg_param_int64(&params, listing->skip - pg_int64(rows, 0, PLACE_BEFORE));
    pg_param_int64(&params, listing->request->page_size + 1);
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
    struct listing *listing = rpc_call_state(call);
    const struct pg_result *rows = outcome->result;
    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    int fetched = pg_rows(rows);
    if (listing->request->_phone_number_case && *listing->request->phone_number) {
        /* There is always a row, for the total; an empty page has NULLs beside it. */
        listing->total = pg_int64(rows, 0, COLUMN_TOTAL);
        fetched = pg_is_null(rows, 0, COLUMN_ID) ? 0 : fetched;
    }
    reply_page(call, rows, fetched);
}

static void reply_page(struct rpc_call *call, const struct pg_result *rows, int fetched)
{
    const struct listing *listing = rpc_call_state(call);
    const Dialplane__V1__ListCallsRequest *request = listing->request;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListCallsResponse response = DIALPLANE__V1__LIST_CALLS_RESPONSE__INIT;
    int shown = fetched > request->page_size ? request->page_size : fetched;
    bool by_number = request->_phone_number_case && *request->phone_number;
    response.total_is_estimate = by_number && listing->total > COUNT_LIMIT;
    response.total = response.total_is_estimate ? COUNT_LIMIT : listing->total;
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
