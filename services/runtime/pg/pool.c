/* The pool: what it is made of, how it is asked, and what it tells about itself.
 *
 * The happy path: pg_read() and pg_write() put a unit in a queue and mark the pool; at the end of
 * the loop's turn dispatch.c hands queued units to idle connections; pipeline.c sends them and
 * answers them; a free connection marks the pool again. When the server goes away, connection.c
 * connects again with backoff while units wait, and dispatch.c's sweep fails those that have waited
 * too long. */
#include "pg/internal.h"

#include "base/log.h"

#include <stdlib.h>

#define UNREACHABLE_LOG_EVERY_US (30 * TIME_US_PER_SECOND)

int64_t pool_now_us(const struct pg_pool *pool)
{
    const struct clock *clock = loop_clock(pool->loop);
    return clock->monotonic_us(clock);
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

struct pg_pool *pg_pool_new(struct loop *loop, const struct pg_options *options)
{
    struct pg_pool *pool = xcalloc(1, sizeof(*pool));
    pool->loop = loop;
    size_t size = strlen(options->connection_string) + 1;
    pool->connection_string = memcpy(xcalloc(1, size), options->connection_string, size);
    pool->batch_limit = or_default(options->batch_limit, 64);
    pool->batch = xcalloc(pool->batch_limit, sizeof(*pool->batch));
    pool->queue_limit = or_default(options->queue_limit, 4096);
    pool->queue_wait_us =
        options->queue_wait_us > 0 ? options->queue_wait_us : 5 * TIME_US_PER_SECOND;
    int64_t timeout_us =
        options->statement_timeout_us > 0 ? options->statement_timeout_us : 30 * TIME_US_PER_SECOND;
    pool->statement_timeout_ms = timeout_us < INT64_C(86400000000)
                                     ? (uint32_t)((timeout_us + 999) / 1000)
                                     : UINT32_C(86400000);
    entropy_init_system(&pool->entropy);
    identity_prepare(pool, options->roles);

    const unsigned counts[CONNECTION_KINDS] = {
        or_default(options->read_connections, 2),
        or_default(options->write_connections, 8),
        or_default(options->session_connections, 4),
    };
    for (int kind = 0; kind < CONNECTION_KINDS; kind++)
        pool->connection_count += counts[kind];
    pool->connections = xcalloc(pool->connection_count, sizeof(*pool->connections));
    unsigned next = 0;
    for (int kind = 0; kind < CONNECTION_KINDS; kind++) {
        pool->kinds[kind].first = next;
        pool->kinds[kind].count = counts[kind];
        pool->kinds[kind].down_since_us = pool_now_us(pool);
        for (unsigned i = 0; i < counts[kind]; i++, next++)
            connection_init(&pool->connections[next], pool, (enum connection_kind)kind);
    }
    for (unsigned i = 0; i < pool->kinds[CONNECTION_SESSION].first; i++)
        connection_start(&pool->connections[i]);
    return pool;
}

static void on_memory_unused(void *context)
{
    struct pg_pool *pool = context;
    for (unsigned i = 0; i < pool->connection_count; i++)
        connection_done(&pool->connections[i]);
    statements_done(&pool->statements);
    free(pool->connections);
    free(pool->batch);
    free(pool->connection_string);
    free(pool);
}

void pg_pool_free(struct pg_pool *pool)
{
    if (!pool)
        return;
    pool->closing = true;
    loop_timer_cancel(pool->sweep);
    pool->sweep = NULL;
    struct unit_queue units = pool->reads;
    pool->reads = (struct unit_queue){0};
    unit_queue_append(&units, &pool->writes);
    for (unsigned i = 0; i < pool->connection_count; i++)
        connection_lost(&pool->connections[i], "stopping");
    sessions_cancel_waiting(pool);
    struct err err = {0};
    err_set(&err, ERR_CANCELLED, NULL, "the service is stopping");
    struct unit *unit;
    while ((unit = unit_queue_pop(&units)))
        unit_finish_error(unit, &err);
    /* A dispatch may be due, or one of our own functions may be running further up the stack. */
    loop_defer(pool->loop, on_memory_unused, pool);
}

bool pg_pool_is_ready(const struct pg_pool *pool)
{
    return pool->kinds[CONNECTION_READ].up && pool->kinds[CONNECTION_WRITE].up;
}

void pg_pool_stats(const struct pg_pool *pool, struct pg_pool_stats *ret_stats)
{
    *ret_stats = (struct pg_pool_stats){
        .connections_wanted = pool->kinds[CONNECTION_SESSION].first,
        .units_waiting =
            (unsigned)(pool->reads.count + pool->writes.count) + pool->sessions_waiting,
        .statements = pool->count_statements,
        .batches = pool->count_batches,
        .errors = pool->count_errors,
        .reconnects = pool->count_reconnects,
        .wait = pool->wait,
        .run = pool->run,
    };
    memcpy(ret_stats->batch_sizes, pool->batch_sizes, sizeof(pool->batch_sizes));
    for (unsigned i = 0; i < pool->connection_count; i++) {
        const struct connection *connection = &pool->connections[i];
        if (connection->kind != CONNECTION_SESSION && connection_is_up(connection))
            ret_stats->connections_up++;
        if (connection->session) {
            ret_stats->sessions_used++;
            ret_stats->units_waiting += (unsigned)connection->session->units.count;
        }
        for (unsigned at = connection->step_at; at < connection->step_count; at++)
            if (connection->steps[at].kind == STEP_QUERY && connection->steps[at].unit)
                ret_stats->units_running++;
    }
}

bool pool_accepts(struct pg_pool *pool, struct unit *unit, const struct pg_params *params,
                  struct err *err)
{
    unit->asked_us = pool_now_us(pool);
    if (pool->closing)
        return err_set(err, ERR_CANCELLED, NULL, "the service is stopping");
    if (params && params->failed) {
        log_event(LOG_LEVEL_ERROR, "sql_parameters_failed",
                  log_text("statement", unit->statement->name));
        return err_set(err, ERR_INTERNAL, NULL, "internal error");
    }
    if (params && params->has_nul)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "a text contains the character U+0000, which cannot be stored");
    if (!identity_check(&unit->owner.identity, unit->statement->name, err) ||
        !statements_find(&pool->statements, unit->statement, &unit->slot, err))
        return false;
    unit->pool = pool;
    return true;
}

