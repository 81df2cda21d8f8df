/* One request is a step: some transactions of some thousand calls, until it has rated enough or
 * taken long enough. */
#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"
#include "rows.h"

#include "domain/period.h"

#include "base/time.h"
#include "service/paging.h"

#include <stdio.h>

/* Of one transaction: it holds their rows meanwhile. */
#define CALLS_OF_A_TRANSACTION 2000
#define CALLS_OF_A_STEP 10000
#define STEP_US (5 * TIME_US_PER_SECOND)

enum { COLUMN_LOOKED, COLUMN_CHANGED, COLUMN_LAST_AT, COLUMN_LAST_ID };

/* In the call's arena. */
struct step {
    const Dialplane__V1__ReRateCallsRequest *request;
    struct page_key after; /* the last call that was looked at */
    bool has_begun;
    int64_t rated, changed, until_us;
};

/* A token belongs to its company and period. */
#define SCOPE_SIZE 96
static const char *scope_of(const Dialplane__V1__ReRateCallsRequest *request, char out[SCOPE_SIZE])
{
    snprintf(out, SCOPE_SIZE, "re-rate/%.36s/%.10s/%.10s", request->company_id, request->start_date,
             request->end_date);
    return out;
}

void check_re_rate_calls(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ReRateCallsRequest *request = request_;
    char scope[SCOPE_SIZE];
    period_check(request->start_date, request->end_date, violations);
    page_check_token(scope_of(request, scope), request->page_token, violations);
}

static void on_rated(void *context, const struct pg_outcome *outcome);

static int64_t now_us(const struct analytics_service *service)
{
    const struct clock *clock = loop_clock(service->loop);
    return clock->monotonic_us(clock);
}

static void rate_some(struct rpc_call *call)
{
    struct analytics_service *service = rpc_call_context(call);
    const struct step *step = rpc_call_state(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    param_scope(&params, call);
    pg_param_text(&params, step->request->company_id);
    pg_param_text(&params, step->request->start_date);
    pg_param_text(&params, step->request->end_date);
    if (step->has_begun) {
        pg_param_time_us(&params, step->after.time_us);
        pg_param_uuid(&params, &step->after.id);
    } else {
        pg_param_null(&params);
        pg_param_null(&params);
    }
    pg_param_int64(&params, CALLS_OF_A_TRANSACTION);
    prices_param(&params, &service->prices);
    pg_write(service->pool, rpc_call_owner(call), &sql_re_rate_calls, &params, on_rated, call);
}

void re_rate_calls(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ReRateCallsRequest *request = request_;
    struct arena *arena = rpc_call_arena(call);
    struct step *step = ARENA_NEW(arena, struct step);
    char scope[SCOPE_SIZE];
    if (!step) {
        fail_memory(call);
        return;
    }
    step->request = request;
    step->until_us = now_us(rpc_call_context(call)) + STEP_US;
    step->has_begun = request->page_token && *request->page_token;
    if (step->has_begun &&
        !page_token_read(arena, scope_of(request, scope), request->page_token, &step->after)) {
        fail_memory(call);
        return;
    }
    rpc_call_set_state(call, step);
    rate_some(call);
}

static void reply_step(struct rpc_call *call, bool is_done)
{
    const struct step *step = rpc_call_state(call);
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ReRateCallsResponse response = DIALPLANE__V1__RE_RATE_CALLS_RESPONSE__INIT;
    char scope[SCOPE_SIZE];
    response.rated = step->rated;
    response.changed = step->changed;
    if (step->rated > 0)
        response.rated_until = timestamp_from_us(arena, step->after.time_us);
    if (!is_done) {
        response._next_page_token_case =
            DIALPLANE__V1__RE_RATE_CALLS_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token =
            page_token_make(arena, scope_of(step->request, scope), &step->after);
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}

static void on_rated(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    struct step *step = rpc_call_state(call);
    const struct pg_result *row = outcome->result;
    if (!row) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(row) == 0) {
        fail_not_found(call, "company", step->request->company_id);
        return;
    }
    int64_t looked = pg_int64(row, 0, COLUMN_LOOKED);
    step->rated += looked;
    step->changed += pg_int64(row, 0, COLUMN_CHANGED);
    if (looked > 0) {
        step->has_begun = true;
        step->after.time_us = pg_time_us(row, 0, COLUMN_LAST_AT);
        step->after.id = pg_uuid(row, 0, COLUMN_LAST_ID);
    }
    bool is_done = looked < CALLS_OF_A_TRANSACTION;
    if (is_done || step->rated >= CALLS_OF_A_STEP ||
        now_us(rpc_call_context(call)) >= step->until_us)
        reply_step(call, is_done);
    else
        rate_some(call);
}
