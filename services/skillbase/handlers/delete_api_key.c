#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "dialplane/v1/api_key.pb-c.h"
#include "google/protobuf/empty.pb-c.h"

static void on_deleted(void *context, const struct pg_outcome *outcome);

void delete_api_key(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__DeleteApiKeyRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    pg_param_text(&params, request->id);
    rpc_call_set_state(call, request->id);
    pg_write(service->pool, rpc_call_owner(call), &sql_delete_api_key, &params, on_deleted, call);
}

static void on_deleted(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    Google__Protobuf__Empty nothing = GOOGLE__PROTOBUF__EMPTY__INIT;

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "API key", rpc_call_state(call));
    else
        rpc_reply(call, &nothing.base);
}
