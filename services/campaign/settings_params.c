#include "settings_params.h"

#include "domain/window_check.h"

static int64_t us_of(const Google__Protobuf__Timestamp *timestamp)
{
    return timestamp ? timestamp->seconds * TIME_US_PER_SECOND + timestamp->nanos / 1000 : 0;
}

void check_campaign_period(const Dialplane__V1__Campaign *campaign, struct violations *violations)
{
    window_check_period(campaign->start_time, us_of(campaign->start_time), campaign->end_time,
                        us_of(campaign->end_time), violations);
}

void param_campaign_settings(struct pg_params *params, const Dialplane__V1__Campaign *campaign)
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
}
