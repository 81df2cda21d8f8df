/* The figures that every service shows: calls, database, process. */
#include "service/internal.h"

#include <stdio.h>

#define STATEMENTS_SHOWN 256

static void collect_durations(struct buf *out, const struct rpc_method_stats *stats, size_t count)
{
    char labels[200];
    metrics_family(out, "dialplane_rpc_duration_seconds", "histogram",
                   "Time from a call's arrival to its status.");
    for (size_t i = 0; i < count; i++) {
        uint64_t finished = 0;
        for (size_t code = 0; code < 17; code++)
            finished += stats[i].finished_by_code[code];
        if (!finished)
            continue;
        snprintf(labels, sizeof(labels), "method=\"%s\"", stats[i].path);
        metrics_durations(out, "dialplane_rpc_duration_seconds", labels, &stats[i].durations);
    }
}

static void collect_calls(struct buf *out, const struct rpc_server *server)
{
    const struct rpc_method_stats *stats;
    size_t count = rpc_server_stats(server, &stats);
    char labels[200];
    metrics_family(out, "dialplane_rpc_started_total", "counter", "Calls that have arrived.");
    for (size_t i = 0; i < count; i++) {
        snprintf(labels, sizeof(labels), "method=\"%s\"", stats[i].path);
        metrics_sample(out, "dialplane_rpc_started_total", labels, (double)stats[i].started);
    }
    metrics_family(out, "dialplane_rpc_in_flight", "gauge", "Calls under way.");
    for (size_t i = 0; i < count; i++) {
        snprintf(labels, sizeof(labels), "method=\"%s\"", stats[i].path);
        metrics_sample(out, "dialplane_rpc_in_flight", labels, (double)stats[i].in_flight);
    }
    metrics_family(out, "dialplane_rpc_finished_total", "counter", "Calls answered, by status.");
    for (size_t i = 0; i < count; i++) {
        for (int code = 0; code < 17; code++) {
            if (!stats[i].finished_by_code[code])
                continue;
            snprintf(labels, sizeof(labels), "method=\"%s\",code=\"%s\"", stats[i].path,
                     code ? err_code_name((enum err_code)code) : "OK");
            metrics_sample(out, "dialplane_rpc_finished_total", labels,
                           (double)stats[i].finished_by_code[code]);
        }
    }
    collect_durations(out, stats, count);
    metrics_family(out, "dialplane_rpc_received_bytes_total", "counter",
                   "Bytes of messages received, of calls that have ended.");
    for (size_t i = 0; i < count; i++) {
        snprintf(labels, sizeof(labels), "method=\"%s\"", stats[i].path);
        metrics_sample(out, "dialplane_rpc_received_bytes_total", labels,
                       (double)stats[i].received_bytes);
    }
    metrics_family(out, "dialplane_rpc_sent_bytes_total", "counter",
                   "Bytes of messages sent, of calls that have ended.");
    for (size_t i = 0; i < count; i++) {
        snprintf(labels, sizeof(labels), "method=\"%s\"", stats[i].path);
        metrics_sample(out, "dialplane_rpc_sent_bytes_total", labels, (double)stats[i].sent_bytes);
    }
}

/* A summary without quantiles: rate and mean of each are what one looks for, and there are many. */
static void collect_statements(struct buf *out, const struct pg_pool *pool)
{
    struct pg_statement_stats stats[STATEMENTS_SHOWN];
    size_t count = pg_pool_statements(pool, stats, STATEMENTS_SHOWN);
    char labels[200];
    metrics_family(out, "dialplane_pg_statement_seconds", "summary",
                   "From asking for a statement to its answer, by its file's name.");
    for (size_t i = 0; i < count; i++) {
        snprintf(labels, sizeof(labels), "statement=\"%s\"", stats[i].name);
        metrics_sample(out, "dialplane_pg_statement_seconds_sum", labels,
                       (double)stats[i].total_us / 1e6);
        metrics_sample(out, "dialplane_pg_statement_seconds_count", labels, (double)stats[i].count);
    }
}

static void collect_pool(struct buf *out, const struct pg_pool *pool)
{
    struct pg_pool_stats stats;
    pg_pool_stats(pool, &stats);
    metrics_one(out, "dialplane_pg_connections_up", "gauge", "Database connections that are up.",
                stats.connections_up);
    metrics_one(out, "dialplane_pg_connections_wanted", "gauge",
                "Database connections that should be up.", stats.connections_wanted);
    metrics_one(out, "dialplane_pg_units_waiting", "gauge",
                "Statements that wait for a connection.", stats.units_waiting);
    metrics_one(out, "dialplane_pg_units_running", "gauge", "Statements sent and not yet answered.",
                stats.units_running);
    metrics_one(out, "dialplane_pg_sessions_used", "gauge", "Sessions in use.",
                stats.sessions_used);
    metrics_one(out, "dialplane_pg_statements_total", "counter", "Statements sent.",
                (double)stats.statements);
    metrics_one(out, "dialplane_pg_batches_total", "counter", "Pipeline batches sent.",
                (double)stats.batches);
    metrics_one(out, "dialplane_pg_errors_total", "counter", "Statements that failed.",
                (double)stats.errors);
    metrics_one(out, "dialplane_pg_reconnects_total", "counter",
                "Connections made again after a loss.", (double)stats.reconnects);
    metrics_family(out, "dialplane_pg_batch_statements", "histogram",
                   "Statements in one pipeline batch.");
    double sizes[PG_BATCH_BUCKETS - 1], sum = (double)stats.statements;
    for (unsigned i = 0; i < PG_BATCH_BUCKETS - 1; i++)
        sizes[i] = 1u << i;
    metrics_histogram(out, "dialplane_pg_batch_statements", NULL, sizes, PG_BATCH_BUCKETS - 1,
                      stats.batch_sizes, sum);
    metrics_family(out, "dialplane_pg_wait_seconds", "histogram",
                   "How long statements have waited for a connection.");
    metrics_durations(out, "dialplane_pg_wait_seconds", NULL, &stats.wait);
    metrics_family(out, "dialplane_pg_run_seconds", "histogram",
                   "From sending a statement to its answer, the commit included.");
    metrics_durations(out, "dialplane_pg_run_seconds", NULL, &stats.run);
    collect_statements(out, pool);
}

void service_collect(struct buf *out, void *context)
{
    const struct running *running = context;
    metrics_one(out, "dialplane_ready", "gauge", "1 while the service can answer.", running->ready);
    if (running->server)
        collect_calls(out, running->server);
    if (running->pool)
        collect_pool(out, running->pool);
    service_auth_collect(out, running);
    service_tls_collect(out, running);
    struct tracer_stats traces;
    tracer_stats(running->tracer, &traces);
    metrics_tracer(out, &traces);
    if (running->service->collect && running->context)
        running->service->collect(out, running->context);
}
