/* Parameters, and rows as messages. The contact data of a task are attached as bytes: as message
 * objects a page of large Structs would be many times larger. */
#include "campaign.h"
#include "campaign_sql.h"
#include "contact_vault.h"

#include <stdlib.h>
#include <string.h>

/* ---- Parameters ---- */

void param_if_match_us(struct pg_params *params, const struct rpc_call *call)
{
    int64_t revision_us;

    if (rpc_call_if_match(call, &revision_us))
        pg_param_int64(params, revision_us);
    else
        pg_param_null(params);
}

/* ---- Words ---- */

static const char *const campaign_words[] = {
    [DIALPLANE__V1__CAMPAIGN_STATUS__CAMPAIGN_STATUS_DRAFT] = "draft",
    [DIALPLANE__V1__CAMPAIGN_STATUS__CAMPAIGN_STATUS_RUNNING] = "running",
    [DIALPLANE__V1__CAMPAIGN_STATUS__CAMPAIGN_STATUS_PAUSED] = "paused",
    [DIALPLANE__V1__CAMPAIGN_STATUS__CAMPAIGN_STATUS_COMPLETED] = "completed",
    [DIALPLANE__V1__CAMPAIGN_STATUS__CAMPAIGN_STATUS_CANCELLED] = "cancelled",
};
static const char *const task_words[] = {
    [DIALPLANE__V1__TASK_STATUS__TASK_STATUS_PENDING] = "pending",
    [DIALPLANE__V1__TASK_STATUS__TASK_STATUS_IN_PROGRESS] = "in_progress",
    [DIALPLANE__V1__TASK_STATUS__TASK_STATUS_RETRY] = "retry",
    [DIALPLANE__V1__TASK_STATUS__TASK_STATUS_COMPLETED] = "completed",
    [DIALPLANE__V1__TASK_STATUS__TASK_STATUS_FAILED] = "failed",
    [DIALPLANE__V1__TASK_STATUS__TASK_STATUS_CANCELLED] = "cancelled",
    [DIALPLANE__V1__TASK_STATUS__TASK_STATUS_SUPPRESSED] = "suppressed",
    [DIALPLANE__V1__TASK_STATUS__TASK_STATUS_UNKNOWN] = "unknown",
};

/* The words of the table disposition_rules. */
static const char *const disposition_words[] = {
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_ANSWERED] = "answered",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_NO_ANSWER] = "no_answer",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_BUSY] = "busy",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_VOICEMAIL] = "voicemail",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_DECLINED] = "declined",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_INVALID_NUMBER] = "invalid_number",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_OPT_OUT] = "opt_out",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_CARRIER_ERROR] = "carrier_error",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_PROVIDER_ERROR] = "provider_error",
    [DIALPLANE__V1__DISPOSITION__DISPOSITION_PLATFORM_ERROR] = "platform_error",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *word_at(const char *const *words, size_t count, unsigned number)
{
    return number < count ? words[number] : NULL;
}

static unsigned number_of(const char *const *words, size_t count, struct str word)
{
    for (unsigned i = 1; i < count; i++)
        if (str_equal_cstr(word, words[i]))
            return i;
    return 0;
}

const char *campaign_status_word(Dialplane__V1__CampaignStatus status)
{
    return word_at(campaign_words, COUNT(campaign_words), (unsigned)status);
}

const char *task_status_word(Dialplane__V1__TaskStatus status)
{
    return word_at(task_words, COUNT(task_words), (unsigned)status);
}

Dialplane__V1__TaskStatus task_status_from_word(struct str word)
{
    return (Dialplane__V1__TaskStatus)number_of(task_words, COUNT(task_words), word);
}

const char *disposition_word(Dialplane__V1__Disposition disposition)
{
    return word_at(disposition_words, COUNT(disposition_words), (unsigned)disposition);
}

Dialplane__V1__Disposition disposition_from_word(struct str word)
{
    return (Dialplane__V1__Disposition)number_of(disposition_words, COUNT(disposition_words), word);
}

/* ---- Rows ---- */

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                   "the answer does not fit the memory of one call");
}

