#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

static void on_kept(void *context, const struct pg_outcome *outcome);

void heartbeat(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__HeartbeatRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    const char **call_ids = ARENA_ARRAY(arena, const char *, request->n_calls);
    int64_t *fences = ARENA_ARRAY(arena, int64_t, request->n_calls);

    if (!call_ids || !fences) {
        fail_memory(call);
        return;
    }
    for (size_t i = 0; i < request->n_calls; i++) {
        call_ids[i] = request->calls[i]->call_id;
        fences[i] = request->calls[i]->fence;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->worker_id);
    pg_param_text_array(&params, call_ids, request->n_calls);
    pg_param_int64_array(&params, fences, request->n_calls);
    pg_param_int64(&params, service->lease_us);
    pg_write(service->pool, rpc_call_owner(call), &sql_keep_leases, &params, on_kept, call);
}

static Dialplane__V1__LeaseState lease_state(struct str word)
{
    if (str_equal_cstr(word, "held"))
        return DIALPLANE__V1__LEASE_STATE__LEASE_STATE_HELD;
    if (str_equal_cstr(word, "end"))
        return DIALPLANE__V1__LEASE_STATE__LEASE_STATE_END;
    return DIALPLANE__V1__LEASE_STATE__LEASE_STATE_LOST;
}

static void on_kept(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_CALL_ID, COLUMN_STATE, COLUMN_LEASE_UNTIL };
    struct rpc_call *call = context;
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__HeartbeatResponse response = DIALPLANE__V1__HEARTBEAT_RESPONSE__INIT;

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    response.results = ARENA_ARRAY(arena, Dialplane__V1__LeaseResult *, (size_t)pg_rows(rows));
    for (int i = 0; response.results && i < pg_rows(rows); i++) {
        Dialplane__V1__LeaseResult *result = ARENA_NEW(arena, Dialplane__V1__LeaseResult);

        if (!result)
            break;
        dialplane__v1__lease_result__init(result);
        result->call_id = pg_text(rows, i, COLUMN_CALL_ID, arena);
        result->state = lease_state(pg_str(rows, i, COLUMN_STATE));
        result->lease_expires_at = timestamp_from_column(arena, rows, i, COLUMN_LEASE_UNTIL);
        response.results[response.n_results++] = result;
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
