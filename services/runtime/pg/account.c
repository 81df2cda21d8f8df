/* What the pool counts, and the span of each statement: named after its file, never with its
 * parameters. */
#include "pg/internal.h"

void account_sent(struct unit *unit)
{
    if (unit->sent_us || !unit->pool)
        return; /* sent again: the first time counts */
    unit->sent_us = pool_now_us(unit->pool);
    durations_add(&unit->pool->wait, unit->sent_us - unit->asked_us);
}

void account_batch(struct pg_pool *pool, const struct connection *connection)
{
    unsigned queries = 0, bucket = 0;

    for (unsigned i = 0; i < connection->step_count; i++)
        queries += connection->steps[i].kind == STEP_QUERY;
    pool->count_batches++;
    if (!queries)
        return; /* housekeeping */
    while (bucket + 1 < PG_BATCH_BUCKETS && queries > 1u << bucket)
        bucket++;
    pool->batch_sizes[bucket]++;
}

static void end_span(const struct unit *unit, const PGresult *result, int64_t now_us)
{
    const char *state = result ? result_sqlstate(result) : "";
    const char *name = unit->statement ? unit->statement->name : "copy";
    struct trace_span span;
    const struct trace_attribute attributes[] = {
        {"db.system", "postgresql", 0},
        {"db.operation.name", name, 0},
        /* In the queue, before it went out in a batch. */
        {"dialplane.db.wait_us", NULL, (unit->sent_us ? unit->sent_us : now_us) - unit->asked_us},
        {"db.response.status_code", state, 0},
    };
    const struct trace_end end = {
        .kind = TRACE_CLIENT,
        .name = name,
        .attributes = attributes,
        .attribute_count = *state ? 4 : 3,
        .failed = !result || result_is_error(result),
        .now_us = now_us,
    };

    trace_begin_child(&span, &unit->owner.trace, unit->asked_us);
    trace_end(&span, &end);
}

void account_finished(const struct unit *unit, const PGresult *result)
{
    bool is_traced = unit->owner.trace.tracer && unit->asked_us;

    /* Only with an answer: without one the pool may be gone. */
    if (result && unit->pool && unit->sent_us) {
        struct pg_pool *pool = unit->pool;
        struct pg_statement_stats *stats = &pool->statements.stats[unit->slot];
        int64_t now_us = pool_now_us(pool);
        durations_add(&pool->run, now_us - unit->sent_us);
        stats->count++;
        stats->errors += result_is_error(result);
        stats->total_us += (uint64_t)(now_us - unit->asked_us);
    }
    if (is_traced)
        end_span(unit, result, tracer_now_us(unit->owner.trace.tracer));
}

size_t pg_pool_statements(const struct pg_pool *pool, struct pg_statement_stats *out, size_t limit)
{
    size_t count = 0;

    for (size_t slot = 0; slot < pool->statements.count && count < limit; slot++)
        if (!identity_is_slot(pool, slot)) /* goes with others, and is no unit */
            out[count++] = pool->statements.stats[slot];
    return count;
}
