#include "api_key_rows.h"
#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

static void on_loaded(void *context, const struct pg_outcome *outcome);

void get_api_key(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetApiKeyRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    pg_param_text(&params, request->id);
    rpc_call_set_state(call, request->id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_api_key, &params, on_loaded, call);
}

static void on_loaded(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__ApiKey *key;

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "API key", rpc_call_state(call));
    else if (!(key = api_key_from_row(rpc_call_arena(call), outcome->result, 0)))
        fail_memory(call);
    else
        rpc_reply(call, &key->base);
}
