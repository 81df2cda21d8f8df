/* settings_params: what create_campaign.sql and update_campaign.sql have in common: the editable
 * values of a campaign, in their order. */
#ifndef DIALPLANE_CAMPAIGN_SETTINGS_PARAMS_H
#define DIALPLANE_CAMPAIGN_SETTINGS_PARAMS_H

#include "campaign.h"

/* name, description, start_time, end_time, daily_start_time, daily_end_time, timezone,
 * days_of_week, max_concurrent_calls, calls_per_minute, max_retries, retry_delay_minutes,
 * on_unknown, retry_policy, default_region. Defaults have been applied. False with err set. */
bool param_campaign_settings(struct rpc_call *call, struct pg_params *params,
                             const Dialplane__V1__Campaign *campaign, struct err *err);
/* end_time after start_time. */
void check_campaign_period(const Dialplane__V1__Campaign *campaign, struct violations *violations);
/* default_region is one that libphonenumber knows. */
void check_campaign_region(const Dialplane__V1__Campaign *campaign, struct violations *violations);
/* Keys are dispositions, and what must never be retried is not. */
void check_campaign_retry_policy(const Dialplane__V1__Campaign *campaign,
                                 struct violations *violations);

#endif
