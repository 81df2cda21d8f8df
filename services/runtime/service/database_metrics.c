#include "service/database_metrics.h"

#include <stdlib.h>

#define OLD_AFTER_US (5 * TIME_US_PER_SECOND)
#define TEXT_LIMIT ((size_t)4 * 1024 * 1024)
#define ARENA_BYTES ((size_t)4 * 1024 * 1024)

struct database_metrics {
    struct loop *loop;
    struct pg_pool *pool;
    const struct pg_statement *statement;
    int64_t parameter;
    void (*write)(const struct pg_result *rows, struct arena *arena, struct buf *out);
    struct buf text;
    struct arena *arena; /* of the reading under way */
    int64_t read_us;
    bool is_reading, is_gone;
};

static int64_t now_us(const struct database_metrics *metrics)
{
    const struct clock *clock = loop_clock(metrics->loop);
    return clock->monotonic_us(clock);
}

static void destroy(struct database_metrics *metrics)
{
    buf_done(&metrics->text);
    arena_free(metrics->arena);
    free(metrics);
}

static void on_rows(void *context, const struct pg_outcome *outcome)
{
    struct database_metrics *metrics = context;
    metrics->is_reading = false;
    if (metrics->is_gone) {
        destroy(metrics);
        return;
    }
    buf_reset(&metrics->text);
    if (outcome->result)
        metrics->write(outcome->result, metrics->arena, &metrics->text);
    if (metrics->text.failed)
        buf_reset(&metrics->text);
    arena_free(metrics->arena);
    metrics->arena = NULL;
    metrics->read_us = now_us(metrics);
}

static void read_again(struct database_metrics *metrics)
{
    metrics->arena = arena_new(ARENA_BYTES);
    if (!metrics->arena)
        return;
    struct pg_params params = {.arena = metrics->arena};
    pg_param_int64(&params, metrics->parameter);
    metrics->is_reading = true;
    pg_read(metrics->pool, &pg_service, metrics->statement, &params, on_rows, metrics);
}

struct database_metrics *database_metrics_new(struct loop *loop, struct pg_pool *pool,
                                              const struct pg_statement *statement,
                                              int64_t parameter,
                                              void (*write)(const struct pg_result *rows,
                                                            struct arena *arena, struct buf *out))
{
    struct database_metrics *metrics = calloc(1, sizeof(*metrics));
    if (!metrics)
        return NULL;
    metrics->loop = loop;
    metrics->pool = pool;
    metrics->statement = statement;
    metrics->parameter = parameter;
    metrics->write = write;
    buf_init(&metrics->text, TEXT_LIMIT);
    read_again(metrics);
    return metrics;
}

void database_metrics_free(struct database_metrics *metrics)
{
    if (!metrics)
        return;
    metrics->is_gone = true;
    if (!metrics->is_reading)
        destroy(metrics);
}

void database_metrics_collect(struct database_metrics *metrics, struct buf *out)
{
    buf_put_str(out, buf_str(&metrics->text));
    if (!metrics->is_reading && now_us(metrics) - metrics->read_us > OLD_AFTER_US)
        read_again(metrics);
}
