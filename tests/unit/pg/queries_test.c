/* Reads and writes against a real server: batching, isolation of errors, timeouts, owners,
 * refusals. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static const struct pg_statement select_number = {"select_number", "SELECT $1::int8"};
static const struct pg_statement divide = {"divide", "SELECT 100 / $1::int8"};
static const struct pg_statement broken = {"broken", "SELEC nothing"};
static const struct pg_statement sleep_seconds = {"sleep_seconds",
                                                  "SELECT 1::int8 FROM pg_sleep($1::float8)"};

static struct pg_params number_param(struct fixture *fixture, int64_t number)
{
    struct pg_params params = {.arena = fixture->arena};
    pg_param_int64(&params, number);
    return params;
}

static void on_types(void *context, const struct pg_outcome *outcome)
{
    struct fixture *fixture = context;
    const struct pg_result *r = outcome->result;
    assert_non_null(r);
    assert_int_equal(pg_rows(r), 1);
    assert_int_equal(pg_int64(r, 0, 0), -2);
    assert_int_equal(pg_int64(r, 0, 1), -70000);
    assert_int_equal(pg_int64(r, 0, 2), INT64_MIN);
    assert_true(pg_double(r, 0, 3) == 1.5);
    assert_true(pg_double(r, 0, 4) == -0.1);
    assert_true(pg_bool(r, 0, 5));
    assert_int_equal(pg_time_us(r, 0, 6), INT64_C(1768642200123456));
    assert_string_equal(pg_text(r, 0, 7, fixture->arena), "0190a6f0-0000-7000-8000-00000000abcd");
    assert_true(str_equal_cstr(pg_str(r, 0, 8), "{\"a\": [1, 2]}"));
    assert_true(str_equal_cstr(pg_str(r, 0, 9), "{\"a\":1}"));
    assert_string_equal(pg_text(r, 0, 10, fixture->arena), "h\xc3\xa9");
    assert_int_equal(pg_str(r, 0, 11).length, 3);
    assert_memory_equal(pg_str(r, 0, 11).data, "a\0b", 3);
    assert_true(pg_is_null(r, 0, 12));
    assert_null(pg_text(r, 0, 12, fixture->arena));
    assert_string_equal(pg_text(r, 0, 13, fixture->arena), "2026-01-17");
    assert_true(pg_bool(r, 0, 14));
    assert_int_equal(pg_time_us(r, 0, 15), INT64_C(1768642200123456));
    assert_int_equal(pg_uuid(r, 0, 7).bytes[15], 0xcd);
    fixture->pending--;
    loop_stop(fixture->loop);
}

static void test_types(void **state)
{
    (void)state;
    static const struct pg_statement types = {
        "types",
        "SELECT (-2)::int2, (-70000)::int4, (-9223372036854775808)::int8, 1.5::float4, "
        "(-0.1)::float8,"
        " true, '2026-01-17T09:30:00.123456Z'::timestamptz,"
        " '0190A6F0-0000-7000-8000-00000000ABCD'::uuid, '{\"a\":[1,2]}'::jsonb, '{\"a\":1}'::json,"
        " 'h\xc3\xa9'::varchar, '\\x610062'::bytea, NULL::text, '2026-01-17'::date,"
        " $1::text[] = ARRAY['q\"', 'b\\', NULL, '{x}'], $2::timestamptz"};
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    struct pg_params params = {.arena = fixture.arena};
    const char *texts[] = {"q\"", "b\\", NULL, "{x}"};
    pg_param_text_array(&params, texts, 4);
    pg_param_time_us(&params, INT64_C(1768642200123456));
    fixture.pending++;
    pg_read(fixture.pool, &pg_service, &types, &params, on_types, &fixture);
    fixture_run(&fixture);
    fixture_close(&fixture);
}

static void test_reads_share_batches(void **state)
{
    (void)state;
    static struct answer answers[500];
    memset(answers, 0, sizeof(answers));
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    fixture_wait_ready(&fixture);
    struct pg_pool_stats before = {0}, after;
    for (int i = 0; i < 2000 && before.connections_up < 10; i++) {
        fixture_sleep(&fixture, 5000);
        pg_pool_stats(fixture.pool, &before);
    }
    assert_int_equal(before.connections_wanted, 10);
    assert_int_equal(before.connections_up, 10);
    for (int i = 0; i < 500; i++) {
        struct pg_params params = number_param(&fixture, i);
        answers[i].want_value = true;
        ask_read(&fixture, &answers[i], &select_number, &params);
    }
    fixture_run(&fixture);
    pg_pool_stats(fixture.pool, &after);
    for (int i = 0; i < 500; i++) {
        assert_code(&answers[i], ERR_OK);
        assert_int_equal(answers[i].value, i);
    }
    assert_int_equal(after.statements - before.statements, 500);
    assert_int_equal(after.batches - before.batches, 8); /* 7 × 64 + 52 */
    assert_int_equal(after.units_waiting + after.units_running, 0);
    fixture_close(&fixture);
}