static void pool_submit(struct pg_pool *pool, struct unit *unit, const struct pg_params *params)
{
    struct err err = {0};
    struct unit_queue *queue = unit->kind == UNIT_READ ? &pool->reads : &pool->writes;
    if (!pool_accepts(pool, unit, params, &err)) {
        unit_refuse_later(pool->loop, unit, &err);
        return;
    }
    if (pool->reads.count + pool->writes.count + pool->sessions_waiting >= pool->queue_limit) {
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "too much work is waiting for the database");
        err.retry_after_seconds = 1;
        unit_refuse_later(pool->loop, unit, &err);
        return;
    }
    unit->queued_us = pool_now_us(pool);
    unit_queue_push(queue, unit);
    pool_schedule(pool);
    pool_arm_sweep(pool, SWEEP_WAITING_US);
}

void pg_read(struct pg_pool *pool, const struct pg_owner *owner,
             const struct pg_statement *statement, const struct pg_params *params,
             pg_callback *callback, void *context)
{
    pool_submit(pool, unit_new(UNIT_READ, owner, statement, params, callback, context), params);
}

void pg_write(struct pg_pool *pool, const struct pg_owner *owner,
              const struct pg_statement *statement, const struct pg_params *params,
              pg_callback *callback, void *context)
{
    pool_submit(pool, unit_new(UNIT_WRITE, owner, statement, params, callback, context), params);
}

static unsigned pool_up(const struct pg_pool *pool)
{
    unsigned up = 0;
    for (int kind = 0; kind < CONNECTION_KINDS; kind++)
        up += pool->kinds[kind].up;
    return up;
}

void pool_note_up(struct pg_pool *pool, enum connection_kind kind)
{
    bool was_down = pool_up(pool) == 0;
    pool->kinds[kind].up++;
    pool->kinds[kind].down_since_us = 0;
    if (kind != CONNECTION_SESSION)
        pool->count_reconnects++;
    if (pool->reported_down) {
        pool->reported_down = false;
        log_event(LOG_LEVEL_INFO, "database_reachable", log_int("connections", pool_up(pool)));
    }
    if (!was_down)
        return;
    /* The server is back: the others need not sleep on. */
    for (unsigned i = 0; i < pool->connection_count; i++)
        if (pool->connections[i].state == CONNECTION_BACKOFF)
            connection_start(&pool->connections[i]);
}

void pool_note_down(struct pg_pool *pool, enum connection_kind kind)
{
    if (--pool->kinds[kind].up == 0)
        pool->kinds[kind].down_since_us = pool_now_us(pool);
}

void pool_note_unreachable(struct pg_pool *pool, const char *why)
{
    int64_t now_us = pool_now_us(pool);
    if (pool->reported_us && now_us - pool->reported_us < UNREACHABLE_LOG_EVERY_US &&
        (pool->reported_down || pool_up(pool)))
        return;
    pool->reported_us = now_us;
    pool->reported_down = pool_up(pool) == 0;
    log_event(LOG_LEVEL_WARN, "database_unreachable", log_text("message", why),
              log_int("connections_up", pool_up(pool)));
}

void err_set_unreachable(struct err *err)
{
    err_set(err, ERR_UNAVAILABLE, NULL, "the database is not reachable");
    err->retry_after_seconds = 2;
}

void err_set_busy(struct err *err)
{
    err_set(err, ERR_UNAVAILABLE, NULL, "the database is busy");
    err->retry_after_seconds = 1;
}

void err_set_lost(struct err *err, bool commit_unknown)
{
    if (commit_unknown)
        err_set(err, ERR_UNAVAILABLE, "COMMIT_UNKNOWN",
                "the connection to the database was lost while the change was being saved: it may"
                " or may not have been");
    else
        err_set(err, ERR_UNAVAILABLE, NULL, "the connection to the database was lost");
    err->retry_after_seconds = 1;
}
