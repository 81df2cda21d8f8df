/* The server goes away and comes back under load: every answer comes exactly once, acknowledged
 * writes are there, and nobody restarts. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pg_statement select_number = {"select_number", "SELECT $1::int8"};
static const struct pg_statement insert = {"insert_acked",
                                           "INSERT INTO acked VALUES ($1::int8) RETURNING id"};
static const struct pg_statement was_written = {
    "was_written", "SELECT count(*) FROM acked WHERE id = ANY ($1::int8[])"};

#define WORKERS 64

/* Asks again and again, half of them reading; keeps what was acknowledged. */
struct load {
    struct fixture *fixture;
    bool stopping;
    int64_t next_id;
    int64_t *acked;
    size_t acked_count, acked_capacity;
    int asked, answered, good, failed, unknown, good_after;
    bool recovered; /* the server is back: successes count as good_after */
    enum err_code odd;
};

struct worker {
    struct load *load;
    int64_t id;
    bool writes, waiting;
};

static void on_work(void *context, const struct pg_outcome *outcome);

static void work(void *context)
{
    struct worker *worker = context;
    struct load *load = worker->load;
    if (load->stopping) {
        if (--load->fixture->pending == 0)
            loop_stop(load->fixture->loop);
        return;
    }
    worker->id = ++load->next_id;
    worker->waiting = true;
    load->asked++;
    struct arena *arena = arena_new(4096);
    struct pg_params params = {.arena = arena};
    pg_param_int64(&params, worker->id);
    /* The values must live until the answer: this worker's, whose text the fixture's arena keeps.
     */
    params.values[0] = arena_strdup(load->fixture->arena, params.values[0]);
    arena_free(arena);
    (worker->writes ? pg_write : pg_read)(load->fixture->pool, &pg_service,
                                          worker->writes ? &insert : &select_number, &params,
                                          on_work, worker);
}

static void on_work(void *context, const struct pg_outcome *outcome)
{
    struct worker *worker = context;
    struct load *load = worker->load;
    assert_true(worker->waiting);
    worker->waiting = false;
    load->answered++;
    if (!err_is_set(&outcome->err)) {
        assert_int_equal(pg_int64(outcome->result, 0, 0), worker->id);
        load->good++;
        load->good_after += load->recovered;
        if (worker->writes) {
            if (load->acked_count == load->acked_capacity) {
                load->acked_capacity = load->acked_capacity ? load->acked_capacity * 2 : 1024;
                load->acked = realloc(load->acked, load->acked_capacity * sizeof(int64_t));
            }
            load->acked[load->acked_count++] = worker->id;
        }
    } else {
        load->failed++;
        load->unknown += strcmp(outcome->err.reason, "COMMIT_UNKNOWN") == 0;
        if (outcome->err.code != ERR_UNAVAILABLE)
            load->odd = outcome->err.code;
        assert_true(outcome->err.retry_after_seconds > 0);
    }
    loop_timer_start(load->fixture->loop, err_is_set(&outcome->err) ? 20000 : 2000, work, worker);
}

static void test_server_killed_under_load(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pg_options options = {.queue_wait_us = 700000};
    fixture_open(&fixture, &options);
    must_write(&fixture, "create_acked", "CREATE TABLE acked (id int8 PRIMARY KEY)");
    struct load load = {.fixture = &fixture};
    struct worker workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.load = &load, .writes = i % 2};
        work(&workers[i]);
    }
    fixture_sleep(&fixture, 300000);
    for (int round = 0; round < 2; round++) {
        load.recovered = false;
        fixture_control(round ? "stop &" : "kill &");
        fixture_sleep(&fixture, 2500000);
        assert_false(pg_pool_is_ready(fixture.pool));
        fixture_control("start &");
        for (int i = 0; i < 200 && !pg_pool_is_ready(fixture.pool); i++)
            fixture_sleep(&fixture, 50000);
        assert_true(pg_pool_is_ready(fixture.pool));
        load.recovered = true;
        load.good_after = 0;
        fixture_sleep(&fixture, 500000);
        assert_true(load.good_after > WORKERS);
    }
    load.stopping = true;
    fixture.pending = WORKERS;
    fixture_run(&fixture);

    print_message("asked %d, good %d, failed %d, of which unknown %d, acknowledged %zu\n",
                  load.asked, load.good, load.failed, load.unknown, load.acked_count);
    assert_int_equal(load.asked, load.answered);
    assert_int_equal(load.good + load.failed, load.answered);
    assert_int_equal(load.odd, ERR_OK);
    assert_true(load.failed > 0);
    struct pg_params params = {.arena = fixture.arena};
    pg_param_int64_array(&params, load.acked, load.acked_count);
    struct answer written = {.want_value = true};
    ask_read(&fixture, &written, &was_written, &params);
    fixture_run(&fixture);
    assert_code(&written, ERR_OK);
    assert_int_equal(written.value, load.acked_count);
    free(load.acked);
    fixture_close(&fixture);
}