/* "1,2,5" */
static void read_days(Dialplane__V1__Campaign *campaign, struct arena *arena, struct str text)
{
    campaign->days_of_week = ARENA_ARRAY(arena, Dialplane__V1__Weekday, 7);
    for (size_t i = 0; campaign->days_of_week && i < text.length && campaign->n_days_of_week < 7;
         i++)
        if (text.data[i] >= '1' && text.data[i] <= '7')
            campaign->days_of_week[campaign->n_days_of_week++] =
                (Dialplane__V1__Weekday)(text.data[i] - '0');
}

/* {"busy": {…}, …} as it is stored. */
static bool read_retry_policy(struct rpc_call *call, Dialplane__V1__Campaign *campaign,
                              struct str json, struct err *err)
{
    struct arena *arena = rpc_call_arena(call);

    if (json.length <= 2) /* {} */
        return true;
    char *text = arena_printf(arena, "{\"retry_policy\":%.*s}", (int)json.length, json.data);

    if (!text)
        return out_of_memory(err);
    const Dialplane__V1__Campaign *stored = (const Dialplane__V1__Campaign *)rpc_message_from_json(
        call, &dialplane__v1__campaign__descriptor, str_from(text), err);

    if (!stored)
        return false;
    campaign->n_retry_policy = stored->n_retry_policy;
    campaign->retry_policy = stored->retry_policy;
    return true;
}