static void test_a_failing_neighbour_harms_nobody(void **state)
{
    (void)state;
    static struct answer answers[60];
    memset(answers, 0, sizeof(answers));
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    for (int i = 0; i < 60; i++) {
        struct pg_params params = number_param(&fixture, i % 20 == 7 ? 0 : i + 1);
        ask_read(&fixture, &answers[i], i % 20 == 13 ? &broken : &divide,
                 i % 20 == 13 ? NULL : &params);
    }
    fixture_run(&fixture);
    for (int i = 0; i < 60; i++) {
        bool fails = i % 20 == 7 || i % 20 == 13;
        assert_code(&answers[i], fails ? ERR_INTERNAL : ERR_OK);
        if (fails) {
            assert_string_equal(answers[i].sqlstate, i % 20 == 7 ? "22012" : "42601");
            assert_string_equal(answers[i].err.message, "internal error");
        }
    }
    fixture_close(&fixture);
}

static void test_a_thousand_at_once(void **state)
{
    (void)state;
    static const struct pg_statement insert = {"insert_many", "INSERT INTO many VALUES ($1::int8)"};
    static struct answer reads[1000], writes[1000];
    memset(reads, 0, sizeof(reads));
    memset(writes, 0, sizeof(writes));
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    must_write(&fixture, "create_many", "CREATE TABLE many (id int8 PRIMARY KEY)");
    for (int i = 0; i < 1000; i++) {
        struct pg_params params = number_param(&fixture, i);
        reads[i].want_value = true;
        ask_read(&fixture, &reads[i], &select_number, &params);
        ask_write(&fixture, &writes[i], &insert, &params);
    }
    fixture_run(&fixture);
    for (int i = 0; i < 1000; i++) {
        assert_code(&reads[i], ERR_OK);
        assert_int_equal(reads[i].value, i);
        assert_code(&writes[i], ERR_OK);
        assert_int_equal(writes[i].affected, 1);
    }
    assert_int_equal(must_count(&fixture, "count_many", "SELECT count(*) FROM many"), 1000);
    fixture_close(&fixture);
}