static void test_no_server_at_the_start(void **state)
{
    (void)state;
    fixture_control("stop");
    struct fixture fixture;
    struct pg_options options = {.queue_wait_us = 1500000};
    fixture_open(&fixture, &options);
    struct pg_params params = {.arena = fixture.arena};
    pg_param_int64(&params, 1);
    int64_t waits_us[2];
    for (int i = 0; i < 2; i++) {
        struct answer read = {0}, write = {0};
        int64_t start_us = fixture_now_us(&fixture);
        ask_read(&fixture, &read, &select_number, &params);
        ask_write(&fixture, &write, &select_number, &params);
        fixture_run(&fixture);
        waits_us[i] = fixture_now_us(&fixture) - start_us;
        assert_code(&read, ERR_UNAVAILABLE);
        assert_code(&write, ERR_UNAVAILABLE);
        assert_string_equal(read.err.message, "the database is not reachable");
        assert_true(read.err.retry_after_seconds > 0);
    }
    /* Known to be away for longer than a whole wait: the second time it does not take that long. */
    assert_true(waits_us[0] >= 1500000 && waits_us[0] < 2500000);
    assert_true(waits_us[1] < 1300000);
    assert_false(pg_pool_is_ready(fixture.pool));

    fixture_control("start");
    struct answer again = {0};
    int64_t start_us = fixture_now_us(&fixture);
    ask_read(&fixture, &again, &select_number, &params);
    fixture_run(&fixture);
    assert_code(&again, ERR_OK);
    assert_true(fixture_now_us(&fixture) - start_us < TIME_US_PER_SECOND);
    fixture_wait_ready(&fixture);
    fixture_close(&fixture);
}

static void test_reads_survive_a_lost_connection(void **state)
{
    (void)state;
    static const struct pg_statement slow = {"slow_read", "SELECT $1::int8 FROM pg_sleep(0.3)"};
    static const struct pg_statement terminate = {
        "terminate_others",
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND query LIKE '%pg_sleep%' AND state = 'active'"};
    static const struct pg_statement slow_write = {"slow_write",
                                                   "SELECT 1::int8 FROM pg_sleep(0.3)"};
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    fixture_wait_ready(&fixture);
    struct pg_params params = {.arena = fixture.arena};
    pg_param_int64(&params, 7);
    struct answer reads[4] = {{0}}, write = {0}, killer = {.want_value = true};
    for (int i = 0; i < 4; i++) {
        reads[i].want_value = true;
        ask_read(&fixture, &reads[i], &slow, &params);
    }
    ask_write(&fixture, &write, &slow_write, NULL);
    fixture.pending = 0;
    fixture_sleep(&fixture, 100000);
    fixture.pending = 5;
    ask_write(&fixture, &killer, &terminate, NULL);
    fixture_run(&fixture);
    assert_true(killer.value >= 2);
    for (int i = 0; i < 4; i++) {
        assert_code(&reads[i], ERR_OK);
        assert_int_equal(reads[i].value, 7);
    }
    /* The write was ended before its commit, and that is known. */
    assert_code(&write, ERR_UNAVAILABLE);
    assert_string_equal(write.err.reason, "");
    fixture_close(&fixture);
}

static void test_a_frozen_server_is_given_up(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pg_options options = {.queue_wait_us = 500000, .statement_timeout_us = 500000};
    fixture_open(&fixture, &options);
    fixture_wait_ready(&fixture);
    fixture_sleep(&fixture, 100000);
    fixture_control("freeze");
    struct pg_params params = {.arena = fixture.arena};
    pg_param_int64(&params, 1);
    struct answer read = {0}, write = {0};
    ask_read(&fixture, &read, &select_number, &params);
    ask_write(&fixture, &write, &select_number, &params);
    int64_t start_us = fixture_now_us(&fixture);
    fixture_run(&fixture);
    assert_code(&read, ERR_UNAVAILABLE);
    assert_code(&write, ERR_UNAVAILABLE);
    assert_string_equal(write.err.reason, "COMMIT_UNKNOWN");
    assert_true(fixture_now_us(&fixture) - start_us < 15 * TIME_US_PER_SECOND);
    fixture_control("thaw");
    fixture_wait_ready(&fixture);
    struct answer again = {0};
    ask_read(&fixture, &again, &select_number, &params);
    fixture_run(&fixture);
    assert_code(&again, ERR_OK);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_survive_a_lost_connection),
        cmocka_unit_test(test_server_killed_under_load),
        cmocka_unit_test(test_no_server_at_the_start),
        cmocka_unit_test(test_a_frozen_server_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
