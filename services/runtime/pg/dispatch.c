/* Who goes next: fills idle connections at the end of each turn, and sweeps out what has waited too
 * long. */
#include "pg/internal.h"

#include <stdlib.h>

/* How far down the queue a batch looks for units that fit its statement_timeout. */
#define LOOK_AHEAD 256
/* While the server is away and somebody waits, one new attempt per kind in this time. */
#define HURRY_US INT64_C(500000)
/* Patience when the server has been away for longer than a whole wait. */
#define SHORT_WAIT_US TIME_US_PER_SECOND
/* The server ends a statement at its timeout; silence for this much longer means that it, or the
 * way to it, is gone. */
#define SILENCE_GRACE_US (5 * TIME_US_PER_SECOND)
/* Less is not worth the switch, and the switch itself must not run into it. */
#define LEAST_TIMEOUT_MS 10

uint32_t pool_needed_ms(const struct pg_pool *pool, const struct pg_owner *owner)
{
    if (!owner->deadline_us)
        return pool->statement_timeout_ms;
    int64_t left_ms = (owner->deadline_us - pool_now_us(pool) + 999) / 1000;
    if (left_ms < LEAST_TIMEOUT_MS)
        left_ms = LEAST_TIMEOUT_MS;
    return left_ms < pool->statement_timeout_ms ? (uint32_t)left_ms : pool->statement_timeout_ms;
}

void pool_requeue(struct pg_pool *pool, struct unit_queue *units)
{
    if (!units->first)
        return;
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, NULL, "the service is stopping");
    struct unit_queue reads = {0}, writes = {0};
    struct unit *unit;
    while ((unit = unit_queue_pop(units))) {
        if (pool->closing) {
            unit_finish_error(unit, &err);
            continue;
        }
        unit->queued_us = pool_now_us(pool);
        unit_queue_push(unit->kind == UNIT_READ ? &reads : &writes, unit);
    }
    unit_queue_prepend(&pool->reads, &reads);
    unit_queue_prepend(&pool->writes, &writes);
    if (pool->closing)
        return;
    pool_schedule(pool);
    pool_arm_sweep(pool, SWEEP_WAITING_US);
}

/* Moves units that nobody waits for from the front to `over`; gives the first that somebody does.
 */
static struct unit *first_alive(struct unit_queue *queue, int64_t now_us, struct unit_queue *over)
{
    while (queue->first && unit_is_over(queue->first, now_us, NULL))
        unit_queue_push(over, unit_queue_pop(queue));
    return queue->first;
}

/* Answers them; the callbacks may do anything, therefore last. */
static void finish_over(struct unit_queue *over, int64_t now_us)
{
    struct unit *unit;
    while ((unit = unit_queue_pop(over))) {
        struct err err = {0};
        if (!unit_is_over(unit, now_us, &err))
            err_set(&err, ERR_CANCELLED, NULL, "the request was cancelled");
        unit_finish_error(unit, &err);
    }
}

static bool batch_fit_timeout(struct connection *connection, uint32_t needed_ms)
{
    if (timeout_suits(connection->timeout_ms, needed_ms))
        return true;
    return batch_add_timeout(connection,
                             timeout_quantise(needed_ms, connection->pool->statement_timeout_ms));
}

/* Slow reads must leave one connection to the quick ones, where there is more than one. */
static bool may_run_slow(const struct pg_pool *pool)
{
    const struct kind_state *state = &pool->kinds[CONNECTION_READ];
    unsigned running = 0;
    for (unsigned i = 0; i < state->count; i++)
        running += pool->connections[state->first + i].runs_slow;
    return running == 0 || running + 1 < state->count;
}

/* The first read that may run now, and the one before it; NULL when all that wait are slow and
 * enough of those run. */
static struct unit *next_read(struct pg_pool *pool, int64_t now_us, struct unit_queue *over,
                              struct unit **ret_before)
{
    bool slow_too = may_run_slow(pool);
    *ret_before = NULL;
    for (struct unit *unit = pool->reads.first, *next; unit; unit = next) {
        next = unit->next;
        if (!slow_too && statement_is_slow(&pool->statements, unit->slot)) {
            *ret_before = unit;
        } else if (unit_is_over(unit, now_us, NULL)) {
            unit_queue_remove(&pool->reads, *ret_before, unit);
            unit_queue_push(over, unit);
        } else {
            return unit;
        }
    }
    return NULL;
}

/* Puts them into the batch, those of one company behind each other: the server is told of each
 * company once. Reads do not depend on each other's order. */