Dialplane__V1__Campaign *campaign_from_row(struct rpc_call *call, const struct pg_result *result,
                                           int row, struct err *err)
{
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__Campaign *campaign = ARENA_NEW(arena, Dialplane__V1__Campaign);

    if (!campaign) {
        out_of_memory(err);
        return NULL;
    }
    dialplane__v1__campaign__init(campaign);
    campaign->id = pg_text(result, row, CAMPAIGN_ID, arena);
    campaign->company_id = pg_text(result, row, CAMPAIGN_COMPANY_ID, arena);
    campaign->skillbase_id = pg_text(result, row, CAMPAIGN_SKILLBASE_ID, arena);
    campaign->name = pg_text(result, row, CAMPAIGN_NAME, arena);
    if (!pg_is_null(result, row, CAMPAIGN_DESCRIPTION)) {
        campaign->_description_case = DIALPLANE__V1__CAMPAIGN___DESCRIPTION_DESCRIPTION;
        campaign->description = pg_text(result, row, CAMPAIGN_DESCRIPTION, arena);
    }
    campaign->status = (Dialplane__V1__CampaignStatus)number_of(
        campaign_words, COUNT(campaign_words), pg_str(result, row, CAMPAIGN_STATUS));
    campaign->start_time = timestamp_from_column(arena, result, row, CAMPAIGN_START_TIME);
    campaign->end_time = timestamp_from_column(arena, result, row, CAMPAIGN_END_TIME);
    campaign->_daily_start_time_case = DIALPLANE__V1__CAMPAIGN___DAILY_START_TIME_DAILY_START_TIME;
    campaign->daily_start_time = pg_text(result, row, CAMPAIGN_DAILY_START_TIME, arena);
    campaign->_daily_end_time_case = DIALPLANE__V1__CAMPAIGN___DAILY_END_TIME_DAILY_END_TIME;
    campaign->daily_end_time = pg_text(result, row, CAMPAIGN_DAILY_END_TIME, arena);
    campaign->_timezone_case = DIALPLANE__V1__CAMPAIGN___TIMEZONE_TIMEZONE;
    campaign->timezone = pg_text(result, row, CAMPAIGN_TIMEZONE, arena);
    read_days(campaign, arena, pg_str(result, row, CAMPAIGN_DAYS_OF_WEEK));
    campaign->_max_concurrent_calls_case =
        DIALPLANE__V1__CAMPAIGN___MAX_CONCURRENT_CALLS_MAX_CONCURRENT_CALLS;
    campaign->max_concurrent_calls = (int32_t)pg_int64(result, row, CAMPAIGN_MAX_CONCURRENT_CALLS);
    campaign->_calls_per_minute_case = DIALPLANE__V1__CAMPAIGN___CALLS_PER_MINUTE_CALLS_PER_MINUTE;
    campaign->calls_per_minute = (int32_t)pg_int64(result, row, CAMPAIGN_CALLS_PER_MINUTE);
    campaign->_max_retries_case = DIALPLANE__V1__CAMPAIGN___MAX_RETRIES_MAX_RETRIES;
    campaign->max_retries = (int32_t)pg_int64(result, row, CAMPAIGN_MAX_RETRIES);
    campaign->_retry_delay_minutes_case =
        DIALPLANE__V1__CAMPAIGN___RETRY_DELAY_MINUTES_RETRY_DELAY_MINUTES;
    campaign->retry_delay_minutes = (int32_t)pg_int64(result, row, CAMPAIGN_RETRY_DELAY_MINUTES);
    campaign->total_tasks = pg_int64(result, row, CAMPAIGN_TOTAL);
    campaign->completed_tasks = pg_int64(result, row, CAMPAIGN_COMPLETED);
    campaign->failed_tasks = pg_int64(result, row, CAMPAIGN_FAILED);
    campaign->pending_tasks = pg_int64(result, row, CAMPAIGN_PENDING);
    campaign->in_progress_tasks = pg_int64(result, row, CAMPAIGN_IN_PROGRESS);
    campaign->created_at = timestamp_from_column(arena, result, row, CAMPAIGN_CREATED_AT);
    campaign->updated_at = timestamp_from_column(arena, result, row, CAMPAIGN_UPDATED_AT);
    campaign->started_at = timestamp_from_column(arena, result, row, CAMPAIGN_STARTED_AT);
    campaign->completed_at = timestamp_from_column(arena, result, row, CAMPAIGN_COMPLETED_AT);
    campaign->suppressed_tasks = pg_int64(result, row, CAMPAIGN_SUPPRESSED);
    campaign->unknown_tasks = pg_int64(result, row, CAMPAIGN_UNKNOWN);
    campaign->cancelled_tasks = pg_int64(result, row, CAMPAIGN_CANCELLED);
    campaign->_on_unknown_case = DIALPLANE__V1__CAMPAIGN___ON_UNKNOWN_ON_UNKNOWN;
    campaign->on_unknown = str_equal_cstr(pg_str(result, row, CAMPAIGN_ON_UNKNOWN), "retry")
                               ? DIALPLANE__V1__ON_UNKNOWN__ON_UNKNOWN_RETRY
                               : DIALPLANE__V1__ON_UNKNOWN__ON_UNKNOWN_HOLD;
    if (!pg_is_null(result, row, CAMPAIGN_DEFAULT_REGION)) {
        campaign->_default_region_case = DIALPLANE__V1__CAMPAIGN___DEFAULT_REGION_DEFAULT_REGION;
        campaign->default_region = pg_text(result, row, CAMPAIGN_DEFAULT_REGION, arena);
    }
    if (!read_retry_policy(call, campaign, pg_str(result, row, CAMPAIGN_RETRY_POLICY), err))
        return NULL;
    if (arena_is_exhausted(arena)) {
        out_of_memory(err);
        return NULL;
    }
    return campaign;
}

bool attach_contact_data(struct rpc_call *call, ProtobufCMessage *message, uint32_t number,
                         const char *campaign_id, const char *phone, struct str stored,
                         struct err *err)
{
    const struct campaign_service *service = rpc_call_context(call);
    struct uuid campaign;

    uuid_parse(str_from(campaign_id), &campaign);
    struct str json = contact_data_open(service->vault, &campaign, str_from(phone), stored,
                                        rpc_call_arena(call), err);

    return json.data && attach_json(call, message, number, 1, "google.protobuf.Struct", json, err);
}

