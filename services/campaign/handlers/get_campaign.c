#include "campaign.h"
#include "handlers/handlers.h"

void get_campaign(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetCampaignRequest *request = request_;

    reply_campaign(call, request->id);
}