static void test_errors_of_writes(void **state)
{
    (void)state;
    static const struct pg_statement insert = {"insert_one", "INSERT INTO one VALUES (1)"};
    static const struct pg_statement orphan = {"insert_orphan", "INSERT INTO child VALUES (99)"};
    static const struct pg_statement refuse = {"refuse", "SELECT refuse()"};
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    must_write(&fixture, "create_one", "CREATE TABLE one (id int8 CONSTRAINT one_key PRIMARY KEY)");
    must_write(&fixture, "create_child",
               "CREATE TABLE child (id int8 CONSTRAINT child_parent REFERENCES one"
               " DEFERRABLE INITIALLY DEFERRED)");
    must_write(&fixture, "create_refuse",
               "CREATE FUNCTION refuse() RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
               " RAISE EXCEPTION 'the campaign is paused'"
               " USING ERRCODE = 'DP001', HINT = 'CAMPAIGN_PAUSED'; END $$");
    struct answer good = {0}, twice = {0}, late = {0}, refused = {0}, written_by_read = {0};
    ask_write(&fixture, &good, &insert, NULL);
    fixture_run(&fixture);
    ask_write(&fixture, &twice, &insert, NULL);
    ask_write(&fixture, &late, &orphan, NULL);
    ask_write(&fixture, &refused, &refuse, NULL);
    ask_read(&fixture, &written_by_read, &orphan, NULL);
    fixture_run(&fixture);
    assert_code(&good, ERR_OK);
    assert_code(&twice, ERR_INTERNAL);
    assert_string_equal(twice.sqlstate, "23505");
    assert_string_equal(twice.constraint, "one_key");
    /* The statement succeeded and its commit failed. */
    assert_code(&late, ERR_INTERNAL);
    assert_string_equal(late.sqlstate, "23503");
    assert_string_equal(late.constraint, "child_parent");
    assert_code(&refused, ERR_FAILED_PRECONDITION);
    assert_string_equal(refused.sqlstate, "DP001");
    assert_string_equal(refused.hint, "CAMPAIGN_PAUSED");
    assert_string_equal(refused.err.reason, "CAMPAIGN_PAUSED");
    assert_string_equal(refused.err.message, "the campaign is paused");
    assert_code(&written_by_read, ERR_INTERNAL);
    assert_string_equal(written_by_read.sqlstate, "25006");
    fixture_close(&fixture);
}

static void test_deadline_becomes_statement_timeout(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    fixture_wait_ready(&fixture);
    int64_t start_us = fixture_now_us(&fixture);
    struct pg_owner hasty = {.deadline_us = start_us + 200000, .identity = pg_service.identity};
    struct pg_params params = {.arena = fixture.arena};
    pg_param_double(&params, 20);
    struct answer slow = {.fixture = &fixture}, slow_write = {.fixture = &fixture}, patient = {0};
    fixture.pending += 2;
    pg_read(fixture.pool, &hasty, &sleep_seconds, &params, on_answer, &slow);
    pg_write(fixture.pool, &hasty, &sleep_seconds, &params, on_answer, &slow_write);
    struct pg_params number = number_param(&fixture, 5);
    ask_read(&fixture, &patient, &select_number, &number);
    fixture_run(&fixture);
    assert_code(&slow, ERR_DEADLINE_EXCEEDED);
    assert_code(&slow_write, ERR_DEADLINE_EXCEEDED);
    assert_code(&patient, ERR_OK);
    assert_true(fixture_now_us(&fixture) - start_us < 2 * TIME_US_PER_SECOND);
    /* And back: the same connections serve work that has time. */
    struct pg_params brief = {.arena = fixture.arena};
    pg_param_double(&brief, 0.5);
    struct answer later[3] = {{0}};
    for (int i = 0; i < 3; i++)
        ask_read(&fixture, &later[i], &sleep_seconds, &brief);
    fixture_run(&fixture);
    for (int i = 0; i < 3; i++)
        assert_code(&later[i], ERR_OK);
    fixture_close(&fixture);
}

