/* ClaimTasks: asks the database; when that has nothing, waits and asks again — at a hint
 * (claims_wake), at the moment that the database named, and each second in any case — until there
 * is something, the wait is over, or the client has gone.
 *
 *   claim_tasks() ─▶ ask() ─▶ on_claimed() ─ tasks, or no time left ─▶ reply
 *                      ▲            └─ nothing ─▶ park() ─ timer, wake ─┐
 *                      └────────────────────────────────────────────────┘
 *
 * A claim whose client has gone meanwhile is not undone here: its lease runs out and the attempt is
 * refunded. */
#include "claims.h"

#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

#include <stdlib.h>

/* How many of those who wait ask at one hint; each that gets something wakes one more. */
#define WAKE_AT_ONCE 8
#define DEADLINE_MARGIN_US INT64_C(50000)

struct waiter {
    struct waiter *previous, *next; /* in the queue, oldest first, while `timer` runs */
    struct rpc_call *call;
    struct claim_queue *queue;
    const Dialplane__V1__ClaimTasksRequest *request;
    const char *company_id;
    int64_t until_us; /* monotonic: reply with nothing then */
    struct loop_timer *timer;
    /* The parameters of the question under way. Of its own: who waits asks many times, and the
     * call's arena only grows. */
    struct arena *asking;
    bool is_over;
};

struct claim_queue {
    struct campaign_service *service;
    struct waiter *first, *last;
    size_t waiting, limit;
    bool stopping;
};

struct claim_queue *claims_new(struct campaign_service *service, size_t limit)
{
    struct claim_queue *queue = calloc(1, sizeof(*queue));

    if (queue)
        *queue = (struct claim_queue){.service = service, .limit = limit};
    return queue;
}

void claims_free(struct claim_queue *queue)
{
    free(queue);
}

size_t claims_waiting(const struct claim_queue *queue)
{
    return queue->waiting;
}

static int64_t now_us(const struct claim_queue *queue)
{
    const struct clock *clock = loop_clock(queue->service->loop);

    return clock->monotonic_us(clock);
}

/* ---- The queue ---- */

static void unpark(struct waiter *waiter)
{
    struct claim_queue *queue = waiter->queue;

    *(waiter->previous ? &waiter->previous->next : &queue->first) = waiter->next;
    *(waiter->next ? &waiter->next->previous : &queue->last) = waiter->previous;
    waiter->previous = waiter->next = NULL;
    waiter->timer = NULL;
    queue->waiting--;
}

static void ask(struct waiter *waiter);

static void on_time(void *context)
{
    struct waiter *waiter = context;

    unpark(waiter); /* the timer has freed itself */
    ask(waiter);
}

static void park(struct waiter *waiter, int64_t for_us)
{
    struct claim_queue *queue = waiter->queue;

    waiter->timer = loop_timer_start(queue->service->loop, for_us, on_time, waiter);
    waiter->previous = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = waiter;
    queue->last = waiter;
    queue->waiting++;
}

static void wake(struct claim_queue *queue, int count)
{
    while (count-- > 0 && queue->first) {
        struct waiter *waiter = queue->first;
        struct loop_timer *timer = waiter->timer;

        unpark(waiter);
        loop_timer_cancel(timer);
        ask(waiter);
    }
}

void claims_wake(struct claim_queue *queue)
{
    wake(queue, WAKE_AT_ONCE);
}

/* ---- Replies ---- */

static void reply_nothing(struct waiter *waiter)
{
    Dialplane__V1__ClaimTasksResponse response = DIALPLANE__V1__CLAIM_TASKS_RESPONSE__INIT;

    waiter->is_over = true;
    rpc_reply(waiter->call, &response.base);
}

void claims_stop(struct claim_queue *queue)
{
    queue->stopping = true;
    while (queue->first) {
        struct waiter *waiter = queue->first;
        struct loop_timer *timer = waiter->timer;

        unpark(waiter);
        loop_timer_cancel(timer);
        reply_nothing(waiter);
    }
}

