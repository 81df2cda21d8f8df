#include "settings_params.h"

#include "domain/window_check.h"
#include "phone.h"

#include <stdio.h>
#include <string.h>

static int64_t us_of(const Google__Protobuf__Timestamp *timestamp)
{
    return timestamp ? timestamp->seconds * TIME_US_PER_SECOND + timestamp->nanos / 1000 : 0;
}

void check_campaign_period(const Dialplane__V1__Campaign *campaign, struct violations *violations)
{
    window_check_period(campaign->start_time, us_of(campaign->start_time), campaign->end_time,
                        us_of(campaign->end_time), violations);
}

void check_campaign_region(const Dialplane__V1__Campaign *campaign, struct violations *violations)
{
    const char *region = campaign->_default_region_case ? campaign->default_region : "";

    /* Two capital letters are asked by the .proto: else it has been said already. */
    if (strlen(region) == 2 && region[0] >= 'A' && region[0] <= 'Z' && region[1] >= 'A' &&
        region[1] <= 'Z' && !phone_region_is_known(region))
        violations_add(violations, "campaign.default_region",
                       "is no country with telephone numbers of its own");
}

void check_campaign_retry_policy(const Dialplane__V1__Campaign *campaign,
                                 struct violations *violations)
{
    for (size_t i = 0; i < campaign->n_retry_policy; i++) {
        const Dialplane__V1__Campaign__RetryPolicyEntry *entry = campaign->retry_policy[i];
        Dialplane__V1__Disposition disposition = disposition_from_word(str_from(entry->key));
        char field[100];

        /* The path as the value rules spell it; a key that needs quoting is no disposition. */
        snprintf(field, sizeof(field), "campaign.retry_policy[\"%.40s\"]%s", entry->key,
                 disposition ? ".retry" : "");
        if (!disposition)
            violations_add(violations, field,
                           "is no disposition such as busy, no_answer or carrier_error");
        else if (entry->value && entry->value->_retry_case && entry->value->retry &&
                 (disposition == DIALPLANE__V1__DISPOSITION__DISPOSITION_ANSWERED ||
                  disposition == DIALPLANE__V1__DISPOSITION__DISPOSITION_INVALID_NUMBER ||
                  disposition == DIALPLANE__V1__DISPOSITION__DISPOSITION_OPT_OUT))
            violations_add(violations, field, "must not be true: %s is never called again",
                           entry->key);
    }
}

/* The policy alone, as the JSON of a Campaign: the statement takes it out of there. */
static bool param_retry_policy(struct rpc_call *call, struct pg_params *params,
                               const Dialplane__V1__Campaign *campaign, struct err *err)
{
    Dialplane__V1__Campaign policy = DIALPLANE__V1__CAMPAIGN__INIT;

    policy.n_retry_policy = campaign->n_retry_policy;
    policy.retry_policy = campaign->retry_policy;
    char *json = rpc_message_to_json(call, &policy.base, err);

    pg_param_text(params, json);
    return json;
}

bool param_campaign_settings(struct rpc_call *call, struct pg_params *params,
                             const Dialplane__V1__Campaign *campaign, struct err *err)
{
    char days[WINDOW_DAYS_TEXT_SIZE];
    int numbers[7];
    size_t count = campaign->n_days_of_week < 7 ? campaign->n_days_of_week : 7;

    for (size_t i = 0; i < count; i++)
        numbers[i] = (int)campaign->days_of_week[i];
    window_format_days(numbers, count, days);
    pg_param_text(params, campaign->name);
    pg_param_text(params, campaign->_description_case ? campaign->description : NULL);
    param_timestamp(params, campaign->start_time);
    param_timestamp(params, campaign->end_time);
    pg_param_text(params, campaign->daily_start_time);
    pg_param_text(params, campaign->daily_end_time);
    pg_param_text(params, campaign->timezone);
    pg_param_text(params, days);
    pg_param_int64(params, campaign->max_concurrent_calls);
    pg_param_int64(params, campaign->calls_per_minute);
    pg_param_int64(params, campaign->max_retries);
    pg_param_int64(params, campaign->retry_delay_minutes);
    pg_param_text(params, campaign->on_unknown == DIALPLANE__V1__ON_UNKNOWN__ON_UNKNOWN_RETRY
                              ? "retry"
                              : "hold");
    if (!param_retry_policy(call, params, campaign, err))
        return false;
    pg_param_text(params, campaign->_default_region_case && *campaign->default_region
                              ? campaign->default_region
                              : NULL);
    return true;
}
