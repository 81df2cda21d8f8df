#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

static void on_inserted(void *context, const struct pg_outcome *outcome);

void create_company(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__CreateCompanyRequest *request = request_;
    Dialplane__V1__Company *company = request->company;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (service_scope(call)) {
        rpc_fail_code(call, ERR_PERMISSION_DENIED, NULL,
                      "only the platform's administrators create companies");
        return;
    }
    if (!rpc_apply_defaults(service->schema, &company->base, rpc_call_arena(call))) {
        fail_memory(call);
        return;
    }
    struct uuid id = uuid_v7(loop_clock(service->loop), &service->entropy);

    pg_param_uuid(&params, &id);
    pg_param_text(&params, company->name);
    pg_param_text(&params, company->slug);
    pg_param_text(&params, company->description);
    if (!param_json(&params, call, &company->settings->base) ||
        !param_json(&params, call, &company->limits->base))
        return;
    pg_param_bool(&params, company->is_active);
    rpc_call_set_state(call, company);
    pg_write(service->pool, rpc_call_owner(call), &sql_create_company, &params, on_inserted, call);
}

static void on_inserted(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;

    if (!outcome->result)
        fail_company_write(call, outcome, rpc_call_state(call));
    else
        reply_company(call, outcome->result);
}
