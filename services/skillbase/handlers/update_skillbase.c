#include "domain/config_check.h"
#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "rpc/update.h"

enum { COLUMN_REVISION_MATCHES = SKILLBASE_COLUMNS, COLUMN_COMPANY_MATCHES };

static bool changes(const Dialplane__V1__UpdateSkillbaseRequest *request, const char *field)
{
    return rpc_update_changes(request->update_mask, &request->skillbase->base, field);
}

void check_update_skillbase(const void *request_, struct violations *violations)
{
    const Dialplane__V1__UpdateSkillbaseRequest *request = request_;

    if (request->skillbase && changes(request, "config"))
        skillbase_config_check(request->skillbase->config, "skillbase.config", violations);
}

/* A new configuration in both its forms, or two NULLs. */
static bool param_config(struct pg_params *params, struct rpc_call *call, bool is_changed,
                         const Dialplane__V1__SkillbaseConfig *config)
{
    if (!is_changed) {
        pg_param_null(params);
        pg_param_null(params);
        return true;
    }
    struct str wire = rpc_pack(&config->base, rpc_call_arena(call));

    if (!wire.data) {
        fail_memory(call);
        return false;
    }
    if (!param_json(params, call, &config->base))
        return false;
    pg_param_bytes(params, wire);
    return true;
}

static void on_updated(void *context, const struct pg_outcome *outcome);

void update_skillbase(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__UpdateSkillbaseRequest *request = request_;
    Dialplane__V1__Skillbase *skillbase = request->skillbase;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    bool description = changes(request, "description");
    bool knowledge_base = changes(request, "knowledge_base_id");
    bool is_active = changes(request, "is_active");
    bool is_published = changes(request, "is_published");

    /* A configuration is replaced as a whole, so what it leaves out has its default; so has what
     * changes but was sent without a value. */
    if (!rpc_apply_defaults(service->schema, &skillbase->base, rpc_call_arena(call))) {
        fail_memory(call);
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->id);
    param_if_match(&params, call);
    param_if(&params, changes(request, "company_id"), skillbase->company_id);
    param_if(&params, changes(request, "name"), skillbase->name);
    param_if(&params, changes(request, "slug"), skillbase->slug);
    pg_param_bool(&params, description);
    param_if(&params, description, skillbase->description);
    if (!param_config(&params, call, changes(request, "config"), skillbase->config))
        return;
    pg_param_bool(&params, knowledge_base);
    param_if(&params, knowledge_base, skillbase->knowledge_base_id);
    param_if(&params, is_active, skillbase->is_active ? "true" : "false");
    param_if(&params, is_published, skillbase->is_published ? "true" : "false");
    rpc_call_set_state(call, (void *)request);
    pg_write(service->pool, rpc_call_owner(call), &sql_update_skillbase, &params, on_updated, call);
}

static void on_updated(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__UpdateSkillbaseRequest *request = rpc_call_state(call);

    if (!outcome->result)
        fail_skillbase_write(call, outcome, request->skillbase);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "skillbase", request->id);
    else if (!pg_bool(outcome->result, 0, COLUMN_COMPANY_MATCHES))
        fail_field(call, "skillbase.company_id", "cannot be changed");
    else if (!pg_bool(outcome->result, 0, COLUMN_REVISION_MATCHES))
        fail_changed(call, "skillbase");
    else
        reply_skillbase(call, outcome->result);
}
