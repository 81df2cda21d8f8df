/* bench_pg: reads by key through the pool, as a ratio of `pgbench -S -M prepared` on the same
 * server in the same run; and writes. Run it through tests/unit/pg/with_postgres.sh. */
#include "pg/pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define IN_FLIGHT 256
#define ROWS 100000
#define SECONDS 3

static const struct pg_statement read_account = {
    "read_account", "SELECT abalance FROM pgbench_accounts WHERE aid = $1::int"};
static const struct pg_statement write_history = {
    "write_history", "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)"
                     " VALUES (1, 1, $1::int, 0, now())"};

struct bench {
    struct loop *loop;
    struct pg_pool *pool;
    struct arena *arenas[IN_FLIGHT];
    bool writes, stopping;
    unsigned running, seed;
    uint64_t done, failed;
};

struct lane {
    struct bench *bench;
    struct arena *arena;
    unsigned uses;
};

static void on_done(void *context, const struct pg_outcome *outcome);

static void ask(struct lane *lane)
{
    struct bench *bench = lane->bench;
    /* As a request would: its values live in an arena of its own. */
    if (lane->uses++ % 64 == 0) {
        arena_free(lane->arena);
        lane->arena = arena_new(65536);
    }
    bench->seed = bench->seed * 1664525U + 1013904223U;
    struct pg_params params = {.arena = lane->arena};
    pg_param_int64(&params, 1 + bench->seed % ROWS);
    (bench->writes ? pg_write : pg_read)(
        bench->pool, NULL, bench->writes ? &write_history : &read_account, &params, on_done, lane);
}

static void on_done(void *context, const struct pg_outcome *outcome)
{
    struct lane *lane = context;
    struct bench *bench = lane->bench;
    bench->done++;
    if (err_is_set(&outcome->err) || (!bench->writes && pg_rows(outcome->result) != 1))
        bench->failed++;
    if (!bench->stopping) {
        ask(lane);
        return;
    }
    if (--bench->running == 0)
        loop_stop(bench->loop);
}

static void on_time_over(void *context)
{
    ((struct bench *)context)->stopping = true;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double run(const char *url, bool writes)
{
    static struct lane lanes[IN_FLIGHT];
    struct pg_options options = {.connection_string = url};
    struct bench bench = {.loop = loop_new(NULL), .writes = writes, .seed = 1};
    bench.pool = pg_pool_new(bench.loop, &options);
    const struct clock *clock = loop_clock(bench.loop);
    int64_t start_us = clock->monotonic_us(clock);
    double cpu_start = cpu_seconds();
    loop_timer_start(bench.loop, SECONDS * TIME_US_PER_SECOND, on_time_over, &bench);
    for (int i = 0; i < IN_FLIGHT; i++) {
        lanes[i] = (struct lane){.bench = &bench};
        bench.running++;
        ask(&lanes[i]);
    }
    loop_run(bench.loop);
    double seconds = (double)(clock->monotonic_us(clock) - start_us) / 1e6;
    double rate = (double)bench.done / seconds;
    struct pg_pool_stats stats;
    pg_pool_stats(bench.pool, &stats);
    printf(
        "%s through the pool: %.0f/s, %.1f statements a batch, %.2f us of this process's CPU each,"
        " %" PRIu64 " failed\n",
        writes ? "inserts" : "reads by key", rate, (double)stats.statements / (double)stats.batches,
        (cpu_seconds() - cpu_start) * 1e6 / (double)bench.done, bench.failed);
    pg_pool_free(bench.pool);
    loop_free(bench.loop);
    for (int i = 0; i < IN_FLIGHT; i++)
        arena_free(lanes[i].arena);
    return rate;
}

/* The tps line of pgbench, or 0. */
static double pgbench(const char *url, const char *arguments)
{
    char command[600], line[300];
    snprintf(command, sizeof(command),
             "PATH=\"${DIALPLANE_PG_BIN:-/usr/lib/postgresql/15/bin}:$PATH\" pgbench %s '%s' 2>&1",
             arguments, url);
    FILE *pipe = popen(command, "r");
    if (!pipe)
        return 0;
    double rate = 0;
    while (fgets(line, sizeof(line), pipe))
        sscanf(line, "tps = %lf", &rate);
    pclose(pipe);
    return rate;
}

int main(void)
{
    const char *url = getenv("DIALPLANE_TEST_DATABASE_URL");
    if (!url) {
        fprintf(stderr, "run this through tests/unit/pg/with_postgres.sh\n");
        return 77;
    }
    pgbench(url, "-i -q -s 1");
    double reference = pgbench(url, "-n -S -M prepared -c 8 -j 2 -T 3");
    double reads = run(url, false);
    run(url, true);
    printf("pgbench -S -M prepared -c 8 -j 2: %.0f/s; the pool's reads are %.2f of it\n", reference,
           reference > 0 ? reads / reference : 0);
    return 0;
}
