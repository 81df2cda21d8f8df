/* Who asks: every statement finds its own identity on the server, whatever ran on the connection
 * before it and however that ended; what belongs to nobody does not run. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define COMPANY_A "0190a6f0-0000-7000-8000-00000000000a"
#define COMPANY_B "0190a6f0-0000-7000-8000-00000000000b"

/* 1 when the server takes us for whom it is told to expect. */
#define WHO                                                                                        \
    "(coalesce(current_setting('dialplane.company', true), '') = $1 AND"                           \
    " coalesce(current_setting('dialplane.actor', true), '') = $2 AND"                             \
    " coalesce(current_setting('dialplane.address', true), '') = $3 AND"                           \
    " coalesce(current_setting('dialplane.request_id', true), '') = $4)::int::int8"

static const struct pg_statement who = {"who", "SELECT " WHO};
static const struct pg_statement who_fails = {"who_fails", "SELECT 1 / (" WHO " - 1)"};
static const struct pg_statement who_twice = {"who_twice",
                                              "INSERT INTO once VALUES (1), (1) RETURNING " WHO};
static const struct pg_statement forget = {"forget", "DEALLOCATE ALL"};
static const struct pg_statement begin = {"begin", "BEGIN"};
static const struct pg_statement rollback = {"rollback", "ROLLBACK"};

static const struct pg_owner of_a = {
    .identity = {PG_AS_COMPANY, COMPANY_A, "anna", "192.0.2.1", "request-a"}};
static const struct pg_owner of_b = {
    .identity = {PG_AS_COMPANY, COMPANY_B, "bert", "192.0.2.2", "request-b"}};
static const struct pg_owner of_b_again = {
    .identity = {PG_AS_COMPANY, COMPANY_B, "bert", "192.0.2.2", "request-c"}};
static const struct pg_owner of_platform = {
    .identity = {PG_AS_SERVICE, NULL, "olga", NULL, "request-o"}};
static const struct pg_owner *const owners[] = {&of_a,       &of_b,        &pg_service,
                                                &of_b_again, &of_platform, &of_b};
#define OWNERS (sizeof(owners) / sizeof(owners[0]))

static struct pg_params expected(struct fixture *fixture, const struct pg_owner *owner,
                                 bool with_details)
{
    const struct pg_identity *identity = &owner->identity;
    struct pg_params params = {.arena = fixture->arena};
    pg_param_text(&params, identity->authority == PG_AS_COMPANY ? identity->company_id : "");
    pg_param_text(&params, with_details && identity->actor ? identity->actor : "");
    pg_param_text(&params, with_details && identity->address ? identity->address : "");
    pg_param_text(&params, with_details && identity->request_id ? identity->request_id : "");
    return params;
}

static void ask_as(struct fixture *fixture, struct answer *answer, const struct pg_owner *owner,
                   bool writes, const struct pg_statement *statement)
{
    struct pg_params params = expected(fixture, owner, writes);
    *answer = (struct answer){.fixture = fixture, .want_value = true};
    fixture->pending++;
    (writes ? pg_write : pg_read)(fixture->pool, owner, statement, &params, on_answer, answer);
}

static void assert_known(struct fixture *fixture, const struct pg_owner *owner, bool writes)
{
    struct answer answer;
    ask_as(fixture, &answer, owner, writes, &who);
    fixture_run(fixture);
    assert_code(&answer, ERR_OK);
    assert_int_equal(answer.value, 1);
}

/* One connection for each kind, so that everybody comes after somebody else. */
static void open_narrow(struct fixture *fixture)
{
    struct pg_options options = {
        .read_connections = 1, .write_connections = 1, .session_connections = 1};
    fixture_open(fixture, &options);
    fixture_wait_ready(fixture);
}

static void test_everybody_is_told_apart(void **state)
{
    (void)state;
    static struct answer answers[300];
    for (int writes = 0; writes < 2; writes++) {
        struct fixture fixture;
        open_narrow(&fixture);
        for (size_t i = 0; i < 300; i++)
            ask_as(&fixture, &answers[i], owners[i * i % OWNERS], writes, &who);
        fixture_run(&fixture);
        for (size_t i = 0; i < 300; i++) {
            assert_code(&answers[i], ERR_OK);
            assert_int_equal(answers[i].value, 1);
        }
        fixture_close(&fixture);
    }
}

/* What fails takes back the settings of its whole batch; nobody may be taken for whom they then
 * are. */
static void test_failures_leave_no_identity_behind(void **state)
{
    (void)state;
    static struct answer answers[300];
    for (int writes = 0; writes < 2; writes++) {
        struct fixture fixture;
        open_narrow(&fixture);
        for (size_t i = 0; i < 300; i++)
            ask_as(&fixture, &answers[i], owners[i * i % OWNERS], writes,
                   i % 7 == 3 ? &who_fails : &who);
        fixture_run(&fixture);
        for (size_t i = 0; i < 300; i++) {
            assert_code(&answers[i], i % 7 == 3 ? ERR_INTERNAL : ERR_OK);
            if (i % 7 == 3) /* it divides by 0 when the identity is right */
                assert_string_equal(answers[i].sqlstate, "22012");
            else
                assert_int_equal(answers[i].value, 1);
        }
        fixture_close(&fixture);
    }
}

