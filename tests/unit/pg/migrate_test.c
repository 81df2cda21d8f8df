/* Migrations: from nothing, a second time, side by side, too new, changed, failing; and the
 * platform's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pg/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct pg_migration two[] = {
    {1, "0001_first", "CREATE TABLE first (id int); CREATE TABLE first_too (id int);"},
    {2, "0002_second", "ALTER TABLE first ADD name text; INSERT INTO first VALUES (1, 'x');"},
};

static const char *url(void)
{
    const char *text = getenv("DIALPLANE_TEST_DATABASE_URL");
    if (!text) {
        fprintf(stderr, "run this through with_postgres.sh\n");
        exit(77);
    }
    return text;
}

/* The first column of the first row, or -1. */
static long query(const char *sql)
{
    PGconn *conn = PQconnectdb(url());
    PGresult *result = PQexec(conn, sql);
    long value = PQresultStatus(result) == PGRES_TUPLES_OK ? atol(PQgetvalue(result, 0, 0)) : -1;
    PQclear(result);
    PQfinish(conn);
    return value;
}

static int empty_database(void **state)
{
    (void)state;
    query("DROP SCHEMA public CASCADE");
    query("CREATE SCHEMA public");
    return 0;
}

static void must_migrate(const struct pg_migration *migrations, size_t count)
{
    struct err err = {0};
    if (!pg_migrate(url(), NULL, migrations, count, TIME_US_PER_SECOND, &err))
        fail_msg("%s", err.message);
}

static void test_twice(void **state)
{
    (void)state;
    must_migrate(two, 1);
    assert_int_equal(query("SELECT count(*) FROM dialplane_migration"), 1);
    must_migrate(two, 2);
    must_migrate(two, 2);
    assert_int_equal(query("SELECT count(*) FROM dialplane_migration"), 2);
    assert_int_equal(query("SELECT count(*) FROM first"), 1);
}

static void test_side_by_side(void **state)
{
    (void)state;
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (!children[i]) {
            struct err err = {0};
            _exit(pg_migrate(url(), NULL, two, 2, TIME_US_PER_SECOND, &err) ? 0 : 1);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(query("SELECT count(*) FROM first"), 1);
}

static void test_refusals(void **state)
{
    (void)state;
    must_migrate(two, 2);
    struct err err = {0};
    assert_false(pg_migrate(url(), NULL, two, 1, 0, &err));
    assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
    assert_string_equal(err.reason, "SCHEMA_TOO_NEW");
    assert_non_null(strstr(err.message, "0002_second"));

    struct pg_migration changed[] = {two[0], two[1]};
    changed[0].text = "CREATE TABLE first (id int8)";
    err = (struct err){0};
    assert_false(pg_migrate(url(), NULL, changed, 2, 0, &err));
    assert_int_equal(err.code, ERR_FAILED_PRECONDITION);
    assert_string_equal(err.reason, "MIGRATION_CHANGED");
}

static void test_a_failing_one_leaves_nothing(void **state)
{
    (void)state;
    const struct pg_migration failing[] = {
        two[0], {2, "0002_failing", "CREATE TABLE half (id int); SELECT 1/0;"}};
    struct err err = {0};
    assert_false(pg_migrate(url(), NULL, failing, 2, 0, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_non_null(strstr(err.message, "0002_failing"));
    assert_non_null(strstr(err.message, "division by zero"));
    assert_int_equal(query("SELECT count(*) FROM dialplane_migration"), 1);
    assert_int_equal(query("SELECT count(*) FROM pg_class WHERE relname = 'half'"), 0);

    const struct pg_migration ending[] = {two[0], {2, "0002_ending", "SELECT 1; COMMIT"}};
    err = (struct err){0};
    assert_false(pg_migrate(url(), NULL, ending, 2, 0, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_no_server(void **state)
{
    (void)state;
    struct err err = {0};
    const struct clock *clock = clock_system();
    int64_t start_us = clock->monotonic_us(clock);
    assert_false(pg_migrate("host=/nonexistent dbname=x", NULL, two, 2, 600000, &err));
    int64_t took_us = clock->monotonic_us(clock) - start_us;
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_true(took_us >= 250000 && took_us < 3 * TIME_US_PER_SECOND);
}

static void test_the_platforms_own(void **state)
{
    (void)state;
    must_migrate(dialplane_migrations, dialplane_migration_count);
    must_migrate(dialplane_migrations, dialplane_migration_count);
    assert_int_equal(query("SELECT count(*) FROM dialplane_migration"), dialplane_migration_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_twice, empty_database),
        cmocka_unit_test_setup(test_side_by_side, empty_database),
        cmocka_unit_test_setup(test_refusals, empty_database),
        cmocka_unit_test_setup(test_a_failing_one_leaves_nothing, empty_database),
        cmocka_unit_test_setup(test_no_server, empty_database),
        cmocka_unit_test_setup(test_the_platforms_own, empty_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
