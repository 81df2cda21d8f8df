#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "settings_params.h"

void check_create_campaign(const void *request_, struct violations *violations)
{
    const Dialplane__V1__CreateCampaignRequest *request = request_;

    if (request->campaign) {
        check_campaign_period(request->campaign, violations);
        check_campaign_retry_policy(request->campaign, violations);
        check_campaign_region(request->campaign, violations);
    }
}

static void on_inserted(void *context, const struct pg_outcome *outcome);

void create_campaign(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__CreateCampaignRequest *request = request_;
    Dialplane__V1__Campaign *campaign = request->campaign;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct uuid id = uuid_v7(loop_clock(service->loop), &service->entropy);
    char id_text[UUID_TEXT_SIZE];
    struct err err = {0};

    uuid_format(&id, id_text);
    campaign->id = arena_strdup(arena, id_text);
    if (!rpc_apply_defaults(service->schema, &campaign->base, arena) || !campaign->id) {
        fail_memory(call);
        return;
    }
    param_scope(&params, call);
    pg_param_uuid(&params, &id);
    pg_param_text(&params, campaign->company_id);
    pg_param_text(&params, campaign->skillbase_id);
    if (!param_campaign_settings(call, &params, campaign, &err)) {
        rpc_fail(call, &err);
        return;
    }
    rpc_call_set_state(call, campaign);
    pg_write(service->pool, rpc_call_owner(call), &sql_create_campaign, &params, on_inserted, call);
}

static void on_inserted(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__Campaign *campaign = rpc_call_state(call);

    if (!outcome->result)
        fail_campaign_write(call, outcome, campaign);
    else if (pg_rows(outcome->result) == 0) /* a company that the caller may not see */
        fail_field(call, "campaign.company_id", "company %s does not exist", campaign->company_id);
    else
        reply_campaign(call, campaign->id);
}