/* The commit itself fails, after the statement has been answered. */
static void test_a_failed_commit_leaves_no_identity_behind(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    open_narrow(&fixture);
    must_write(&fixture, "drop_once", "DROP TABLE IF EXISTS once");
    must_write(&fixture, "create_once",
               "CREATE TABLE once (id int8 UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    assert_known(&fixture, &pg_service, true);
    ask_as(&fixture, &answer, &of_a, true, &who_twice);
    fixture_run(&fixture);
    assert_string_equal(answer.sqlstate, "23505");
    assert_known(&fixture, &pg_service, true);
    assert_known(&fixture, &of_a, true);
    fixture_close(&fixture);
}

static void test_a_server_that_forgot_its_statements(void **state)
{
    (void)state;
    for (int writes = 0; writes < 2; writes++) {
        struct fixture fixture;
        struct answer answer = {.fixture = &fixture};
        open_narrow(&fixture);
        assert_known(&fixture, &of_a, writes);
        fixture.pending++;
        (writes ? pg_write : pg_read)(fixture.pool, &of_a, &forget, NULL, on_answer, &answer);
        fixture_run(&fixture);
        assert_code(&answer, ERR_OK);
        assert_known(&fixture, &of_b, writes);
        fixture_close(&fixture);
    }
}

static void test_nobody_runs_nothing(void **state)
{
    (void)state;
    const struct pg_owner forgotten = {0}, nameless = {.identity = {.authority = PG_AS_COMPANY}};
    const struct pg_owner *const nobodies[] = {NULL, &forgotten, &nameless};
    struct fixture fixture;
    open_narrow(&fixture);
    for (size_t i = 0; i < 3; i++)
        for (int writes = 0; writes < 2; writes++) {
            struct answer answer = {.fixture = &fixture};
            struct pg_params params = expected(&fixture, &pg_service, false);
            fixture.pending++;
            (writes ? pg_write : pg_read)(fixture.pool, nobodies[i], &who, &params, on_answer,
                                          &answer);
            fixture_run(&fixture);
            assert_code(&answer, ERR_INTERNAL);
            assert_string_equal(answer.sqlstate, "");
        }
    fixture_close(&fixture);
}

/* ---- Sessions ---- */

struct holder {
    struct fixture *fixture;
    struct pg_session *session;
    enum err_code code;
};

static void on_open(void *context, struct pg_session *session, const struct err *err)
{
    struct holder *holder = context;
    holder->session = session;
    holder->code = err ? err->code : ERR_OK;
    if (--holder->fixture->pending == 0)
        loop_stop(holder->fixture->loop);
}

static struct holder open_as(struct fixture *fixture, const struct pg_owner *owner)
{
    struct holder holder = {.fixture = fixture};
    fixture->pending++;
    pg_session_open(fixture->pool, owner, on_open, &holder);
    fixture_run(fixture);
    return holder;
}

static void run_in(struct fixture *fixture, struct pg_session *session,
                   const struct pg_owner *owner, const struct pg_statement *statement,
                   enum err_code code)
{
    struct answer answer = {.fixture = fixture, .want_value = statement == &who};
    struct pg_params params = expected(fixture, owner, true);
    bool has_params = statement == &who || statement == &who_fails;
    fixture->pending++;
    pg_session_query(session, statement, has_params ? &params : NULL, on_answer, &answer);
    fixture_run(fixture);
    assert_code(&answer, code);
    if (statement == &who)
        assert_int_equal(answer.value, 1);
}

static void test_sessions_keep_their_identity(void **state)
{
    (void)state;
    struct fixture fixture;
    open_narrow(&fixture);
    for (size_t i = 0; i < 2 * OWNERS; i++) {
        const struct pg_owner *owner = owners[i % OWNERS];
        struct holder holder = open_as(&fixture, owner);
        assert_non_null(holder.session);
        run_in(&fixture, holder.session, owner, &begin, ERR_OK);
        run_in(&fixture, holder.session, owner, &who, ERR_OK);
        run_in(&fixture, holder.session, owner, &who_fails, ERR_INTERNAL);
        run_in(&fixture, holder.session, owner, &rollback, ERR_OK);
        run_in(&fixture, holder.session, owner, &who, ERR_OK);
        run_in(&fixture, holder.session, owner, &begin, ERR_OK);
        run_in(&fixture, holder.session, owner, &who, ERR_OK);
        if (i % 2)
            run_in(&fixture, holder.session, owner, &who_fails, ERR_INTERNAL);
        pg_session_close(holder.session); /* in a transaction */
    }
    struct holder nobody = open_as(&fixture, NULL);
    assert_null(nobody.session);
    assert_int_equal(nobody.code, ERR_INTERNAL);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_is_told_apart),
        cmocka_unit_test(test_failures_leave_no_identity_behind),
        cmocka_unit_test(test_a_failed_commit_leaves_no_identity_behind),
        cmocka_unit_test(test_a_server_that_forgot_its_statements),
        cmocka_unit_test(test_nobody_runs_nothing),
        cmocka_unit_test(test_sessions_keep_their_identity),
    };
    return cmocka_run_group_tests_name("pg_identity", tests, NULL, NULL);
}
