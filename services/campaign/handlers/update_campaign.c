/* Reads the campaign, puts the new values over it, checks the whole as on create, and writes it on
 * condition that nobody has changed it meanwhile; else once more from the beginning. */
#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "rpc/update.h"
#include "settings_params.h"

#include <strings.h>

#define ATTEMPTS 5

struct update {
    struct rpc_call *call;
    const Dialplane__V1__UpdateCampaignRequest *request;
    Dialplane__V1__Campaign *merged;
    int attempts;
};

static bool changes(const Dialplane__V1__UpdateCampaignRequest *request, const char *field)
{
    return rpc_update_changes(request->update_mask, &request->campaign->base, field);
}

void check_update_campaign(const void *request_, struct violations *violations)
{
    const Dialplane__V1__UpdateCampaignRequest *request = request_;

    if (request->campaign) {
        check_campaign_period(request->campaign, violations);
        check_campaign_retry_policy(request->campaign, violations);
        check_campaign_region(request->campaign, violations);
    }
}

static void read_campaign(struct update *update);
static void on_read(void *context, const struct pg_outcome *outcome);
static void on_written(void *context, const struct pg_outcome *outcome);

void update_campaign(struct rpc_call *call, const void *request_)
{
    struct update *update = ARENA_NEW(rpc_call_arena(call), struct update);

    if (!update) {
        fail_memory(call);
        return;
    }
    update->call = call;
    update->request = request_;
    update->merged = update->request->campaign;
    read_campaign(update);
}

static void read_campaign(struct update *update)
{
    struct campaign_service *service = rpc_call_context(update->call);
    struct pg_params params = {.arena = rpc_call_arena(update->call)};

    param_scope(&params, update->call);
    pg_param_text(&params, update->request->id);
    pg_read(service->pool, rpc_call_owner(update->call), &sql_get_campaign, &params, on_read,
            update);
}

/* Puts what changes over `base`; a field that is named without a value is cleared here and gets its
 * default afterwards. */
static void merge(const Dialplane__V1__UpdateCampaignRequest *request,
                  Dialplane__V1__Campaign *base)
{
    const Dialplane__V1__Campaign *with = request->campaign;

    if (changes(request, "name"))
        base->name = with->name;
    if (changes(request, "start_time"))
        base->start_time = with->start_time;
    if (changes(request, "end_time"))
        base->end_time = with->end_time;
    if (changes(request, "days_of_week")) {
        base->n_days_of_week = with->n_days_of_week;
        base->days_of_week = with->days_of_week;
    }
    if (changes(request, "retry_policy")) {
        base->n_retry_policy = with->n_retry_policy;
        base->retry_policy = with->retry_policy;
    }
#define MERGE_OPTIONAL(field)                                                                      \
    if (changes(request, #field)) {                                                                \
        base->_##field##_case = with->_##field##_case;                                             \
        base->field = with->field;                                                                 \
    }
    MERGE_OPTIONAL(description)
    MERGE_OPTIONAL(daily_start_time)
    MERGE_OPTIONAL(daily_end_time)
    MERGE_OPTIONAL(timezone)
    MERGE_OPTIONAL(max_concurrent_calls)
    MERGE_OPTIONAL(calls_per_minute)
    MERGE_OPTIONAL(max_retries)
    MERGE_OPTIONAL(retry_delay_minutes)
    MERGE_OPTIONAL(on_unknown)
    MERGE_OPTIONAL(default_region)
#undef MERGE_OPTIONAL
}

/* company_id and skillbase_id may be sent back as they are (a PUT of what a GET gave), but not be
 * changed. */
static void check_immutable(const Dialplane__V1__UpdateCampaignRequest *request,
                            const Dialplane__V1__Campaign *stored, struct violations *violations)
{
    if (changes(request, "company_id") &&
        strcasecmp(request->campaign->company_id, stored->company_id))
        violations_add(violations, "campaign.company_id", "cannot be changed");
    if (changes(request, "skillbase_id") &&
        strcasecmp(request->campaign->skillbase_id, stored->skillbase_id))
        violations_add(violations, "campaign.skillbase_id", "cannot be changed");
}

static void on_read(void *context, const struct pg_outcome *outcome)
{
    struct update *update = context;
    struct rpc_call *call = update->call;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct violations *violations;
    struct err err = {0};
    int64_t expected_us;

    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(outcome->result) == 0) {
        fail_not_found(call, "campaign", update->request->id);
        return;
    }
    int64_t revision_us = pg_time_us(outcome->result, 0, CAMPAIGN_UPDATED_AT);
    Dialplane__V1__Campaign *campaign = campaign_from_row(call, outcome->result, 0, &err);

    if (!campaign) {
        rpc_fail(call, &err);
        return;
    }
    if (rpc_call_if_match(call, &expected_us) && expected_us != revision_us) {
        fail_changed(call, "campaign");
        return;
    }
    violations = ARENA_NEW(arena, struct violations);
    if (!violations) {
        fail_memory(call);
        return;
    }
    violations_init(violations, arena, 10);
    check_immutable(update->request, campaign, violations);
    merge(update->request, campaign);
    check_campaign_period(campaign, violations);
    if (violations->count) {
        err_set_violations(&err, violations);
        rpc_fail(call, &err);
        return;
    }
    if (!rpc_apply_defaults(service->schema, &campaign->base, arena)) {
        fail_memory(call);
        return;
    }
    struct pg_params params = {.arena = arena};

    update->merged = campaign;
    pg_param_text(&params, campaign->id);
    pg_param_time_us(&params, revision_us);
    if (!param_campaign_settings(call, &params, campaign, &err)) {
        rpc_fail(call, &err);
        return;
    }
    pg_write(service->pool, rpc_call_owner(call), &sql_update_campaign, &params, on_written,
             update);
}

static void on_written(void *context, const struct pg_outcome *outcome)
{
    struct update *update = context;

    if (!outcome->result)
        fail_campaign_write(update->call, outcome, update->merged);
    else if (pg_rows(outcome->result) > 0)
        reply_campaign(update->call, update->merged->id);
    else if (++update->attempts < ATTEMPTS)
        read_campaign(update);
    else
        rpc_fail_code(update->call, ERR_ABORTED, NULL,
                      "the campaign is being changed by others at the same time: try again");
}
