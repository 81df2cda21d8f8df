/* The figures that every service shows: calls, database, process. */
#include "service/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char *const bucket_limits[16] = {"0.0005", "0.001", "0.002", "0.005", "0.01", "0.02",
                                              "0.05",   "0.1",   "0.2",   "0.5",   "1",    "2",
                                              "5",      "10",    "30",    "+Inf"};

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
        uint64_t running = 0;
        for (size_t bucket = 0; bucket < 16; bucket++) {
            running += stats[i].duration_buckets[bucket];
            snprintf(labels, sizeof(labels), "method=\"%s\",le=\"%s\"", stats[i].path,
                     bucket_limits[bucket]);
            metrics_sample(out, "dialplane_rpc_duration_seconds_bucket", labels, (double)running);
        }
        snprintf(labels, sizeof(labels), "method=\"%s\"", stats[i].path);
        metrics_sample(out, "dialplane_rpc_duration_seconds_sum", labels,
                       (double)stats[i].duration_us_total / 1e6);
        metrics_sample(out, "dialplane_rpc_duration_seconds_count", labels, (double)finished);
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
}

static void one(struct buf *out, const char *name, const char *type, const char *help, double value)
{
    metrics_family(out, name, type, help);
    metrics_sample(out, name, NULL, value);
}

static void collect_pool(struct buf *out, const struct pg_pool *pool)
{
    struct pg_pool_stats stats;
    pg_pool_stats(pool, &stats);
    one(out, "dialplane_pg_connections_up", "gauge", "Database connections that are up.",
        stats.connections_up);
    one(out, "dialplane_pg_connections_wanted", "gauge", "Database connections that should be up.",
        stats.connections_wanted);
    one(out, "dialplane_pg_units_waiting", "gauge", "Statements that wait for a connection.",
        stats.units_waiting);
    one(out, "dialplane_pg_units_running", "gauge", "Statements sent and not yet answered.",
        stats.units_running);
    one(out, "dialplane_pg_sessions_used", "gauge", "Sessions in use.", stats.sessions_used);
    one(out, "dialplane_pg_statements_total", "counter", "Statements sent.",
        (double)stats.statements);
    one(out, "dialplane_pg_batches_total", "counter", "Pipeline batches sent.",
        (double)stats.batches);
    one(out, "dialplane_pg_errors_total", "counter", "Statements that failed.",
        (double)stats.errors);
    one(out, "dialplane_pg_reconnects_total", "counter", "Connections made again after a loss.",
        (double)stats.reconnects);
}

static double open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    double count = 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* the directory's own */
}

static double resident_bytes(void)
{
    long long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lld %lld", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void collect_process(struct buf *out)
{
    struct timespec cpu = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    one(out, "process_cpu_seconds_total", "counter", "Processor time used, user and system.",
        (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
    one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    one(out, "process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        one(out, "process_max_fds", "gauge", "Most file descriptors allowed.",
            (double)limit.rlim_cur);
}

void service_collect(struct buf *out, void *context)
{
    const struct running *running = context;
    one(out, "dialplane_ready", "gauge", "1 while the service can answer.", running->ready);
    if (running->server)
        collect_calls(out, running->server);
    if (running->pool)
        collect_pool(out, running->pool);
    collect_process(out);
    if (running->service->collect && running->context)
        running->service->collect(out, running->context);
}
