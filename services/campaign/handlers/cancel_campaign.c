#include "campaign.h"
#include "handlers/handlers.h"
#include "handlers/move_campaign.h"

void cancel_campaign(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__CancelCampaignRequest *request = request_;

    move_campaign(call, request->id, CAMPAIGN_CANCEL);
}
