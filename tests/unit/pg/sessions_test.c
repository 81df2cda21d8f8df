/* Sessions: transactions, order, COPY with back-pressure, and what happens when they end badly. */
#include "fixture.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct pg_statement begin = {"begin", "BEGIN"};
static const struct pg_statement commit = {"commit", "COMMIT"};
static const struct pg_statement insert_row = {"insert_row", "INSERT INTO rows VALUES (1, 'x')"};
static const struct pg_statement bad_sql = {"bad_sql", "SELECT 1/0"};
static const struct pg_statement select_one = {"select_one", "SELECT 1::int8"};
static const struct pg_statement sleep_long = {"sleep_long", "SELECT 1::int8 FROM pg_sleep(20)"};
static const struct pg_statement copy_rows = {"copy_rows", "COPY rows (id, text) FROM STDIN"};
static const struct pg_statement kill_me = {"kill_me",
                                            "SELECT pg_terminate_backend(pg_backend_pid())"};

/* A session that is being waited for, or had. */
struct holder {
    struct fixture *fixture;
    struct pg_session *session;
    struct err err;
    int order; /* as how many-th it came */
    int count;
};

static int opened;

static void on_open(void *context, struct pg_session *session, const struct err *err)
{
    struct holder *holder = context;
    holder->count++;
    holder->session = session;
    holder->order = ++opened;
    if (err)
        holder->err = *err;
    assert_int_equal(session == NULL, err != NULL);
    if (--holder->fixture->pending == 0)
        loop_stop(holder->fixture->loop);
}

static void ask_open(struct fixture *fixture, struct holder *holder)
{
    holder->fixture = fixture;
    fixture->pending++;
    pg_session_open(fixture->pool, &pg_service, on_open, holder);
    assert_int_equal(holder->count, 0);
}

static struct pg_session *must_open(struct fixture *fixture)
{
    struct holder holder = {0};
    ask_open(fixture, &holder);
    fixture_run(fixture);
    assert_non_null(holder.session);
    return holder.session;
}

static void ask(struct fixture *fixture, struct pg_session *session, struct answer *answer,
                const struct pg_statement *statement)
{
    memset(answer, 0, sizeof(*answer));
    answer->fixture = fixture;
    fixture->pending++;
    pg_session_query(session, statement, NULL, on_answer, answer);
    assert_int_equal(answer->count, 0);
}

static void expect(struct fixture *fixture, struct pg_session *session,
                   const struct pg_statement *statement, enum err_code code)
{
    struct answer answer;
    ask(fixture, session, &answer, statement);
    fixture_run(fixture);
    assert_code(&answer, code);
}

static int64_t count_rows(struct fixture *fixture)
{
    return must_count(fixture, "count_rows", "SELECT count(*) FROM rows");
}

static void open_with_table(struct fixture *fixture, struct pg_options *options)
{
    fixture_open(fixture, options);
    must_write(fixture, "drop_rows", "DROP TABLE IF EXISTS rows");
    must_write(fixture, "create_rows", "CREATE TABLE rows (id int8 NOT NULL, text text)");
}

static void test_transactions(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pg_options options = {.session_connections = 1};
    open_with_table(&fixture, &options);

    /* Statements may be queued behind each other. */
    struct pg_session *session = must_open(&fixture);
    struct answer answers[3];
    ask(&fixture, session, &answers[0], &begin);
    ask(&fixture, session, &answers[1], &insert_row);
    ask(&fixture, session, &answers[2], &commit);
    fixture_run(&fixture);
    for (int i = 0; i < 3; i++)
        assert_code(&answers[i], ERR_OK);
    assert_int_equal(answers[1].affected, 1);
    pg_session_close(session);
    assert_int_equal(count_rows(&fixture), 1);

    /* Closing inside an open transaction rolls back, and the connection serves the next one. */
    session = must_open(&fixture);
    expect(&fixture, session, &begin, ERR_OK);
    expect(&fixture, session, &insert_row, ERR_OK);
    pg_session_close(session);
    session = must_open(&fixture);
    expect(&fixture, session, &insert_row, ERR_OK); /* a transaction of its own */
    pg_session_close(session);
    assert_int_equal(count_rows(&fixture), 2);

    /* So does one that has failed. */
    session = must_open(&fixture);
    expect(&fixture, session, &begin, ERR_OK);
    expect(&fixture, session, &bad_sql, ERR_INTERNAL);
    expect(&fixture, session, &insert_row, ERR_INTERNAL); /* 25P02 */
    pg_session_close(session);
    session = must_open(&fixture);
    expect(&fixture, session, &insert_row, ERR_OK);
    pg_session_close(session);
    assert_int_equal(count_rows(&fixture), 3);
    fixture_close(&fixture);
}

static void on_open_close(void *context, struct pg_session *session, const struct err *err)
{
    on_open(context, session, err);
    pg_session_close(session); /* NULL is allowed */
}

