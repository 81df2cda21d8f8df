/* fixture: a loop with a pool on the test's database, and answers that can be counted. */
#ifndef TESTS_PG_FIXTURE_H
#define TESTS_PG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pg/pg.h"

struct fixture {
    struct loop *loop;
    struct pg_pool *pool;
    struct arena *arena;
    int pending; /* answers that have not come; fixture_run() ends when it is 0 */
    bool timed_out;
};

/* What a unit came to. */
struct answer {
    struct fixture *fixture;
    int count; /* how often the callback came: must be 1 */
    struct err err;
    char sqlstate[6], constraint[64], hint[160];
    int rows;
    int64_t affected;
    int64_t value; /* first row, first column, when that is an int8 and want_value */
    bool want_value;
};

/* options may be NULL; the connection string is the test server's. */
void fixture_open(struct fixture *fixture, struct pg_options *options);
void fixture_close(struct fixture *fixture);
/* Runs the loop until nothing is pending; fails the test when that takes longer than a minute. */
void fixture_run(struct fixture *fixture);
void fixture_sleep(struct fixture *fixture, int64_t us);
int64_t fixture_now_us(struct fixture *fixture);
/* Runs the loop until the pool is ready. */
void fixture_wait_ready(struct fixture *fixture);
/* start, stop, kill, freeze or thaw the server. */
void fixture_control(const char *verb);

void on_answer(void *context, const struct pg_outcome *outcome);
void ask_read(struct fixture *fixture, struct answer *answer, const struct pg_statement *statement,
              const struct pg_params *params);
void ask_write(struct fixture *fixture, struct answer *answer, const struct pg_statement *statement,
               const struct pg_params *params);
/* Writes one statement and asserts that it worked. */
void must_write(struct fixture *fixture, const char *name, const char *sql);
int64_t must_count(struct fixture *fixture, const char *name, const char *sql);
void assert_code(const struct answer *answer, enum err_code code);

#endif