static bool batch_add_reads(struct connection *connection, struct unit **units, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!units[i])
            continue;
        const struct pg_owner *owner = &units[i]->owner;
        for (unsigned k = i; k < count; k++) {
            struct unit *unit = units[k];
            if (!unit || !pg_may_share(owner, &unit->owner))
                continue;
            units[k] = NULL;
            if (!batch_add_unit(connection, unit)) {
                /* What has not been sent goes elsewhere with what has. */
                for (unsigned rest = 0; rest < count; rest++)
                    if (units[rest])
                        unit_queue_push(&connection->aborted, units[rest]);
                return false;
            }
        }
    }
    return true;
}

/* Natural batching: whatever has queued up goes out as one batch, as long as it fits the first
 * one's timeout. */
static bool batch_fill_reads(struct connection *connection, struct unit *before, struct unit *unit,
                             int64_t now_us, struct unit_queue *over)
{
    struct pg_pool *pool = connection->pool;
    struct unit_queue *queue = &pool->reads;
    if (!batch_fit_timeout(connection, pool_needed_ms(pool, &unit->owner)))
        return false;
    connection->runs_slow = statement_is_slow(&pool->statements, unit->slot);
    if (unit->isolated || connection->runs_slow) {
        unit_queue_remove(queue, before, unit);
        return batch_add_unit(connection, unit);
    }
    struct unit **units = pool->batch;
    unsigned taken = 0;
    for (unsigned seen = 0; unit && seen < LOOK_AHEAD && taken < pool->batch_limit; seen++) {
        struct unit *next = unit->next;
        if (unit_is_over(unit, now_us, NULL)) {
            unit_queue_remove(queue, before, unit);
            unit_queue_push(over, unit);
        } else if (!unit->isolated && !statement_is_slow(&pool->statements, unit->slot) &&
                   timeout_suits(connection->timeout_ms, pool_needed_ms(pool, &unit->owner))) {
            unit_queue_remove(queue, before, unit);
            units[taken++] = unit;
        } else {
            before = unit;
        }
        unit = next;
    }
    return batch_add_reads(connection, units, taken);
}

static bool batch_fill_write(struct connection *connection)
{
    struct pg_pool *pool = connection->pool;
    return batch_fit_timeout(connection, pool_needed_ms(pool, &pool->writes.first->owner)) &&
           batch_add_unit(connection, unit_queue_pop(&pool->writes));
}

static void dispatch_kind(struct pg_pool *pool, enum connection_kind kind, int64_t now_us,
                          struct unit_queue *over)
{
    struct unit_queue *queue = kind == CONNECTION_READ ? &pool->reads : &pool->writes;
    struct kind_state *state = &pool->kinds[kind];
    for (unsigned i = 0; i < state->count; i++) {
        if (!first_alive(queue, now_us, over))
            return;
        struct connection *connection =
            &pool->connections[state->first + (state->turn + i) % state->count];
        if (connection->state != CONNECTION_IDLE)
            continue;
        struct unit *before = NULL;
        struct unit *unit =
            kind == CONNECTION_READ ? next_read(pool, now_us, over, &before) : queue->first;
        if (!unit)
            return;
        connection->state = CONNECTION_BUSY;
        batch_begin(connection);
        bool good = kind == CONNECTION_READ
                        ? batch_fill_reads(connection, before, unit, now_us, over)
                        : batch_fill_write(connection);
        if (good && batch_send(connection))
            connection_flush(connection);
        else
            connection_lost(connection, PQerrorMessage(connection->conn));
        pool_arm_sweep(pool, SWEEP_RUNNING_US);
    }
    state->turn = (state->turn + 1) % state->count;
}

void pool_hurry(struct pg_pool *pool, enum connection_kind kind, int64_t now_us)
{
    const struct kind_state *state = &pool->kinds[kind];
    if (state->up)
        return;
    struct connection *sleeping = NULL;
    for (unsigned i = 0; i < state->count; i++) {
        struct connection *connection = &pool->connections[state->first + i];
        if (now_us - connection->attempted_us < HURRY_US)
            return;
        if (connection->state == CONNECTION_BACKOFF)
            sleeping = connection;
    }
    if (sleeping)
        connection_start(sleeping);
}

void pool_dispatch(struct pg_pool *pool)
{
    int64_t now_us = pool_now_us(pool);
    struct unit_queue over = {0};
    dispatch_kind(pool, CONNECTION_READ, now_us, &over);
    dispatch_kind(pool, CONNECTION_WRITE, now_us, &over);
    if (!pool->closing)
        sessions_dispatch(pool);
    finish_over(&over, now_us);
}

static void on_dispatch(void *context)
{
    struct pg_pool *pool = context;
    pool->dispatch_is_due = false;
    if (!pool->closing)
        pool_dispatch(pool);
}

