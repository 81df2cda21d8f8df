/* A group is the waiters that look for the same tasks, as the same company. It has one statement
 * under way at most: agents by the dozen that all ask the database would only stand in each other's
 * way there.
 *
 *   claims_add() ─▶ waiters of the group ─▶ ask() ─▶ on_claimed() ─ tasks: share them, ask again
 * for ▲                             │          who got none └── timer, hint, newcomer ────┴
 * nothing: wait until the database named, a second at most
 *
 * A claim whose client has gone meanwhile is not undone here: its lease runs out and the attempt is
 * refunded. */
#include "claims.h"

#include "campaign.h"
#include "campaign_sql.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Tasks in one statement; at least what one waiter may want. */
#define ASK_MOST 200
/* A hint may be lost: nobody waits longer before the database is asked again. */
#define TRY_AGAIN_MOST_US TIME_US_PER_SECOND

struct claim_group {
    struct claim_group *previous, *next;
    struct claim_queue *queue;
    char *company_id, *campaign_id;    /* NULL: any */
    struct pg_owner owner;             /* as whom it asks … */
    char *owner_company_id;            /* … and its company; NULL: every one */
    struct claim_waiter *first, *last; /* oldest first; those whom the statement answers for, too */
    struct asking *asking;             /* NULL: no statement is under way */
    bool ask_again;                    /* a hint came meanwhile */
    bool is_due;                       /* ask() at the end of this turn */
    struct loop_timer *timer;          /* of the next question; NULL: none, or it is under way */
};

/* A statement under way. */
struct asking {
    struct claim_group *group;
    struct arena *arena;
    struct uuid ids[ASK_MOST];             /* of the calls, in order of the waiters … */
    struct claim_waiter *owners[ASK_MOST]; /* … and whose each is */
    size_t wanted;
};

struct claim_queue {
    struct campaign_service *service;
    struct claim_group *groups;
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

/* ---- Groups ---- */

static bool is_same(const char *a, const char *b)
{
    return a && b ? str_equal_ignore_case(str_from(a), str_from(b)) : a == b;
}

static void group_free(struct claim_group *group)
{
    free(group->company_id);
    free(group->campaign_id);
    free(group->owner_company_id);
    free(group);
}

static struct claim_group *group_new(struct claim_queue *queue, const struct claim_waiter *waiter)
{
    struct claim_group *group = calloc(1, sizeof(*group));
    struct pg_identity identity = pg_shared_identity(rpc_call_owner(waiter->call));

