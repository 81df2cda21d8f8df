#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

static void on_loaded(void *context, const struct pg_outcome *outcome);

void get_skillbase(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetSkillbaseRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->id);
    rpc_call_set_state(call, request->id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_skillbase, &params, on_loaded, call);
}

static void on_loaded(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "skillbase", rpc_call_state(call));
    else
        reply_skillbase(call, outcome->result);
}