static void test_slow_reads_do_not_hold_up_quick_ones(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    fixture_wait_ready(&fixture);
    struct pg_params nap = {.arena = fixture.arena};
    pg_param_double(&nap, 0.2);
    struct pg_params number = number_param(&fixture, 1);
    struct answer slow[6] = {{0}};
    ask_read(&fixture, &slow[0], &sleep_seconds, &nap); /* the pool learns that it is slow */
    fixture_run(&fixture);
    for (int i = 1; i < 6; i++)
        ask_read(&fixture, &slow[i], &sleep_seconds, &nap); /* a second of work, one at a time */
    int slow_ones = fixture.pending;
    for (int i = 0; i < 20; i++) {
        struct answer quick = {0};
        int64_t start_us = fixture_now_us(&fixture);
        ask_read(&fixture, &quick, &select_number, &number);
        fixture.pending -= slow_ones; /* wait for the quick one only */
        while (!quick.count)
            loop_run(fixture.loop);
        fixture.pending += slow_ones;
        slow_ones = fixture.pending;
        assert_code(&quick, ERR_OK);
        assert_true(fixture_now_us(&fixture) - start_us < 100000);
    }
    assert_int_equal(slow[5].count, 0);
    fixture_run(&fixture);
    for (int i = 0; i < 6; i++)
        assert_code(&slow[i], ERR_OK);
    fixture_close(&fixture);
}

static bool always_dead(const void *owner)
{
    (void)owner;
    return true;
}

static void test_what_is_not_sent(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    struct pg_owner dead = {.is_dead = always_dead, .identity = pg_service.identity};
    struct pg_owner late = {.deadline_us = 1, .identity = pg_service.identity};
    struct pg_params number = number_param(&fixture, 1);
    struct pg_params failed = number, nul = {.arena = fixture.arena};
    failed.failed = true;
    pg_param_str(&nul, (struct str){"1\0", 2});
    struct answer answers[7];
    memset(answers, 0, sizeof(answers));
    for (int i = 0; i < 7; i++)
        answers[i].fixture = &fixture;
    fixture.pending += 7;
    pg_read(fixture.pool, &dead, &select_number, &number, on_answer, &answers[0]);
    pg_write(fixture.pool, &dead, &select_number, &number, on_answer, &answers[1]);
    pg_read(fixture.pool, &late, &select_number, &number, on_answer, &answers[2]);
    pg_write(fixture.pool, &late, &select_number, &number, on_answer, &answers[3]);
    pg_read(fixture.pool, &pg_service, &select_number, &failed, on_answer, &answers[4]);
    pg_write(fixture.pool, &pg_service, &select_number, &nul, on_answer, &answers[5]);
    static const struct pg_statement other = {"select_number", "SELECT 'something else'"};
    pg_read(fixture.pool, &pg_service, &other, NULL, on_answer, &answers[6]);
    for (int i = 0; i < 7; i++)
        assert_int_equal(answers[i].count, 0);
    fixture_run(&fixture);
    assert_code(&answers[0], ERR_CANCELLED);
    assert_code(&answers[1], ERR_CANCELLED);
    assert_code(&answers[2], ERR_DEADLINE_EXCEEDED);
    assert_code(&answers[3], ERR_DEADLINE_EXCEEDED);
    assert_code(&answers[4], ERR_INTERNAL);
    assert_code(&answers[5], ERR_INVALID_ARGUMENT);
    assert_int_equal(answers[6].count, 1); /* refused only when select_number was taken first */
    struct pg_pool_stats stats;
    pg_pool_stats(fixture.pool, &stats);
    assert_int_equal(stats.units_waiting, 0);
    fixture_close(&fixture);
}

static void test_the_queue_is_bounded(void **state)
{
    (void)state;
    static struct answer answers[50];
    memset(answers, 0, sizeof(answers));
    struct fixture fixture;
    struct pg_options options = {.queue_limit = 20};
    fixture_open(&fixture, &options);
    struct pg_params number = number_param(&fixture, 1);
    for (int i = 0; i < 50; i++)
        ask_read(&fixture, &answers[i], &select_number, &number);
    fixture_run(&fixture);
    for (int i = 0; i < 50; i++)
        assert_code(&answers[i], i < 20 ? ERR_OK : ERR_RESOURCE_EXHAUSTED);
    fixture_close(&fixture);
}