void pool_schedule(struct pg_pool *pool)
{
    if (pool->dispatch_is_due || pool->closing)
        return;
    pool->dispatch_is_due = true;
    loop_defer(pool->loop, on_dispatch, pool);
}

int64_t pool_patience_us(const struct pg_pool *pool, enum connection_kind kind, int64_t now_us)
{
    int64_t down_since_us = pool->kinds[kind].down_since_us;
    /* Sessions are opened on demand: whether the server is there, the writes know. */
    if (kind == CONNECTION_SESSION)
        down_since_us = pool->kinds[CONNECTION_WRITE].down_since_us;
    if (down_since_us && now_us - down_since_us > pool->queue_wait_us &&
        pool->queue_wait_us > SHORT_WAIT_US)
        return SHORT_WAIT_US;
    return pool->queue_wait_us;
}

static void sweep_queue(struct pg_pool *pool, enum connection_kind kind, int64_t now_us,
                        struct unit_queue *over, struct unit_queue *late)
{
    struct unit_queue *queue = kind == CONNECTION_READ ? &pool->reads : &pool->writes;
    int64_t patience_us = pool_patience_us(pool, kind, now_us);
    struct unit *before = NULL;
    for (struct unit *unit = queue->first, *next; unit; unit = next) {
        next = unit->next;
        bool is_over = unit_is_over(unit, now_us, NULL);
        if (!is_over && now_us - unit->queued_us < patience_us) {
            before = unit;
            continue;
        }
        unit_queue_remove(queue, before, unit);
        unit_queue_push(is_over ? over : late, unit);
    }
    if (queue->first)
        pool_hurry(pool, kind, now_us);
}

/* Connections whose server has been silent for longer than any statement may take. */
static void sweep_silent(struct pg_pool *pool, int64_t now_us)
{
    for (unsigned i = 0; i < pool->connection_count && !pool->closing; i++) {
        struct connection *connection = &pool->connections[i];
        int64_t limit_us = 0;
        if (connection->state == CONNECTION_BUSY) {
            uint32_t timeout_ms =
                connection->timeout_ms ? connection->timeout_ms : pool->statement_timeout_ms;
            limit_us = timeout_ms * INT64_C(1000) + SILENCE_GRACE_US;
        } else if (connection->state == CONNECTION_COPY) {
            limit_us = copy_silence_limit_us(connection);
        }
        if (limit_us && now_us - connection->progress_us > limit_us)
            connection_lost(connection, "no answer in time");
    }
}

static void on_sweep(void *context)
{
    struct pg_pool *pool = context;
    int64_t now_us = pool_now_us(pool);
    pool->sweep = NULL;
    bool running = false;
    for (unsigned i = 0; i < pool->connection_count; i++)
        running |= pool->connections[i].state >= CONNECTION_BUSY;
    if (running)
        pool_arm_sweep(pool, SWEEP_RUNNING_US);

    struct unit_queue over = {0}, late_reads = {0}, late_writes = {0};
    sweep_queue(pool, CONNECTION_READ, now_us, &over, &late_reads);
    sweep_queue(pool, CONNECTION_WRITE, now_us, &over, &late_writes);
    struct err read_err = {0}, write_err = {0};
    void (*read_why)(struct err *) =
        pool->kinds[CONNECTION_READ].up ? err_set_busy : err_set_unreachable;
    void (*write_why)(struct err *) =
        pool->kinds[CONNECTION_WRITE].up ? err_set_busy : err_set_unreachable;
    read_why(&read_err);
    write_why(&write_err);
    if (pool->reads.first || pool->writes.first || pool->first_waiting)
        pool_arm_sweep(pool, SWEEP_WAITING_US);

    /* From here on there are callbacks; the pool's memory outlives them, its content may not. */
    sweep_silent(pool, now_us);
    if (!pool->closing)
        sessions_sweep(pool, now_us);
    struct unit *unit;
    while ((unit = unit_queue_pop(&late_reads)))
        unit_finish_error(unit, &read_err);
    while ((unit = unit_queue_pop(&late_writes)))
        unit_finish_error(unit, &write_err);
    finish_over(&over, now_us);
}

void pool_arm_sweep(struct pg_pool *pool, int64_t after_us)
{
    if (pool->closing)
        return;
    int64_t due_us = pool_now_us(pool) + after_us;
    if (pool->sweep && pool->sweep_due_us <= due_us)
        return;
    loop_timer_cancel(pool->sweep);
    pool->sweep_due_us = due_us;
    pool->sweep = loop_timer_start(pool->loop, after_us, on_sweep, pool);
}
