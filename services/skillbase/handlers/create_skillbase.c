#include "domain/config_check.h"
#include "domain/secrets.h"
#include "handlers/handlers.h"
#include "secret_settings.h"
#include "skillbase.h"
#include "skillbase_sql.h"

void check_create_skillbase(const void *request_, struct violations *violations)
{
    const Dialplane__V1__CreateSkillbaseRequest *request = request_;

    if (!request->skillbase)
        return;
    skillbase_config_check(request->skillbase->config, "skillbase.config", violations);
    secrets_find_marks(secret_settings_names(), request->skillbase->config, "skillbase.config",
                       violations, violations);
}

static void on_inserted(void *context, const struct pg_outcome *outcome);

void create_skillbase(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__CreateSkillbaseRequest *request = request_;
    Dialplane__V1__Skillbase *skillbase = request->skillbase;
    struct skillbase_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};

    if (!rpc_apply_defaults(service->schema, &skillbase->base, arena)) {
        fail_memory(call);
        return;
    }
    struct str config_wire = rpc_pack(&skillbase->config->base, arena);

    if (!config_wire.data) {
        fail_memory(call);
        return;
    }
    struct uuid id = uuid_v7(loop_clock(service->loop), &service->entropy);

    param_scope(&params, call);
    pg_param_uuid(&params, &id);
    pg_param_text(&params, skillbase->company_id);
    pg_param_text(&params, skillbase->name);
    pg_param_text(&params, skillbase->slug);
    pg_param_text(&params, skillbase->description);
    if (!param_json(&params, call, &skillbase->config->base))
        return;
    pg_param_bytes(&params, config_wire);
    pg_param_text(&params, skillbase->knowledge_base_id);
    pg_param_bool(&params, skillbase->is_active);
    pg_param_bool(&params, skillbase->is_published);
    rpc_call_set_state(call, skillbase);
    pg_write(service->pool, rpc_call_owner(call), &sql_create_skillbase, &params, on_inserted,
             call);
}

static void on_inserted(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__Skillbase *skillbase = rpc_call_state(call);

    if (!outcome->result)
        fail_skillbase_write(call, outcome, skillbase);
    else if (pg_rows(outcome->result) == 0) /* a company that the caller may not see */
        fail_field(call, "skillbase.company_id", "company %s does not exist",
                   skillbase->company_id);
    else
        reply_skillbase(call, outcome->result);
}
