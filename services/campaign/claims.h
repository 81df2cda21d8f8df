/* claims: ClaimTasks calls that wait for tasks. Those that look for the same tasks (company,
 * campaign) ask together, one statement at a time, and share what it brings in the order in which
 * they came. */
#ifndef DIALPLANE_CAMPAIGN_CLAIMS_H
#define DIALPLANE_CAMPAIGN_CLAIMS_H

#include "base/err.h"
#include "pg/pg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct campaign_service;
struct claim_group;
struct claim_queue;
struct rpc_call;

/* Tasks that one ClaimTasks call may ask for: as dispatch.proto says. */
#define CLAIM_MOST 100

/* A ClaimTasks call, in its arena. */
struct claim_waiter {
    struct rpc_call *call;
    const char *worker_id;
    const char *company_id, *campaign_id; /* NULL: any */
    size_t wanted;                        /* 1 to CLAIM_MOST */
    int64_t until_us;                     /* monotonic: answered with nothing then */
    /* The answer, exactly once: `rows` of claim_tasks.sql, count 0 for nothing; or err. */
    void (*on_tasks)(struct claim_waiter *waiter, const struct pg_result *result, const int *rows,
                     size_t count);
    void (*on_failed)(struct claim_waiter *waiter, const struct err *err);
    /* What the queue uses. */
    struct claim_waiter *previous, *next;
    struct claim_group *group;
    bool is_covered; /* the statement under way answers for it: it came before that was sent */
    bool was_told;   /* that there is nothing */
    bool is_over;
};

/* At most `limit` calls wait; more are refused RESOURCE_EXHAUSTED once there is nothing for them.
 * NULL when memory is short. */
struct claim_queue *claims_new(struct campaign_service *service, size_t limit);
void claims_free(struct claim_queue *queue);
/* Asks for it, at once and then until until_us. */
void claims_add(struct claim_queue *queue, struct claim_waiter *waiter);
/* A hint that there may be tasks: everyone who waits asks. */
void claims_wake(struct claim_queue *queue);
/* The process is to stop: answers everyone who waits, with nothing, and makes nobody wait any more.
 */
void claims_stop(struct claim_queue *queue);
size_t claims_waiting(const struct claim_queue *queue);

/* Columns of claim_tasks.sql. */
enum claim_column {
    CLAIM_CALL_ID,
    CLAIM_FENCE,
    CLAIM_TASK_ID,
    CLAIM_CAMPAIGN_ID,
    CLAIM_COMPANY_ID,
    CLAIM_SKILLBASE_ID,
    CLAIM_SKILLBASE_VERSION,
    CLAIM_PHONE_NUMBER,
    CLAIM_CONTACT_NAME,
    CLAIM_CONTACT_DATA,
    CLAIM_ATTEMPT_NUMBER,
    CLAIM_LEASE_UNTIL,
    CLAIM_TRY_AGAIN_MS,
};

#endif
