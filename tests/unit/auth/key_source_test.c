/* Keys of tokens from a URL, on a virtual clock: fetched again when it is time and for an unknown
 * kid, never more often than allowed; the last good set stays. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect(struct fixture *fixture, char kid, bool good)
{
    struct caller caller;

    ask(fixture, &caller, fixture_token(fixture, kid, NULL), false);
    assert_int_equal(caller.verdict, good ? AUTH_GOOD : AUTH_REFUSED);
}

static void test_refreshed_when_it_is_time(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 64, "a", true);
    expect(&fixture, 'a', true);
    tick(&fixture, SECONDS(299));
    assert_int_equal(fixture.fetches, 0);
    tick(&fixture, SECONDS(1));
    assert_int_equal(fixture.fetches, 1);
    tick(&fixture, SECONDS(60)); /* under way: no second one */
    assert_int_equal(fixture.fetches, 1);
    expect(&fixture, 'a', true); /* and nobody waits */
    deliver(&fixture, fixture_keys(&fixture, "ab"));
    expect(&fixture, 'a', true);
    expect(&fixture, 'b', true);
    tick(&fixture, SECONDS(299));
    assert_int_equal(fixture.fetches, 1);
    tick(&fixture, SECONDS(1));
    deliver(&fixture, fixture_keys(&fixture, "b"));
    /* What was taken out ends what it had signed, also what had been verified. */
    virtual_clock_advance(&fixture.clock, SECONDS(-5)); /* not to be asked about an unknown kid */
    expect(&fixture, 'a', false);
    expect(&fixture, 'b', true);
    fixture_done(&fixture);
}

static void test_an_unknown_kid_fetches_and_waits(void **state)
{
    struct fixture fixture;
    struct caller first, second, third;

    (void)state;
    fixture_init(&fixture, 64, "a", true);
    expect(&fixture, 'b', false); /* the set has only just been fetched */
    assert_int_equal(fixture.fetches, 0);
    virtual_clock_advance(&fixture.clock, SECONDS(30));
    ask(&fixture, &first, fixture_token(&fixture, 'b', NULL), false);
    ask(&fixture, &second, fixture_token(&fixture, 'c', NULL), false);
    assert_int_equal(first.verdict, AUTH_WAITS);
    assert_int_equal(second.verdict, AUTH_WAITS);
    assert_int_equal(fixture.fetches, 1); /* for both */
    expect(&fixture, 'a', true);          /* who is known does not wait */
    deliver(&fixture, fixture_keys(&fixture, "ab"));
    assert_true(first.is_done && first.is_good);
    assert_true(second.is_done && !second.is_good);
    assert_string_equal(second.err.reason, "TOKEN_UNKNOWN_KEY");
    assert_string_equal(first.check.principal.subject, "s0");
    /* Made-up kids are no lever: at most one fetch each 30 seconds. */
    for (int i = 0; i < 1000; i++)
        expect(&fixture, 'x', false);
    assert_int_equal(fixture.fetches, 1);
    virtual_clock_advance(&fixture.clock, SECONDS(30));
    ask(&fixture, &third, fixture_token(&fixture, 'x', NULL), false);
    assert_int_equal(third.verdict, AUTH_WAITS);
    assert_int_equal(fixture.fetches, 2);
    deliver(&fixture, NULL);
    assert_true(third.is_done && !third.is_good);
    assert_string_equal(third.err.reason, "TOKEN_UNKNOWN_KEY");
    fixture_done(&fixture);
}

static void test_the_last_good_set_stays(void **state)
{
    static const char *const useless[] = {"", "<html>", "{\"keys\":[]}",
                                          "{\"keys\":[{\"kty\":\"oct\"}]}"};
    struct fixture fixture;
    struct auth_stats stats;

    (void)state;
    fixture_init(&fixture, 64, "a", true);
    tick(&fixture, SECONDS(300));
    deliver(&fixture, NULL);
    expect(&fixture, 'a', true);
    for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
        tick(&fixture, SECONDS(29)); /* not before it may be tried again */
        assert_false(fixture.fetching);
        tick(&fixture, SECONDS(1));
        deliver(&fixture, useless[i]);
        expect(&fixture, 'a', true);
    }
    auth_stats(fixture.auth, &stats);
    assert_int_equal(stats.key_reload_failures, 5);
    assert_int_equal(stats.key_reloads, 0);
    assert_int_equal(stats.keys, 1);
    tick(&fixture, SECONDS(30));
    deliver(&fixture, fixture_keys(&fixture, "b"));
    expect(&fixture, 'b', true);
    fixture_done(&fixture);
}

/* The same text again changes nothing: what has been verified need not be verified again. */
static void test_the_same_set_forgets_nothing(void **state)
{
    struct fixture fixture;
    struct auth_stats stats;

    (void)state;
    fixture_init(&fixture, 64, "a", true);
    expect(&fixture, 'a', true);
    for (int i = 0; i < 3; i++) {
        tick(&fixture, SECONDS(300));
        deliver(&fixture, fixture_keys(&fixture, "a"));
        expect(&fixture, 'a', true);
    }
    auth_stats(fixture.auth, &stats);
    assert_int_equal(stats.verified, 1);
    assert_int_equal(stats.key_reloads, 0);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refreshed_when_it_is_time),
        cmocka_unit_test(test_an_unknown_kid_fetches_and_waits),
        cmocka_unit_test(test_the_last_good_set_stays),
        cmocka_unit_test(test_the_same_set_forgets_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