    if (!group)
        return NULL;
    group->queue = queue;
    group->owner_company_id = identity.company_id ? strdup(identity.company_id) : NULL;
    group->owner.identity = identity;
    group->owner.identity.company_id = group->owner_company_id;
    group->company_id = waiter->company_id ? strdup(waiter->company_id) : NULL;
    group->campaign_id = waiter->campaign_id ? strdup(waiter->campaign_id) : NULL;
    if ((waiter->company_id && !group->company_id) ||
        (identity.company_id && !group->owner_company_id) ||
        (waiter->campaign_id && !group->campaign_id)) {
        group_free(group);
        return NULL;
    }
    group->next = queue->groups;
    if (group->next)
        group->next->previous = group;
    queue->groups = group;
    return group;
}

/* The list is short: as many groups as waiters at most, and agents of one fleet ask alike. */
static struct claim_group *group_of(struct claim_queue *queue, const struct claim_waiter *waiter)
{
    for (struct claim_group *group = queue->groups; group; group = group->next) {
        if (is_same(group->company_id, waiter->company_id) &&
            is_same(group->campaign_id, waiter->campaign_id) &&
            pg_may_share(&group->owner, rpc_call_owner(waiter->call)))
            return group;
    }
    return group_new(queue, waiter);
}

static void group_drop_if_idle(struct claim_group *group)
{
    if (group->first || group->asking || group->is_due)
        return;
    loop_timer_cancel(group->timer);
    *(group->previous ? &group->previous->next : &group->queue->groups) = group->next;
    if (group->next)
        group->next->previous = group->previous;
    group_free(group);
}

/* Its answer follows. */
static void leave(struct claim_waiter *waiter)
{
    struct claim_group *group = waiter->group;

    *(waiter->previous ? &waiter->previous->next : &group->first) = waiter->next;
    *(waiter->next ? &waiter->next->previous : &group->last) = waiter->previous;
    waiter->is_over = true;
    group->queue->waiting--;
}

static void leave_with_nothing(struct claim_waiter *waiter)
{
    leave(waiter);
    waiter->on_tasks(waiter, NULL, NULL, 0);
}

static void leave_failed(struct claim_waiter *waiter, const struct err *err)
{
    leave(waiter);
    waiter->on_failed(waiter, err);
}

static void leave_cancelled(struct claim_waiter *waiter)
{
    struct err err = {0};

    err_set(&err, ERR_CANCELLED, NULL, "the request was cancelled");
    leave_failed(waiter, &err);
}

/* ---- Asking ---- */

static void on_claimed(void *context, const struct pg_outcome *outcome);
static void ask(struct claim_group *group);

static void on_time(void *context)
{
    struct claim_group *group = context;

    group->timer = NULL; /* it has freed itself */
    ask(group);
}

static void ask_after(struct claim_group *group, int64_t after_us)
{
    loop_timer_cancel(group->timer);
    group->timer = loop_timer_start(group->queue->service->loop, after_us, on_time, group);
}

static void on_due(void *context)
{
    struct claim_group *group = context;

    group->is_due = false;
    ask(group);
}

/* At the end of the turn: who comes in the same one asks together. */
static void ask_soon(struct claim_group *group)
{
    if (group->asking) {
        group->ask_again = true;
    } else if (!group->is_due) {
        group->is_due = true;
        loop_defer(group->queue->service->loop, on_due, group);
    }
}

/* Takes as many waiters as fit, oldest first. Should there be nothing, that is said to all who wait
 * now. */
static void take_waiters(struct asking *asking)
{
    struct campaign_service *service = asking->group->queue->service;
    bool is_full = false;

    for (struct claim_waiter *waiter = asking->group->first; waiter; waiter = waiter->next) {
        waiter->is_covered = true;
        is_full = is_full || asking->wanted + waiter->wanted > ASK_MOST;
        if (is_full)
            continue;
        for (size_t i = 0; i < waiter->wanted; i++, asking->wanted++) {
            asking->ids[asking->wanted] = uuid_v7(loop_clock(service->loop), &service->entropy);
            asking->owners[asking->wanted] = waiter;
        }
    }
}

static bool fill_params(struct asking *asking, struct pg_params *params)
{
    struct arena *arena = asking->arena;
    const char **workers = ARENA_ARRAY(arena, const char *, asking->wanted);
    const char **ids = ARENA_ARRAY(arena, const char *, asking->wanted);

    for (size_t i = 0; workers && ids && i < asking->wanted; i++) {
        char *text = arena_alloc(arena, UUID_TEXT_SIZE);

        if (!text)
            break;
        uuid_format(&asking->ids[i], text);
        ids[i] = text;
        workers[i] = asking->owners[i]->worker_id;
    }
    if (arena_is_exhausted(arena))
        return false;
    pg_param_text_array(params, workers, asking->wanted);
    pg_param_text(params, asking->group->company_id);
    pg_param_text(params, asking->group->campaign_id);
    pg_param_text_array(params, ids, asking->wanted);
    pg_param_int64(params, asking->group->queue->service->lease_us);
    return !params->failed;
}

static void ask(struct claim_group *group)
{
    struct pg_params params = {0};
    struct asking *asking;

    if (group->asking || !group->first) {
        group_drop_if_idle(group);
        return;
    }
    loop_timer_cancel(group->timer);
    group->timer = NULL;
    params.arena = arena_new(256 * (size_t)1024);
    asking = params.arena ? ARENA_NEW(params.arena, struct asking) : NULL;
    if (asking) {
        asking->group = group;
        asking->arena = params.arena;
        take_waiters(asking);
    }
    if (!asking || !fill_params(asking, &params)) { /* memory is short: later, perhaps */
        arena_free(params.arena);
        ask_after(group, TRY_AGAIN_MOST_US);
        return;
    }
    group->ask_again = false;
    group->asking = asking;
    pg_write(group->queue->service->pool, &group->owner, &sql_claim_tasks, &params, on_claimed,
             asking);
}

/* ---- Sharing ---- */

/* Rows come in the order of the ids, with gaps. */
static void share(struct asking *asking, const struct pg_result *result)
{
    size_t place = 0;
    int row = 0, count = pg_rows(result);

    while (row < count) {
        struct claim_waiter *waiter = NULL;
        int rows[CLAIM_MOST];
        size_t taken = 0;

        for (; row < count; row++) {
            struct uuid id = pg_uuid(result, row, CLAIM_CALL_ID);

            while (place < asking->wanted && memcmp(&asking->ids[place], &id, sizeof(id)) != 0)
                place++;
            if (place == asking->wanted || (waiter && asking->owners[place] != waiter))
                break;
            waiter = asking->owners[place];
            rows[taken++] = row;
        }
        if (!waiter) { /* a call that nobody asked for: its lease will run out */
            log_event(LOG_LEVEL_ERROR, "claim_out_of_order", log_int("rows", count));
            return;
        }
        leave(waiter);
        waiter->on_tasks(waiter, result, rows, taken);
    }
}

/* There is nothing: who cannot wait has his answer. */
static void tell(struct claim_group *group)
{
    struct claim_queue *queue = group->queue;
    int64_t now = now_us(queue);

    for (struct claim_waiter *waiter = group->first, *next; waiter; waiter = next) {
        next = waiter->next;
        if (!waiter->is_covered)
            continue;
        waiter->is_covered = false;
        if (rpc_call_is_cancelled(waiter->call)) {
            leave_cancelled(waiter);
        } else if (waiter->until_us <= now || queue->stopping) {
            leave_with_nothing(waiter);
        } else if (queue->waiting > queue->limit && !waiter->was_told) {
            struct err err = {0};

            err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "too many agents wait for a task");
            err.retry_after_seconds = 1;
            leave_failed(waiter, &err);
        } else {
            waiter->was_told = true;
        }
    }
}

