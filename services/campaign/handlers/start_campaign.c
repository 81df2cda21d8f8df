#include "campaign.h"
#include "handlers/handlers.h"
#include "handlers/move_campaign.h"

void start_campaign(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__StartCampaignRequest *request = request_;

    move_campaign(call, request->id, CAMPAIGN_START);
}
