#include "analytics.h"
#include "handlers/handlers.h"

#include "live/scopes.h"

void check_watch_live(const void *request_, struct violations *violations)
{
    const Dialplane__V1__WatchLiveRequest *request = request_;
    int named = (request->_company_id_case != 0) + (request->_campaign_id_case != 0) +
                (request->_skillbase_id_case != 0);
    if (named != 1)
        violations_add(violations, named ? "campaign_id" : "company_id",
                       "name one of company_id, campaign_id and skillbase_id, not %s",
                       named ? "several" : "none");
}

void watch_live(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__WatchLiveRequest *request = request_;
    struct analytics_service *service = rpc_call_context(call);
    if (request->_company_id_case)
        scopes_watch(service->scopes, call, SCOPE_COMPANY, request->company_id);
    else if (request->_campaign_id_case)
        scopes_watch(service->scopes, call, SCOPE_CAMPAIGN, request->campaign_id);
    else
        scopes_watch(service->scopes, call, SCOPE_SKILLBASE, request->skillbase_id);
}