static void fail_covered(struct claim_group *group, const struct err *err)
{
    for (struct claim_waiter *waiter = group->first, *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->is_covered)
            leave_failed(waiter, err);
    }
}

static void dismiss(struct claim_group *group)
{
    for (struct claim_waiter *waiter = group->first, *next; waiter; waiter = next) {
        next = waiter->next;
        leave_with_nothing(waiter);
    }
}

/* The next question of those who still wait: at once when somebody has not been told anything. */
static void go_on(struct claim_group *group, int64_t again_us)
{
    int64_t now = now_us(group->queue);

    if (group->queue->stopping)
        dismiss(group);
    for (const struct claim_waiter *waiter = group->first; waiter; waiter = waiter->next) {
        if (!waiter->was_told || waiter->is_covered)
            again_us = 0;
        else if (waiter->until_us - now < again_us)
            again_us = waiter->until_us > now ? waiter->until_us - now : 0;
    }
    if (!group->first)
        group_drop_if_idle(group);
    else if (again_us <= 0 || group->ask_again)
        ask_soon(group);
    else
        ask_after(group, again_us);
}

static void on_claimed(void *context, const struct pg_outcome *outcome)
{
    struct asking *asking = context;
    struct claim_group *group = asking->group;
    int64_t again_us = TRY_AGAIN_MOST_US;

    if (!outcome->result) {
        fail_covered(group, &outcome->err);
    } else if (pg_is_null(outcome->result, 0, CLAIM_CALL_ID)) {
        again_us = pg_int64(outcome->result, 0, CLAIM_TRY_AGAIN_MS) * 1000;
        tell(group);
    } else {
        share(asking, outcome->result); /* the others stay covered: they ask again at once */
    }
    group->asking = NULL;
    arena_free(asking->arena);
    go_on(group, again_us);
}

/* ---- Who waits ---- */

static void on_cancelled(void *context)
{
    struct claim_waiter *waiter = context;

    if (waiter->is_over || waiter->is_covered) /* the answer comes and ends it */
        return;
    leave_cancelled(waiter);
    if (!waiter->group->first)
        group_drop_if_idle(waiter->group);
}

void claims_add(struct claim_queue *queue, struct claim_waiter *waiter)
{
    struct claim_group *group;

    if (queue->stopping) {
        waiter->on_tasks(waiter, NULL, NULL, 0);
        return;
    }
    group = group_of(queue, waiter);
    if (!group) {
        struct err err = {0};

        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "the service is short of memory");
        waiter->on_failed(waiter, &err);
        return;
    }
    waiter->group = group;
    waiter->next = NULL;
    waiter->previous = group->last;
    *(group->last ? &group->last->next : &group->first) = waiter;
    group->last = waiter;
    queue->waiting++;
    rpc_call_on_cancel(waiter->call, on_cancelled, waiter);
    if (!group->asking) /* else it asks when that has been answered */
        ask_soon(group);
}

void claims_wake(struct claim_queue *queue)
{
    for (struct claim_group *group = queue->groups; group; group = group->next)
        ask_soon(group);
}

void claims_stop(struct claim_queue *queue)
{
    queue->stopping = true;
    for (struct claim_group *group = queue->groups, *next; group; group = next) {
        next = group->next;
        if (!group->asking) { /* else its answer is still to come */
            dismiss(group);
            group_drop_if_idle(group);
        }
    }
}
