#include "analytics.h"
#include "analytics_sql.h"
#include "handlers/handlers.h"
#include "rows.h"

static void on_loaded(void *context, const struct pg_outcome *outcome);

void get_call_metrics(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetCallMetricsRequest *request = request_;
    struct analytics_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    param_scope(&params, call);
    pg_param_text(&params, request->id);
    rpc_call_set_state(call, request->id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_call_metrics, &params, on_loaded, call);
}

static void on_loaded(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const char *id = rpc_call_state(call);
    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(outcome->result) == 0) {
        rpc_fail_code(call, ERR_NOT_FOUND, NULL, "there are no metrics for call %s", id);
        return;
    }
    ProtobufCMessage *metrics = rpc_unpack(
        &dialplane__v1__call_metrics__descriptor,
        figures_with_costs(rpc_call_arena(call), outcome->result, 0), rpc_call_arena(call));
    if (metrics)
        rpc_reply(call, metrics);
    else
        rpc_fail_code(call, ERR_INTERNAL, NULL, "the stored metrics of call %s cannot be read", id);
}
