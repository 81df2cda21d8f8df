#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fixture_open(struct fixture *fixture, struct pg_options *options)
{
    struct pg_options defaults = {0};
    memset(fixture, 0, sizeof(*fixture));
    if (!options)
        options = &defaults;
    if (!options->connection_string)
        options->connection_string = getenv("DIALPLANE_TEST_DATABASE_URL");
    if (!options->connection_string) {
        fprintf(stderr, "run this through with_postgres.sh\n");
        exit(77);
    }
    fixture->loop = loop_new(NULL);
    fixture->arena = arena_new(64 * 1024 * 1024);
    fixture->pool = pg_pool_new(fixture->loop, options);
}

void fixture_close(struct fixture *fixture)
{
    pg_pool_free(fixture->pool);
    loop_free(fixture->loop);
    arena_free(fixture->arena);
}

static void on_limit(void *context)
{
    struct fixture *fixture = context;
    fixture->timed_out = true;
    loop_stop(fixture->loop);
}

void fixture_run(struct fixture *fixture)
{
    if (!fixture->pending)
        return;
    fixture->timed_out = false;
    struct loop_timer *limit =
        loop_timer_start(fixture->loop, 60 * TIME_US_PER_SECOND, on_limit, fixture);
    /* A stop from outside the loop, as by pg_pool_free(), would end the next run at once. */
    while (fixture->pending && !fixture->timed_out)
        loop_run(fixture->loop);
    if (fixture->timed_out)
        fail_msg("%d answers have not come within a minute", fixture->pending);
    loop_timer_cancel(limit);
}

static void on_slept(void *context)
{
    struct fixture *fixture = context;
    if (--fixture->pending == 0)
        loop_stop(fixture->loop);
}

void fixture_sleep(struct fixture *fixture, int64_t us)
{
    fixture->pending++;
    loop_timer_start(fixture->loop, us, on_slept, fixture);
    fixture_run(fixture);
}

int64_t fixture_now_us(struct fixture *fixture)
{
    const struct clock *clock = loop_clock(fixture->loop);
    return clock->monotonic_us(clock);
}

void fixture_wait_ready(struct fixture *fixture)
{
    for (int i = 0; i < 2000 && !pg_pool_is_ready(fixture->pool); i++)
        fixture_sleep(fixture, 5000);
    assert_true(pg_pool_is_ready(fixture->pool));
}

void fixture_control(const char *verb)
{
    char command[300];
    snprintf(command, sizeof(command), "%s %s", getenv("DIALPLANE_TEST_PG_CTL"), verb);
    assert_int_equal(system(command), 0);
}

void on_answer(void *context, const struct pg_outcome *outcome)
{
    struct answer *answer = context;
    answer->count++;
    answer->err = outcome->err;
    memcpy(answer->sqlstate, outcome->sqlstate, sizeof(answer->sqlstate));
    memcpy(answer->constraint, outcome->constraint, sizeof(answer->constraint));
    memcpy(answer->hint, outcome->hint, sizeof(answer->hint));
    if (err_is_set(&outcome->err)) {
        assert_null(outcome->result);
    } else {
        answer->rows = pg_rows(outcome->result);
        answer->affected = pg_rows_affected(outcome->result);
        if (answer->want_value && answer->rows)
            answer->value = pg_int64(outcome->result, 0, 0);
    }
    if (--answer->fixture->pending == 0)
        loop_stop(answer->fixture->loop);
}

void ask_read(struct fixture *fixture, struct answer *answer, const struct pg_statement *statement,
              const struct pg_params *params)
{
    answer->fixture = fixture;
    fixture->pending++;
    int before = answer->count;
    pg_read(fixture->pool, &pg_service, statement, params, on_answer, answer);
    assert_int_equal(answer->count, before); /* never inside the call */
}

void ask_write(struct fixture *fixture, struct answer *answer, const struct pg_statement *statement,
               const struct pg_params *params)
{
    answer->fixture = fixture;
    fixture->pending++;
    int before = answer->count;
    pg_write(fixture->pool, &pg_service, statement, params, on_answer, answer);
    assert_int_equal(answer->count, before);
}

/* Statements must outlive the pool: the arena does. */
static const struct pg_statement *statement_new(struct fixture *fixture, const char *name,
                                                const char *sql)
{
    struct pg_statement *statement = ARENA_NEW(fixture->arena, struct pg_statement);
    statement->name = name;
    statement->text = sql;
    return statement;
}

void must_write(struct fixture *fixture, const char *name, const char *sql)
{
    struct answer answer = {0};
    ask_write(fixture, &answer, statement_new(fixture, name, sql), NULL);
    fixture_run(fixture);
    if (err_is_set(&answer.err))
        fail_msg("%s: %s %s", name, answer.err.message, answer.sqlstate);
}

int64_t must_count(struct fixture *fixture, const char *name, const char *sql)
{
    struct answer answer = {.want_value = true};
    ask_read(fixture, &answer, statement_new(fixture, name, sql), NULL);
    fixture_run(fixture);
    if (err_is_set(&answer.err))
        fail_msg("%s: %s %s", name, answer.err.message, answer.sqlstate);
    return answer.value;
}

void assert_code(const struct answer *answer, enum err_code code)
{
    assert_int_equal(answer->count, 1);
    if (answer->err.code != code)
        fail_msg("expected %s, got %s: %s (%s)", err_code_name(code),
                 err_code_name(answer->err.code), answer->err.message, answer->sqlstate);
}
