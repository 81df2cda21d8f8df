#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

enum { COLUMN_REVISION_MATCHES = SKILLBASE_COLUMNS, COLUMN_VERSION_EXISTS };

static void on_rolled_back(void *context, const struct pg_outcome *outcome);

void rollback_skillbase(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__RollbackSkillbaseRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->id);
    param_if_match(&params, call);
    pg_param_int64(&params, request->version);
    rpc_call_set_state(call, (void *)request);
    pg_write(service->pool, rpc_call_owner(call), &sql_rollback_skillbase, &params, on_rolled_back,
             call);
}

static void on_rolled_back(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__RollbackSkillbaseRequest *request = rpc_call_state(call);

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "skillbase", request->id);
    else if (!pg_bool(outcome->result, 0, COLUMN_VERSION_EXISTS))
        fail_no_version(call, request->id, request->version);
    else if (!pg_bool(outcome->result, 0, COLUMN_REVISION_MATCHES))
        fail_changed(call, "skillbase");
    else
        reply_skillbase(call, outcome->result);
}