static void on_cancelled(void *context)
{
    struct waiter *waiter = context;
    struct loop_timer *timer = waiter->timer;

    if (waiter->is_over || waiter->asking) /* asking: the callback comes and ends it */
        return;
    unpark(waiter);
    loop_timer_cancel(timer);
    waiter->is_over = true;
    rpc_fail_code(waiter->call, ERR_CANCELLED, NULL, "the request was cancelled");
}

enum claim_column {
    COLUMN_CALL_ID,
    COLUMN_FENCE,
    COLUMN_TASK_ID,
    COLUMN_CAMPAIGN_ID,
    COLUMN_COMPANY_ID,
    COLUMN_SKILLBASE_ID,
    COLUMN_SKILLBASE_VERSION,
    COLUMN_PHONE_NUMBER,
    COLUMN_CONTACT_NAME,
    COLUMN_CONTACT_DATA,
    COLUMN_ATTEMPT_NUMBER,
    COLUMN_LEASE_UNTIL,
    COLUMN_TRY_AGAIN_MS,
};

static Dialplane__V1__ClaimedTask *
task_from_claim(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    enum { FIELD_CONTACT_DATA = 10 };
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ClaimedTask *task = ARENA_NEW(arena, Dialplane__V1__ClaimedTask);

    if (!task)
        return NULL;
    dialplane__v1__claimed_task__init(task);
    task->call_id = pg_text(rows, row, COLUMN_CALL_ID, arena);
    task->fence = pg_int64(rows, row, COLUMN_FENCE);
    task->task_id = pg_text(rows, row, COLUMN_TASK_ID, arena);
    task->campaign_id = pg_text(rows, row, COLUMN_CAMPAIGN_ID, arena);
    task->company_id = pg_text(rows, row, COLUMN_COMPANY_ID, arena);
    task->skillbase_id = pg_text(rows, row, COLUMN_SKILLBASE_ID, arena);
    task->skillbase_version = (int32_t)pg_int64(rows, row, COLUMN_SKILLBASE_VERSION);
    task->phone_number = pg_text(rows, row, COLUMN_PHONE_NUMBER, arena);
    if (!pg_is_null(rows, row, COLUMN_CONTACT_NAME)) {
        task->_contact_name_case = DIALPLANE__V1__CLAIMED_TASK___CONTACT_NAME_CONTACT_NAME;
        task->contact_name = pg_text(rows, row, COLUMN_CONTACT_NAME, arena);
    }
    task->attempt_number = (int32_t)pg_int64(rows, row, COLUMN_ATTEMPT_NUMBER);
    task->lease_expires_at = timestamp_from_column(arena, rows, row, COLUMN_LEASE_UNTIL);
    if (arena_is_exhausted(arena) || !attach_struct(call, &task->base, FIELD_CONTACT_DATA,
                                                    pg_str(rows, row, COLUMN_CONTACT_DATA), err))
        return NULL;
    return task;
}

static void reply_tasks(struct waiter *waiter, const struct pg_result *rows)
{
    struct rpc_call *call = waiter->call;
    Dialplane__V1__ClaimTasksResponse response = DIALPLANE__V1__CLAIM_TASKS_RESPONSE__INIT;
    struct err err = {0};
    int count = pg_rows(rows);

    waiter->is_over = true;
    response.tasks = ARENA_ARRAY(rpc_call_arena(call), Dialplane__V1__ClaimedTask *, (size_t)count);
    for (int i = 0; response.tasks && i < count; i++) {
        Dialplane__V1__ClaimedTask *task = task_from_claim(call, rows, i, &err);

        if (!task)
            break;
        response.tasks[response.n_tasks++] = task;
    }
    if ((int)response.n_tasks == count)
        rpc_reply(call, &response.base);
    else if (err_is_set(&err))
        rpc_fail(call, &err);
    else
        fail_memory(call);
}

/* ---- Asking ---- */

static void on_claimed(void *context, const struct pg_outcome *outcome);

