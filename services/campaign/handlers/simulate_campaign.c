/* SimulateCampaign: a statement of some seconds, so it runs in a session of its own: between the
 * reads of others it would hold up a whole batch. How many run at once is bounded by the sessions;
 * more wait for one. */
#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

#define TIME_LIMIT_MS 5000

struct simulation {
    struct rpc_call *call;
    const Dialplane__V1__SimulateCampaignRequest *request;
    struct pg_session *session;
};

static void on_session(void *context, struct pg_session *session, const struct err *err);
static void on_simulated(void *context, const struct pg_outcome *outcome);

void simulate_campaign(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__SimulateCampaignRequest *request = (void *)request_;
    struct campaign_service *service = rpc_call_context(call);
    struct simulation *simulation = ARENA_NEW(rpc_call_arena(call), struct simulation);

    if (!simulation || !rpc_apply_defaults(service->schema, &request->base, rpc_call_arena(call))) {
        fail_memory(call);
        return;
    }
    *simulation = (struct simulation){.call = call, .request = request};
    pg_session_open(service->pool, rpc_call_owner(call), on_session, simulation);
}

static void on_session(void *context, struct pg_session *session, const struct err *err)
{
    struct simulation *simulation = context;
    const Dialplane__V1__SimulateCampaignRequest *request = simulation->request;
    struct pg_params params = {.arena = rpc_call_arena(simulation->call)};

    if (!session) {
        rpc_fail(simulation->call, err);
        return;
    }
    simulation->session = session;
    param_scope(&params, simulation->call);
    pg_param_text(&params, request->id);
    param_timestamp(&params, request->start_at);
    pg_param_double(&params, request->mean_call_seconds);
    pg_param_double(&params, request->mean_ring_seconds);
    pg_param_double(&params, request->share_answered);
    pg_param_int64(&params, TIME_LIMIT_MS);
    pg_session_query(session, &sql_simulate_campaign, &params, on_simulated, simulation);
}

static void on_simulated(void *context, const struct pg_outcome *outcome)
{
    enum {
        COLUMN_START_AT,
        COLUMN_FINISHES_AT,
        COLUMN_CONTACTS,
        COLUMN_SUPPRESSED,
        COLUMN_WITHOUT_ATTEMPTS,
        COLUMN_OUTSIDE_WINDOW,
        COLUMN_CALLS,
        COLUMN_ANSWERED,
        COLUMN_EXHAUSTED,
        COLUMN_LEFT_OVER,
        COLUMN_CALLS_PER_HOUR,
        COLUMN_PEAK,
        COLUMN_EXTRAPOLATED,
    };
    struct simulation *simulation = context;
    struct rpc_call *call = simulation->call;
    struct pg_session *session = simulation->session;
    const struct pg_result *row = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__SimulateCampaignResponse response =
        DIALPLANE__V1__SIMULATE_CAMPAIGN_RESPONSE__INIT;

    if (!row) {
        rpc_fail(call, &outcome->err);
    } else if (pg_rows(row) == 0) {
        fail_not_found(call, "campaign", simulation->request->id);
    } else {
        response.start_at = timestamp_from_column(arena, row, 0, COLUMN_START_AT);
        response.finishes_at = timestamp_from_column(arena, row, 0, COLUMN_FINISHES_AT);
        response.contacts = pg_int64(row, 0, COLUMN_CONTACTS);
        response.suppressed = pg_int64(row, 0, COLUMN_SUPPRESSED);
        response.without_attempts = pg_int64(row, 0, COLUMN_WITHOUT_ATTEMPTS);
        response.outside_window = pg_int64(row, 0, COLUMN_OUTSIDE_WINDOW);
        response.never_reachable =
            response.suppressed + response.without_attempts + response.outside_window;
        response.calls = pg_int64(row, 0, COLUMN_CALLS);
        response.answered = pg_int64(row, 0, COLUMN_ANSWERED);
        response.exhausted = pg_int64(row, 0, COLUMN_EXHAUSTED);
        response.left_over = pg_int64(row, 0, COLUMN_LEFT_OVER);
        response.calls_per_hour = pg_double(row, 0, COLUMN_CALLS_PER_HOUR);
        response.peak_concurrency = (int32_t)pg_int64(row, 0, COLUMN_PEAK);
        response.is_extrapolated = pg_bool(row, 0, COLUMN_EXTRAPOLATED);
        if (arena_is_exhausted(arena))
            fail_memory(call);
        else
            rpc_reply(call, &response.base);
    }
    pg_session_close(session);
}
