#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "rpc/update.h"

enum { COLUMN_REVISION_MATCHES = COMPANY_COLUMNS };

static bool changes(const Dialplane__V1__UpdateCompanyRequest *request, const char *field)
{
    return rpc_update_changes(request->update_mask, &request->company->base, field);
}

/* A free-form part that changes, or NULL. */
static bool param_free_form(struct pg_params *params, struct rpc_call *call, bool is_changed,
                            const Google__Protobuf__Struct *object)
{
    if (is_changed)
        return param_json(params, call, &object->base);
    pg_param_null(params);
    return true;
}

static void on_updated(void *context, const struct pg_outcome *outcome);

void update_company(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__UpdateCompanyRequest *request = request_;
    Dialplane__V1__Company *company = request->company;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    bool settings = changes(request, "settings");
    bool limits = changes(request, "limits");
    bool description = changes(request, "description");
    bool is_active = changes(request, "is_active");

    /* What changes but was sent without a value goes back to its default. */
    if (!rpc_apply_defaults(service->schema, &company->base, rpc_call_arena(call))) {
        fail_memory(call);
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->id);
    param_if_match(&params, call);
    param_if(&params, changes(request, "name"), company->name);
    param_if(&params, changes(request, "slug"), company->slug);
    pg_param_bool(&params, description);
    param_if(&params, description, company->description);
    if (!param_free_form(&params, call, settings, company->settings) ||
        !param_free_form(&params, call, limits, company->limits))
        return;
    param_if(&params, is_active, company->is_active ? "true" : "false");
    rpc_call_set_state(call, (void *)request);
    pg_write(service->pool, rpc_call_owner(call), &sql_update_company, &params, on_updated, call);
}

static void on_updated(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__UpdateCompanyRequest *request = rpc_call_state(call);

    if (!outcome->result)
        fail_company_write(call, outcome, request->company);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "company", request->id);
    else if (!pg_bool(outcome->result, 0, COLUMN_REVISION_MATCHES))
        fail_changed(call, "company");
    else
        reply_company(call, outcome->result);
}
