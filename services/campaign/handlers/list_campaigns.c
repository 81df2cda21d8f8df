#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

#include "service/paging.h"

enum { COLUMN_TOTAL = CAMPAIGN_COLUMNS };

void check_list_campaigns(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListCampaignsRequest *request = request_;

    page_check(CAMPAIGNS_SCOPE, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

/* NULL for an absent or empty filter. */
static const char *filter(const char *text)
{
    return text && *text ? text : NULL;
}

void list_campaigns(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListCampaignsRequest *request = (void *)request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_key after = {0};

    if (!rpc_apply_defaults(service->schema, &request->base, arena)) {
        fail_memory(call);
        return;
    }
    bool continues = request->page_token && *request->page_token;

    if (continues && !page_token_read(arena, CAMPAIGNS_SCOPE, request->page_token, &after)) {
        fail_memory(call); /* the token itself was checked */
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, filter(request->company_id));
    pg_param_text(&params, filter(request->skillbase_id));
    pg_param_text(&params, request->_status_case ? campaign_status_word(request->status) : NULL);
    if (continues) {
        pg_param_time_us(&params, after.time_us);
        pg_param_uuid(&params, &after.id);
    } else {
        pg_param_null(&params);
        pg_param_null(&params);
    }
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_campaigns, &params, on_listed, call);
}

static char *next_page_token(struct arena *arena, const struct pg_result *rows, int row,
                             const char *id)
{
    struct page_key last = {.time_us = pg_time_us(rows, row, CAMPAIGN_CREATED_AT)};

    if (!id || !uuid_parse(str_from(id), &last.id))
        return NULL;
    return page_token_make(arena, CAMPAIGNS_SCOPE, &last);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__ListCampaignsRequest *request = rpc_call_state(call);
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListCampaignsResponse response = DIALPLANE__V1__LIST_CAMPAIGNS_RESPONSE__INIT;
    struct err err = {0};

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    /* There is always a row, for the total; an empty page has NULLs beside it. */
    int found = pg_is_null(rows, 0, CAMPAIGN_ID) ? 0 : pg_rows(rows);
    int shown = found > request->limit ? request->limit : found;

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__Campaign *, (size_t)shown);
    for (int i = 0; response.items && i < shown; i++) {
        Dialplane__V1__Campaign *campaign = campaign_from_row(call, rows, i, &err);

        if (!campaign) {
            rpc_fail(call, &err);
            return;
        }
        response.items[response.n_items++] = campaign;
    }
    if (found > shown && response.items) {
        response._next_page_token_case =
            DIALPLANE__V1__LIST_CAMPAIGNS_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token =
            next_page_token(arena, rows, shown - 1, response.items[shown - 1]->id);
    }
    if (!response.items || arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