/* Fresh ids, as many as tasks may be handed out. */
static const char **make_call_ids(struct campaign_service *service, struct arena *arena, int count)
{
    const char **ids = ARENA_ARRAY(arena, const char *, (size_t)count);

    for (int i = 0; ids && i < count; i++) {
        struct uuid id = uuid_v7(loop_clock(service->loop), &service->entropy);
        char *text = arena_alloc(arena, UUID_TEXT_SIZE);

        if (!text)
            return NULL;
        uuid_format(&id, text);
        ids[i] = text;
    }
    return ids;
}

static void ask(struct waiter *waiter)
{
    struct campaign_service *service = waiter->queue->service;
    const Dialplane__V1__ClaimTasksRequest *request = waiter->request;
    struct arena *arena = arena_new(64 * (size_t)1024);
    const char **call_ids = arena ? make_call_ids(service, arena, request->max) : NULL;
    struct pg_params params = {.arena = arena};

    if (!call_ids) {
        arena_free(arena);
        waiter->is_over = true;
        fail_memory(waiter->call);
        return;
    }
    pg_param_text(&params, request->worker_id);
    pg_param_int64(&params, request->max);
    pg_param_text(&params, waiter->company_id);
    pg_param_text(
        &params, request->_campaign_id_case && *request->campaign_id ? request->campaign_id : NULL);
    pg_param_text_array(&params, call_ids, (size_t)request->max);
    pg_param_int64(&params, service->lease_us);
    waiter->asking = arena;
    pg_write(service->pool, rpc_call_owner(waiter->call), &sql_claim_tasks, &params, on_claimed,
             waiter);
}

static void on_claimed(void *context, const struct pg_outcome *outcome)
{
    struct waiter *waiter = context;
    struct claim_queue *queue = waiter->queue;
    int64_t left_us = waiter->until_us - now_us(queue);

    arena_free(waiter->asking);
    waiter->asking = NULL;
    if (!outcome->result) {
        waiter->is_over = true;
        rpc_fail(waiter->call, &outcome->err);
    } else if (!pg_is_null(outcome->result, 0, COLUMN_CALL_ID)) {
        reply_tasks(waiter, outcome->result);
        wake(queue, 1);
    } else if (rpc_call_is_cancelled(waiter->call)) {
        waiter->is_over = true;
        rpc_fail_code(waiter->call, ERR_CANCELLED, NULL, "the request was cancelled");
    } else if (left_us <= 0 || queue->stopping) {
        reply_nothing(waiter);
    } else if (queue->waiting >= queue->limit) {
        struct err err = {0};

        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "too many agents wait for a task");
        err.retry_after_seconds = 1;
        waiter->is_over = true;
        rpc_fail(waiter->call, &err);
    } else {
        int64_t again_us = pg_int64(outcome->result, 0, COLUMN_TRY_AGAIN_MS) * 1000;

        park(waiter, again_us < left_us ? again_us : left_us);
    }
}

void claim_tasks(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ClaimTasksRequest *request = (void *)request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct waiter *waiter = ARENA_NEW(arena, struct waiter);
    const char *own = rpc_call_principal(call)->company_id;
    int64_t deadline_us = rpc_call_owner(call)->deadline_us;

    if (!waiter || !rpc_apply_defaults(service->schema, &request->base, arena)) {
        fail_memory(call);
        return;
    }
    waiter->call = call;
    waiter->queue = service->claims;
    waiter->request = request;
    waiter->company_id =
        request->_company_id_case && *request->company_id ? request->company_id : own;
    waiter->until_us = now_us(waiter->queue) + request->wait_ms * INT64_C(1000);
    if (deadline_us && waiter->until_us > deadline_us - DEADLINE_MARGIN_US)
        waiter->until_us = deadline_us - DEADLINE_MARGIN_US;
    if (own && !str_equal_ignore_case(str_from(own), str_from(waiter->company_id))) {
        reply_nothing(waiter); /* another's tasks do not exist for the caller */
        return;
    }
    rpc_call_on_cancel(call, on_cancelled, waiter);
    ask(waiter);
}