static void test_plans_outlive_a_migration(void **state)
{
    (void)state;
    static const struct pg_statement all = {"all_of_wide", "SELECT * FROM wide"};
    static const struct pg_statement add = {"add_to_wide",
                                            "INSERT INTO wide VALUES (2) RETURNING *"};
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    must_write(&fixture, "create_wide", "CREATE TABLE wide AS SELECT 1::int8 AS a");
    for (int round = 0; round < 3; round++) {
        struct answer reads[10] = {{0}}, writes[10] = {{0}};
        for (int i = 0; i < 10; i++) {
            ask_read(&fixture, &reads[i], &all, NULL);
            ask_write(&fixture, &writes[i], &add, NULL);
        }
        fixture_run(&fixture);
        for (int i = 0; i < 10; i++) {
            assert_code(&reads[i], ERR_OK);
            assert_code(&writes[i], ERR_OK);
        }
        must_write(&fixture, round ? "widen_again" : "widen",
                   round ? "ALTER TABLE wide ADD c int8" : "ALTER TABLE wide ADD b int8");
        if (round == 1)
            break;
    }
    assert_int_equal(must_count(&fixture, "count_wide", "SELECT count(*) FROM wide"), 21);
    fixture_close(&fixture);
}

static void on_enough(void *context)
{
    loop_stop(((struct fixture *)context)->loop);
}

static void test_free_cancels(void **state)
{
    (void)state;
    static struct answer answers[300];
    memset(answers, 0, sizeof(answers));
    struct fixture fixture;
    fixture_open(&fixture, NULL);
    fixture_wait_ready(&fixture);
    struct pg_params params = {.arena = fixture.arena};
    pg_param_double(&params, 3);
    for (int i = 0; i < 300; i++)
        (i % 2 ? ask_read : ask_write)(&fixture, &answers[i], &sleep_seconds, &params);
    loop_timer_start(fixture.loop, 50000, on_enough, &fixture);
    loop_run(fixture.loop);
    struct pg_pool_stats stats;
    pg_pool_stats(fixture.pool, &stats);
    assert_true(stats.units_running > 8);
    assert_true(stats.units_waiting > 100);
    fixture_close(&fixture);
    for (int i = 0; i < 300; i++)
        assert_code(&answers[i], ERR_CANCELLED);
}

static void on_answer_free_pool(void *context, const struct pg_outcome *outcome)
{
    struct answer *answer = context;
    struct fixture *fixture = answer->fixture;
    on_answer(context, outcome);
    pg_pool_free(fixture->pool);
    fixture->pool = NULL;
}

static void test_free_inside_a_callback(void **state)
{
    (void)state;
    for (int writes = 0; writes < 2; writes++) {
        struct answer answers[20] = {{0}};
        struct fixture fixture;
        fixture_open(&fixture, NULL);
        fixture_wait_ready(&fixture);
        struct pg_params number = number_param(&fixture, 1);
        for (int i = 0; i < 20; i++) {
            answers[i].fixture = &fixture;
            fixture.pending++;
            (writes ? pg_write : pg_read)(fixture.pool, &pg_service, &select_number, &number,
                                          i == 3 ? on_answer_free_pool : on_answer, &answers[i]);
        }
        fixture_run(&fixture);
        for (int i = 0; i < 20; i++)
            assert_int_equal(answers[i].count, 1);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_reads_share_batches),
        cmocka_unit_test(test_a_failing_neighbour_harms_nobody),
        cmocka_unit_test(test_a_thousand_at_once),
        cmocka_unit_test(test_errors_of_writes),
        cmocka_unit_test(test_deadline_becomes_statement_timeout),
        cmocka_unit_test(test_slow_reads_do_not_hold_up_quick_ones),
        cmocka_unit_test(test_what_is_not_sent),
        cmocka_unit_test(test_the_queue_is_bounded),
        cmocka_unit_test(test_plans_outlive_a_migration),
        cmocka_unit_test(test_free_cancels),
        cmocka_unit_test(test_free_inside_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
