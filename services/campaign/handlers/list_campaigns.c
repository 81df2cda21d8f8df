#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

#include "service/list.h"

enum { COLUMN_TOTAL = CAMPAIGN_COLUMNS };

static void *item(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    return campaign_from_row(call, rows, row, err);
}

static const struct list campaigns = {
    .scope = "campaigns",
    .response = &dialplane__v1__list_campaigns_response__descriptor,
    .order = PAGE_BY_TIME,
    .key_columns = {CAMPAIGN_CREATED_AT, CAMPAIGN_ID},
    .total_column = COLUMN_TOTAL,
    .item = item,
};

void check_list_campaigns(const void *request, struct violations *violations)
{
    list_check(&campaigns, request, violations);
}

/* NULL for an absent or empty filter. */
static const char *filter(const char *text)
{
    return text && *text ? text : NULL;
}

void list_campaigns(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListCampaignsRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &campaigns, request))
        return;
    param_scope(&params, call);
    pg_param_text(&params, filter(request->company_id));
    pg_param_text(&params, filter(request->skillbase_id));
    pg_param_text(&params, request->_status_case ? campaign_status_word(request->status) : NULL);
    list_param_page(&params, call);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_campaigns, &params, list_on_rows, call);
}
