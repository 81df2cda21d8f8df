/* Failures that several handlers answer, each with one sentence. */
#include "campaign.h"

#include <string.h>

void fail_campaign_write(struct rpc_call *call, const struct pg_outcome *outcome,
                         const Dialplane__V1__Campaign *campaign)
{
    if (!strcmp(outcome->constraint, "campaigns_company_fkey"))
        fail_field(call, "campaign.company_id", "company %s does not exist", campaign->company_id);
    else if (!strcmp(outcome->constraint, "campaigns_skillbase_fkey"))
        fail_field(call, "campaign.skillbase_id", "the company has no skillbase %s",
                   campaign->skillbase_id);
    else if (!strcmp(outcome->constraint, "campaigns_end_after_start"))
        fail_field(call, "campaign.end_time", "must be after start_time");
    else if (!strcmp(outcome->sqlstate, "22023")) /* invalid_parameter_value: AT TIME ZONE */
        fail_field(call, "campaign.timezone", "the database does not know the time zone");
    else
        rpc_fail(call, &outcome->err);
}