Dialplane__V1__CallTask *task_from_row(struct rpc_call *call, const struct pg_result *result,
                                       int row, struct err *err)
{
    enum { FIELD_CONTACT_DATA = 5 };
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__CallTask *task = ARENA_NEW(arena, Dialplane__V1__CallTask);

    if (!task) {
        out_of_memory(err);
        return NULL;
    }
    dialplane__v1__call_task__init(task);
    task->id = pg_text(result, row, TASK_ID, arena);
    task->campaign_id = pg_text(result, row, TASK_CAMPAIGN_ID, arena);
    task->phone_number = pg_text(result, row, TASK_PHONE_NUMBER, arena);
    if (!pg_is_null(result, row, TASK_CONTACT_NAME)) {
        task->_contact_name_case = DIALPLANE__V1__CALL_TASK___CONTACT_NAME_CONTACT_NAME;
        task->contact_name = pg_text(result, row, TASK_CONTACT_NAME, arena);
    }
    task->status = task_status_from_word(pg_str(result, row, TASK_STATE));
    task->attempt_count = (int32_t)pg_int64(result, row, TASK_ATTEMPT_COUNT);
    task->last_attempt_at = timestamp_from_column(arena, result, row, TASK_LAST_ATTEMPT_AT);
    task->next_attempt_at = timestamp_from_column(arena, result, row, TASK_NEXT_ATTEMPT_AT);
    if (!pg_is_null(result, row, TASK_CALL_ID)) {
        task->_call_id_case = DIALPLANE__V1__CALL_TASK___CALL_ID_CALL_ID;
        task->call_id = pg_text(result, row, TASK_CALL_ID, arena);
    }
    if (!pg_is_null(result, row, TASK_OUTCOME)) {
        task->_outcome_case = DIALPLANE__V1__CALL_TASK___OUTCOME_OUTCOME;
        task->outcome = pg_text(result, row, TASK_OUTCOME, arena);
    }
    if (!pg_is_null(result, row, TASK_ERROR_MESSAGE)) {
        task->_error_message_case = DIALPLANE__V1__CALL_TASK___ERROR_MESSAGE_ERROR_MESSAGE;
        task->error_message = pg_text(result, row, TASK_ERROR_MESSAGE, arena);
    }
    task->priority = (int32_t)pg_int64(result, row, TASK_PRIORITY);
    if (!pg_is_null(result, row, TASK_TIMEZONE)) {
        task->_timezone_case = DIALPLANE__V1__CALL_TASK___TIMEZONE_TIMEZONE;
        task->timezone = pg_text(result, row, TASK_TIMEZONE, arena);
    }
    task->created_at = timestamp_from_column(arena, result, row, TASK_CREATED_AT);
    task->updated_at = timestamp_from_column(arena, result, row, TASK_UPDATED_AT);
    if (!pg_is_null(result, row, TASK_PHONE_TEXT)) {
        task->_phone_text_case = DIALPLANE__V1__CALL_TASK___PHONE_TEXT_PHONE_TEXT;
        task->phone_text = pg_text(result, row, TASK_PHONE_TEXT, arena);
    }
    if (arena_is_exhausted(arena)) {
        out_of_memory(err);
        return NULL;
    }
    if (!attach_contact_data(call, &task->base, FIELD_CONTACT_DATA, task->campaign_id,
                             task->phone_number, pg_str(result, row, TASK_CONTACT_DATA), err))
        return NULL;
    return task;
}

/* ---- A campaign as the answer ---- */

struct campaign_reply {
    struct rpc_call *call;
    const char *id;
};

static void on_campaign_read(void *context, const struct pg_outcome *outcome)
{
    const struct campaign_reply *reply = context;
    Dialplane__V1__Campaign *campaign;
    struct err err = {0};

    if (!outcome->result)
        rpc_fail(reply->call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(reply->call, "campaign", reply->id);
    else if (!(campaign = campaign_from_row(reply->call, outcome->result, 0, &err)))
        rpc_fail(reply->call, &err);
    else
        rpc_reply(reply->call, &campaign->base);
}

void reply_campaign(struct rpc_call *call, const char *id)
{
    struct campaign_service *service = rpc_call_context(call);
    struct campaign_reply *reply = ARENA_NEW(rpc_call_arena(call), struct campaign_reply);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!reply) {
        fail_memory(call);
        return;
    }
    *reply = (struct campaign_reply){call, id};
    param_scope(&params, call);
    pg_param_text(&params, id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_campaign, &params, on_campaign_read,
            reply);
}
