/* campaign: what the handlers of this service share: the context, rows as messages, and the
 * failures that several of them answer. */
#ifndef DIALPLANE_CAMPAIGN_CAMPAIGN_H
#define DIALPLANE_CAMPAIGN_CAMPAIGN_H

#include "base/arena.h"
#include "base/time.h"
#include "domain/moves.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "rpc/rpc.h"
#include "schema/schema.h"
#include "service/handler.h"

#include "dialplane/v1/campaign.pb-c.h"
#include "dialplane/v1/dispatch.pb-c.h"
#include "dialplane/v1/suppression.pb-c.h"

struct claim_queue;
struct database_metrics;
struct step_lane;
struct jobs;
struct upload_workers;
struct vault;
struct upkeep;

/* What rpc_call_context() gives. */
struct campaign_service {
    struct loop *loop;
    struct pg_pool *pool;
    const struct schema *schema;
    struct entropy entropy;
    struct vault *vault;            /* keys of what is encrypted; it may have none */
    struct claim_queue *claims;     /* ClaimTasks calls that wait */
    struct step_lane *steps;        /* BeginDial and FinishTask */
    struct upload_workers *workers; /* threads that read call lists */
    struct upkeep *upkeep;          /* sweeps each second */
    struct database_metrics *task_metrics;
    int64_t lease_us;
    struct jobs *jobs; /* uploads that are worked through later */
    int64_t upload_row_limit, upload_byte_limit;
    int64_t upload_time_us;     /* longest time of one upload */
    int64_t upload_lease_us;    /* how long a silent upload counts as under way */
    int64_t upload_errors_kept; /* rejected rows of one upload */
    int64_t idempotency_us;     /* how long a key is remembered */
    const char *default_region; /* NULL: none */
};

/* The revision of if-match in microseconds, as the functions of the migrations take it; NULL when
 * the client sent none. */
void param_if_match_us(struct pg_params *params, const struct rpc_call *call);

/* ---- Rows as messages; columns as the views campaign_details and call_task_details have them ----
 */

enum campaign_column {
    CAMPAIGN_ID,
    CAMPAIGN_COMPANY_ID,
    CAMPAIGN_SKILLBASE_ID,
    CAMPAIGN_NAME,
    CAMPAIGN_DESCRIPTION,
    CAMPAIGN_STATUS,
    CAMPAIGN_START_TIME,
    CAMPAIGN_END_TIME,
    CAMPAIGN_DAILY_START_TIME,
    CAMPAIGN_DAILY_END_TIME,
    CAMPAIGN_TIMEZONE,
    CAMPAIGN_DAYS_OF_WEEK,
    CAMPAIGN_MAX_CONCURRENT_CALLS,
    CAMPAIGN_CALLS_PER_MINUTE,
    CAMPAIGN_MAX_RETRIES,
    CAMPAIGN_RETRY_DELAY_MINUTES,
    CAMPAIGN_TOTAL,
    CAMPAIGN_COMPLETED,
    CAMPAIGN_FAILED,
    CAMPAIGN_PENDING,
    CAMPAIGN_IN_PROGRESS,
    CAMPAIGN_CREATED_AT,
    CAMPAIGN_UPDATED_AT,
    CAMPAIGN_STARTED_AT,
    CAMPAIGN_COMPLETED_AT,
    CAMPAIGN_SUPPRESSED,
    CAMPAIGN_UNKNOWN,
    CAMPAIGN_CANCELLED,
    CAMPAIGN_ON_UNKNOWN,
    CAMPAIGN_RETRY_POLICY,
    CAMPAIGN_DEFAULT_REGION,
    CAMPAIGN_COLUMNS, /* first column after them */
};

enum task_column {
    TASK_ID,
    TASK_CAMPAIGN_ID,
    TASK_PHONE_NUMBER,
    TASK_CONTACT_NAME,
    TASK_CONTACT_DATA,
    TASK_STATE,
    TASK_ATTEMPT_COUNT,
    TASK_LAST_ATTEMPT_AT,
    TASK_NEXT_ATTEMPT_AT,
    TASK_CALL_ID,
    TASK_OUTCOME,
    TASK_ERROR_MESSAGE,
    TASK_PRIORITY,
    TASK_TIMEZONE,
    TASK_CREATED_AT,
    TASK_UPDATED_AT,
    TASK_PHONE_TEXT,
    TASK_COLUMNS,
};

/* In the call's arena; NULL with err set when that is exhausted. */
Dialplane__V1__Campaign *campaign_from_row(struct rpc_call *call, const struct pg_result *result,
                                           int row, struct err *err);
/* The same; valid for rpc_reply() only: contact_data is attached as bytes and its member stays
 * NULL. */
Dialplane__V1__CallTask *task_from_row(struct rpc_call *call, const struct pg_result *result,
                                       int row, struct err *err);
/* Attaches the column contact_data, decrypted where it must be, as the Struct field `number` of a
 * message that is to be replied. */
bool attach_contact_data(struct rpc_call *call, ProtobufCMessage *message, uint32_t number,
                         const char *campaign_id, const char *phone, struct str stored,
                         struct err *err);

/* The words of the database and the numbers of the .proto. */
const char *campaign_status_word(Dialplane__V1__CampaignStatus status);
Dialplane__V1__TaskStatus task_status_from_word(struct str word);
const char *task_status_word(Dialplane__V1__TaskStatus status);
/* The words of the table disposition_rules; NULL and 0 for what is none. */
const char *disposition_word(Dialplane__V1__Disposition disposition);
Dialplane__V1__Disposition disposition_from_word(struct str word);

/* Reads the campaign and sends it as the answer. `id` must live as long as the call. */
void reply_campaign(struct rpc_call *call, const char *id);
/* The same for a task (get_task.c). */
void reply_task(struct rpc_call *call, char *campaign_id, char *id);

/* ---- Failures ---- */

/* A write of a campaign that failed: a violated constraint as its sentence about what was asked
 * for, anything else as it is. */
void fail_campaign_write(struct rpc_call *call, const struct pg_outcome *outcome,
                         const Dialplane__V1__Campaign *campaign);

/* Why one call of a batch was refused, in the arena; NULL: exhausted. */
Dialplane__V1__CallRefusal *refusal_from_err(struct arena *arena, const struct err *err);
/* Adds a violation for each of `calls` whose call_id has occurred before. */
void check_each_once(const char *const *call_ids, size_t count, struct violations *violations);

#endif