static void test_waiting_for_a_session(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pg_options options = {.session_connections = 2, .queue_wait_us = 600000};
    open_with_table(&fixture, &options);

    /* Six want two connections and give them back at once: all are served in order. */
    opened = 0;
    struct holder holders[6] = {{0}};
    for (int i = 0; i < 6; i++) {
        holders[i].fixture = &fixture;
        fixture.pending++;
        pg_session_open(fixture.pool, &pg_service, on_open_close, &holders[i]);
    }
    fixture_run(&fixture);
    for (int i = 0; i < 6; i++) {
        assert_false(err_is_set(&holders[i].err));
        assert_int_equal(holders[i].order, i + 1);
        assert_int_equal(holders[i].count, 1);
    }

    /* Two are kept: the third waits its time and is told so. */
    struct pg_session *kept[2] = {must_open(&fixture), must_open(&fixture)};
    struct pg_pool_stats stats;
    pg_pool_stats(fixture.pool, &stats);
    assert_int_equal(stats.sessions_used, 2);
    struct holder third = {0};
    ask_open(&fixture, &third);
    int64_t start_us = fixture_now_us(&fixture);
    fixture_run(&fixture);
    assert_null(third.session);
    assert_int_equal(third.err.code, ERR_UNAVAILABLE);
    assert_true(third.err.retry_after_seconds > 0);
    assert_true(fixture_now_us(&fixture) - start_us >= 600000);
    pg_session_close(kept[0]);
    pg_session_close(kept[1]);
    fixture_close(&fixture);
}

/* The producer of a COPY: puts until told to wait, goes on when drained. */
struct producer {
    struct fixture *fixture;
    struct pg_session *session;
    struct answer begun, ended;
    int next, count, bad_row, waits;
    bool waiting;
};

static void on_drained(void *context);

/* More than a socket takes at once, so that a COPY of more than that has to wait. */
#define ROWS_IN_A_PUT 20000

static void produce(struct producer *producer)
{
    while (producer->next < producer->count) {
        struct buf rows;
        buf_init(&rows, 0);
        for (int i = 0; i < ROWS_IN_A_PUT && producer->next < producer->count; i++) {
            int row = producer->next++;
            buf_printf(&rows, "%s%d\tcontact number %d\n", row == producer->bad_row ? "bad" : "",
                       row, row);
        }
        bool more = pg_session_copy_put(producer->session, buf_str(&rows), on_drained, producer);
        buf_done(&rows);
        if (!more) {
            producer->waits++;
            producer->waiting = true;
            return;
        }
    }
    pg_session_copy_end(producer->session, on_answer, &producer->ended);
    assert_int_equal(producer->ended.count, 0);
}

static void on_drained(void *context)
{
    struct producer *producer = context;
    assert_true(producer->waiting);
    producer->waiting = false;
    produce(producer);
}

static void on_copy_begun(void *context, const struct pg_outcome *outcome)
{
    struct producer *producer = context;
    producer->begun.count++;
    producer->begun.err = outcome->err;
    if (!err_is_set(&outcome->err)) {
        produce(producer);
        return;
    }
    if (--producer->fixture->pending == 0)
        loop_stop(producer->fixture->loop);
}

static void copy(struct fixture *fixture, struct pg_session *session, struct producer *producer,
                 int count, int bad_row)
{
    memset(producer, 0, sizeof(*producer));
    producer->fixture = producer->ended.fixture = fixture;
    producer->session = session;
    producer->count = count;
    producer->bad_row = bad_row;
    fixture->pending++;
    pg_session_copy_begin(session, &copy_rows, on_copy_begun, producer);
    assert_int_equal(producer->begun.count, 0);
    fixture_run(fixture);
}

static void test_copy(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_table(&fixture, NULL);
    struct pg_session *session = must_open(&fixture);
    struct producer producer;

    expect(&fixture, session, &begin, ERR_OK);
    copy(&fixture, session, &producer, 100000, -1);
    assert_code(&producer.ended, ERR_OK);
    assert_int_equal(producer.ended.affected, 100000);
    assert_true(producer.waits > 0);
    expect(&fixture, session, &insert_row, ERR_OK); /* pipeline mode again */
    expect(&fixture, session, &commit, ERR_OK);
    assert_int_equal(count_rows(&fixture), 100001);

    /* Without a transaction of its own; a bad row leaves nothing behind, and the session lives on.
     */
    copy(&fixture, session, &producer, 50000, 30000);
    assert_code(&producer.ended, ERR_INTERNAL);
    assert_string_equal(producer.ended.sqlstate, "22P02");
    assert_int_equal(count_rows(&fixture), 100001);
    copy(&fixture, session, &producer, 10, -1);
    assert_code(&producer.ended, ERR_OK);
    pg_session_close(session);

    /* No such table: the beginning fails, once. */
    must_write(&fixture, "drop_rows_now", "DROP TABLE rows");
    session = must_open(&fixture);
    copy(&fixture, session, &producer, 10, -1);
    assert_int_equal(producer.begun.count, 1);
    assert_int_equal(producer.begun.err.code, ERR_INTERNAL);
    assert_int_equal(producer.ended.count, 0);
    expect(&fixture, session, &select_one, ERR_OK);
    pg_session_close(session);
    fixture_close(&fixture);
}

static void on_begun_close(void *context, const struct pg_outcome *outcome)
{
    struct producer *producer = context;
    assert_false(err_is_set(&outcome->err));
    pg_session_copy_put(producer->session, STR_LITERAL("1\thalf\n"), on_drained, producer);
    pg_session_close(producer->session);
    producer->fixture->pending--;
    loop_stop(producer->fixture->loop);
}

static void test_closing_in_the_middle(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pg_options options = {.session_connections = 1};
    open_with_table(&fixture, &options);

    /* With a statement under way and one queued: both are cancelled, the connection is replaced. */
    struct pg_session *session = must_open(&fixture);
    struct answer running, queued;
    ask(&fixture, session, &running, &sleep_long);
    ask(&fixture, session, &queued, &select_one);
    fixture.pending = 0; /* so that the sleep does not wait for the answers */
    fixture_sleep(&fixture, 50000);
    fixture.pending = 2;
    pg_session_close(session);
    assert_int_equal(running.count + queued.count, 0);
    fixture_run(&fixture);
    assert_code(&running, ERR_CANCELLED);
    assert_code(&queued, ERR_CANCELLED);

    /* In the middle of a COPY: nothing of it stays. */
    struct producer producer = {.fixture = &fixture, .session = must_open(&fixture)};
    fixture.pending++;
    pg_session_copy_begin(producer.session, &copy_rows, on_begun_close, &producer);
    fixture_run(&fixture);
    session = must_open(&fixture);
    expect(&fixture, session, &select_one, ERR_OK);
    pg_session_close(session);
    assert_int_equal(count_rows(&fixture), 0);
    fixture_close(&fixture);
}

static void test_a_lost_session_stays_lost(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pg_options options = {.session_connections = 1};
    open_with_table(&fixture, &options);
    struct pg_session *session = must_open(&fixture);
    struct answer killed, behind;
    ask(&fixture, session, &killed, &kill_me);
    ask(&fixture, session, &behind, &select_one);
    fixture_run(&fixture);
    assert_code(&killed, ERR_UNAVAILABLE);
    assert_code(&behind, ERR_UNAVAILABLE);
    expect(&fixture, session, &select_one, ERR_UNAVAILABLE);
    struct producer producer;
    copy(&fixture, session, &producer, 10, -1);
    assert_int_equal(producer.begun.err.code, ERR_UNAVAILABLE);
    pg_session_close(session);
    session = must_open(&fixture);
    expect(&fixture, session, &select_one, ERR_OK);
    pg_session_close(session);
    fixture_close(&fixture);
}

static void test_a_server_killed_during_copy(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_table(&fixture, NULL);
    struct pg_session *session = must_open(&fixture);
    fixture_control("kill & sleep 0.05");
    struct producer producer;
    copy(&fixture, session, &producer, 3000000, -1);
    assert_true(producer.begun.err.code == ERR_UNAVAILABLE ||
                producer.ended.err.code == ERR_UNAVAILABLE);
    pg_session_close(session);
    fixture_close(&fixture);
    for (int i = 0; i < 20 && system("\"$DIALPLANE_TEST_PG_CTL\" start") != 0; i++)
        usleep(300000);
}

static void test_free_with_sessions(void **state)
{
    (void)state;
    struct fixture fixture;
    struct pg_options options = {.session_connections = 1};
    open_with_table(&fixture, &options);
    struct pg_session *session = must_open(&fixture);
    struct answer running;
    struct holder waiting = {0};
    ask(&fixture, session, &running, &sleep_long);
    ask_open(&fixture, &waiting);
    fixture.pending = 0;
    fixture_sleep(&fixture, 20000);
    fixture.pending = 2;
    pg_pool_free(fixture.pool);
    fixture.pool = NULL;
    assert_code(&running, ERR_CANCELLED);
    assert_int_equal(waiting.count, 1);
    assert_int_equal(waiting.err.code, ERR_CANCELLED);
    struct answer after;
    ask(&fixture, session, &after, &select_one);
    fixture_run(&fixture);
    assert_code(&after, ERR_UNAVAILABLE);
    pg_session_close(session);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_waiting_for_a_session),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_closing_in_the_middle),
        cmocka_unit_test(test_a_lost_session_stays_lost),
        cmocka_unit_test(test_free_with_sessions),
        cmocka_unit_test(test_a_server_killed_during_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
