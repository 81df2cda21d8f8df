/* API keys, tickets and companies, on a virtual clock and a store that answers when it is told to.
 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define VIEWER (UINT32_C(1) << SCHEMA_ROLE_VIEWER)

static const struct auth_record there = {.exists = true};
static const struct auth_record not_there = {.exists = false};

static struct new_key make_key(struct fixture *fixture, struct auth_record *ret_record,
                               struct str *ret_header)
{
    struct new_key key;
    struct entropy entropy;

    entropy_init_system(&entropy);
    key_make(&entropy, &key);
    memset(ret_record, 0, sizeof(*ret_record));
    ret_record->exists = true;
    ret_record->roles = VIEWER;
    memcpy(ret_record->company_id, COMPANY, sizeof(COMPANY));
    memcpy(ret_record->secret_hash, key.hash, sizeof(key.hash));
    *ret_header = str_from(arena_printf(fixture->arena, "Bearer %s", key.text));
    return key;
}

static void test_a_key(void **state)
{
    struct fixture fixture;
    struct auth_record record;
    struct caller caller, second, wrong;
    struct str header;

    (void)state;
    fixture_init(&fixture, 64, NULL, false);
    struct new_key key = make_key(&fixture, &record, &header);
    ask(&fixture, &caller, header, false);
    ask(&fixture, &second, header, false);
    assert_int_equal(caller.verdict, AUTH_WAITS);
    assert_int_equal(fixture.asked, 1); /* one question for both */
    assert_string_equal(fixture.questions[0].name, key.prefix);
    answer(&fixture, &record);
    assert_true(caller.is_good && second.is_good);
    assert_string_equal(caller.check.principal.subject, key.prefix);
    assert_string_equal(caller.check.principal.key_prefix, key.prefix);
    assert_string_equal(caller.check.principal.company_id, COMPANY);
    assert_int_equal(caller.check.principal.roles, VIEWER);
    assert_int_equal(caller.check.principal.grants, 0);
    assert_false(auth_sees_phones(&caller.check.principal));
    assert_false(caller.check.principal.is_platform);
    ask(&fixture, &caller, header, false);
    assert_int_equal(caller.verdict, AUTH_GOOD); /* nobody waits for what has just been said */
    /* A wrong secret: known at once, and by the same words as an unknown key. */
    char *text = arena_strndup(fixture.arena, header.data, header.length);
    text[header.length - 2] = text[header.length - 2] == 'A' ? 'B' : 'A';
    ask(&fixture, &wrong, str_from(text), false);
    assert_int_equal(wrong.verdict, AUTH_REFUSED);
    assert_string_equal(wrong.err.reason, "KEY_UNKNOWN");
    assert_int_equal(fixture.asked, 1);
    fixture_done(&fixture);
}

static void test_what_is_in_use_is_never_waited_for(void **state)
{
    struct fixture fixture;
    struct auth_record record;
    struct caller caller;
    struct str header;

    (void)state;
    fixture_init(&fixture, 64, NULL, false);
    make_key(&fixture, &record, &header);
    ask(&fixture, &caller, header, false);
    answer(&fixture, &record);
    for (int i = 0; i < 100; i++) {
        virtual_clock_advance(&fixture.clock, SECONDS(1));
        ask(&fixture, &caller, header, false);
        assert_int_equal(caller.verdict, AUTH_GOOD);
        while (fixture.question_count)
            answer(&fixture, &record);
    }
    assert_in_range(fixture.asked, 20, 51); /* each 3 seconds, of 100 */
    assert_int_equal(fixture.touched, 2);   /* each minute */
    /* Unused for longer than its time: asked again before it is let in. */
    virtual_clock_advance(&fixture.clock, SECONDS(5));
    ask(&fixture, &caller, header, false);
    assert_int_equal(caller.verdict, AUTH_WAITS);
    answer(&fixture, &not_there);
    assert_string_equal(caller.err.reason, "KEY_UNKNOWN");
    fixture_done(&fixture);
}

static void test_an_outage_lets_nobody_in(void **state)
{
    struct fixture fixture;
    struct auth_record record;
    struct caller caller;
    struct str header;

    (void)state;
    fixture_init(&fixture, 64, NULL, false);
    make_key(&fixture, &record, &header);
    ask(&fixture, &caller, header, false);
    answer(&fixture, NULL);
    assert_true(caller.is_done && !caller.is_good);
    assert_int_equal(caller.err.code, ERR_UNAVAILABLE);
    ask(&fixture, &caller, header, false); /* an outage is not remembered */
    assert_int_equal(caller.verdict, AUTH_WAITS);
    answer(&fixture, &record);
    assert_true(caller.is_good);
    /* What was known stays known for its time. */
    virtual_clock_advance(&fixture.clock, SECONDS(3));
    ask(&fixture, &caller, header, false);
    assert_int_equal(caller.verdict, AUTH_GOOD);
    answer(&fixture, NULL);
    virtual_clock_advance(&fixture.clock, SECONDS(1));
    ask(&fixture, &caller, header, false);
    assert_int_equal(caller.verdict, AUTH_GOOD);
    answer(&fixture, NULL);
    virtual_clock_advance(&fixture.clock, SECONDS(2));
    ask(&fixture, &caller, header, false);
    assert_int_equal(caller.verdict, AUTH_WAITS);
    answer(&fixture, NULL);
    assert_int_equal(caller.err.code, ERR_UNAVAILABLE);
    fixture_done(&fixture);
}

static void test_an_expired_key(void **state)
{
    struct fixture fixture;
    struct auth_record record;
    struct caller caller;
    struct str header;

    (void)state;
    fixture_init(&fixture, 64, NULL, false);
    make_key(&fixture, &record, &header);
    record.expires_us = fixture.clock.now_us + SECONDS(2);
    ask(&fixture, &caller, header, false);
    answer(&fixture, &record);
    assert_true(caller.is_good);
    assert_int_equal(caller.check.principal.expires_us, record.expires_us);
    virtual_clock_advance(&fixture.clock, SECONDS(2)); /* to the moment, though it is remembered */
    ask(&fixture, &caller, header, false);
    assert_int_equal(caller.verdict, AUTH_REFUSED);
    assert_string_equal(caller.err.reason, "KEY_EXPIRED");
    fixture_done(&fixture);
}

static void test_the_company_of_a_token(void **state)
{
    struct fixture fixture;
    struct caller caller;

    (void)state;
    fixture_init(&fixture, 64, NULL, false);
    struct str token = fixture_token(&fixture, 'a', COMPANY);
    ask(&fixture, &caller, token, false);
    assert_int_equal(caller.verdict, AUTH_WAITS);
    assert_string_equal(fixture.questions[0].name, COMPANY);
    answer(&fixture, &there);
    assert_true(caller.is_good);
    ask(&fixture, &caller, token, false);
    assert_int_equal(caller.verdict, AUTH_GOOD);
    virtual_clock_advance(&fixture.clock, SECONDS(6));
    ask(&fixture, &caller, token, false);
    answer(&fixture, &not_there);
    assert_string_equal(caller.err.reason, "TOKEN_COMPANY_GONE");
    ask(&fixture, &caller, token, false);
    assert_int_equal(caller.verdict, AUTH_REFUSED); /* remembered as well */
    ask(&fixture, &caller, fixture_token(&fixture, 'a', NULL), false);
    assert_int_equal(caller.verdict, AUTH_GOOD); /* the platform's: no company to look for */
    fixture_done(&fixture);
}

struct watcher {
    struct auth_hold hold;
    unsigned told;
    char reason[48];
};

static void on_gone(struct auth_hold *hold, const struct err *err)
{
    struct watcher *watcher = (struct watcher *)hold;

    watcher->told++;
    memcpy(watcher->reason, err->reason, sizeof(watcher->reason));
}

static void test_streams_end(void **state)
{
    struct fixture fixture;
    struct auth_record record;
    struct caller key, token;
    struct watcher watchers[4] = {0};
    struct str header;

    (void)state;
    fixture_init(&fixture, 0, NULL, false); /* even without a table */
    make_key(&fixture, &record, &header);
    ask(&fixture, &key, header, false);
    answer(&fixture, &record);
    ask(&fixture, &token, fixture_token(&fixture, 'a', COMPANY), false);
    answer(&fixture, &there);
    for (int i = 0; i < 4; i++) {
        watchers[i].hold.on_gone = on_gone;
        assert_true(auth_hold_begin(fixture.auth,
                                    i < 3 ? &key.check.principal : &token.check.principal,
                                    &watchers[i].hold));
    }
    auth_hold_end(&watchers[0].hold); /* left by itself */
    fixture.asked = 0;
    while (fixture.question_count)
        answer(&fixture, fixture.questions[0].what == ASKED_KEY ? &record : &there);
    tick(&fixture, SECONDS(5));
    assert_int_equal(fixture.question_count, 2); /* one for each of the two, however many hold it */
    tick(&fixture, SECONDS(1));
    assert_int_equal(fixture.question_count, 2);
    answer(&fixture, NULL); /* an outage ends no stream */
    answer(&fixture, NULL);
    tick(&fixture, SECONDS(1));
    while (fixture.question_count)
        answer(&fixture, fixture.questions[0].what == ASKED_KEY ? &not_there : &there);
    assert_int_equal(watchers[0].told, 0);
    assert_int_equal(watchers[1].told, 1);
    assert_int_equal(watchers[2].told, 1);
    assert_int_equal(watchers[3].told, 0);
    assert_string_equal(watchers[1].reason, "KEY_UNKNOWN");
    auth_hold_end(&watchers[1].hold); /* harmless */
    tick(&fixture, SECONDS(5));
    assert_int_equal(fixture.question_count, 1);
    answer(&fixture, &not_there);
    assert_int_equal(watchers[3].told, 1);
    assert_string_equal(watchers[3].reason, "TOKEN_COMPANY_GONE");
    fixture_done(&fixture);
}

/* Names that nobody has are bounded, and push out nothing that is in use. */
static void test_made_up_keys(void **state)
{
    struct fixture fixture;
    struct auth_record record;
    struct auth_stats stats;
    struct caller caller, made_up;
    struct str good, header;
    struct auth_record ignored;

    (void)state;
    fixture_init(&fixture, 16, NULL, false);
    make_key(&fixture, &record, &good);
    ask(&fixture, &caller, good, false);
    answer(&fixture, &record);
    for (int i = 0; i < 1000; i++) {
        make_key(&fixture, &ignored, &header);
        ask(&fixture, &made_up, header, false);
        answer(&fixture, &not_there);
        assert_string_equal(made_up.err.reason, "KEY_UNKNOWN");
    }
    auth_stats(fixture.auth, &stats);
    assert_in_range(stats.known, 1, 16);
    ask(&fixture, &caller, good, false);
    assert_int_equal(caller.verdict, AUTH_GOOD);
    /* And at once: so many questions, and no more. */
    struct caller *many = arena_alloc(fixture.arena, 1100 * sizeof(*many));
    unsigned waiting = 0;
    for (int i = 0; i < 1100; i++) {
        make_key(&fixture, &ignored, &header);
        ask(&fixture, &many[i], header, false);
        waiting += many[i].verdict == AUTH_WAITS;
    }
    assert_int_equal(waiting, 1024);
    assert_int_equal(many[1099].err.code, ERR_UNAVAILABLE);
    assert_int_equal(many[1099].err.retry_after_seconds, 1);
    while (fixture.question_count)
        answer(&fixture, &not_there);
    ask(&fixture, &caller, good, false);
    assert_int_equal(caller.verdict, AUTH_GOOD);
    fixture_done(&fixture);
}

/* A key has what its record says, and a ticket what its own says: nothing is left from others. */
static void test_grants(void **state)
{
    struct fixture fixture;
    struct auth_record record;
    struct caller caller;
    struct new_ticket ticket;
    struct entropy entropy;
    struct str header;

    (void)state;
    fixture_init(&fixture, 64, NULL, false);
    entropy_init_system(&entropy);
    make_key(&fixture, &record, &header);
    record.grants = AUTH_GRANT_PHONES;
    ask(&fixture, &caller, header, false);
    answer(&fixture, &record);
    assert_int_equal(caller.check.principal.grants, AUTH_GRANT_PHONES);
    assert_true(auth_sees_phones(&caller.check.principal));
    ask(&fixture, &caller, header, false);
    assert_int_equal(caller.verdict, AUTH_GOOD); /* remembered with it */
    assert_int_equal(caller.check.principal.grants, AUTH_GRANT_PHONES);
    ticket_make(&entropy, &ticket);
    header = str_from(arena_printf(fixture.arena, "Ticket %s", ticket.text));
    record = (struct auth_record){.exists = true, .roles = VIEWER, .subject = STR_LITERAL("me")};
    ask(&fixture, &caller, header, true);
    answer(&fixture, &record);
    assert_false(auth_sees_phones(&caller.check.principal));
    record.grants = AUTH_GRANT_PHONES;
    ask(&fixture, &caller, header, true);
    answer(&fixture, &record);
    assert_true(auth_sees_phones(&caller.check.principal));
    fixture_done(&fixture);
}

static void test_tickets(void **state)
{
    struct fixture fixture;
    struct new_ticket ticket;
    struct entropy entropy;
    struct caller caller;
    struct auth_record record = {.exists = true, .roles = VIEWER, .subject = STR_LITERAL("me")};

    (void)state;
    fixture_init(&fixture, 16, NULL, false);
    entropy_init_system(&entropy);
    ticket_make(&entropy, &ticket);
    memcpy(record.company_id, COMPANY, sizeof(COMPANY));
    struct str alone = str_from(arena_printf(fixture.arena, "Ticket %s", ticket.text));
    struct str again = str_from(arena_printf(fixture.arena, "ticket  %s ", ticket.text));
    ask(&fixture, &caller, alone, false);
    assert_string_equal(caller.err.reason, "TICKET_NOT_HERE");
    ask(&fixture, &caller, alone, true);
    assert_int_equal(caller.verdict, AUTH_WAITS);
    answer(&fixture, &record);
    assert_true(caller.is_good);
    assert_string_equal(caller.check.principal.subject, "me");
    ask(&fixture, &caller, again, true); /* nothing is remembered of tickets */
    answer(&fixture, &not_there);
    assert_string_equal(caller.err.reason, "TICKET_REFUSED");
    record.expires_us = fixture.clock.now_us;
    ask(&fixture, &caller, again, true);
    answer(&fixture, &record);
    assert_string_equal(caller.err.reason, "TOKEN_EXPIRED");
    fixture_done(&fixture);
}

static void test_forms(void **state)
{
    static const char *const wrong[] = {
        "",
        "Bearer",
        "Bearer ",
        "Basic dpk_",
        "Ticket",
        "Ticket dpt_",
        "Bearer dpt_x",
        "dpk_",
        "Bearer dpk_",
        "Bearer dpk_0123456789abcdef",
        "Bearer dpk_0123456789abcdeg_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Bearer dpk_0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Bearer dpk_0123456789abcdef_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "Ticket dpt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x",
        "Ticket dpt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAx",
        "Ticket dpt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+",
    };
    struct fixture fixture;
    struct caller caller;

    (void)state;
    fixture_init(&fixture, 16, NULL, false);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ask(&fixture, &caller, str_from(wrong[i]), true);
        assert_int_equal(caller.verdict, AUTH_REFUSED);
        assert_int_equal(caller.err.code, ERR_UNAUTHENTICATED);
    }
    assert_int_equal(fixture.asked, 0); /* what has not the form costs no question */
    fixture_done(&fixture);
}

/* Each costs one signature, though some would meet in a table without a choice (with one place a
 * token, some eighty of them again and again). */
static void test_tokens_do_not_push_each_other_out(void **state)
{
    enum { TABLE = 512, TOKENS = TABLE / 4, ROUNDS = 4 };
    struct fixture fixture;
    struct caller caller;
    struct str tokens[TOKENS];
    struct auth_stats stats;

    (void)state;
    fixture_init(&fixture, TABLE, NULL, false);
    for (unsigned i = 0; i < TOKENS; i++)
        tokens[i] = fixture_token_of(&fixture, 'a', NULL, i);
    for (unsigned i = 0; i < TOKENS * ROUNDS; i++) {
        ask(&fixture, &caller, tokens[i % TOKENS], false);
        assert_int_equal(caller.verdict, AUTH_GOOD);
    }
    auth_stats(fixture.auth, &stats);
    /* The seed is random, so that for nine of them eight places may be all there is; seldom. */
    assert_in_range(stats.verified, TOKENS, TOKENS + TOKENS / 2);
    assert_int_equal(stats.verified + stats.remembered, TOKENS * ROUNDS);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key),
        cmocka_unit_test(test_what_is_in_use_is_never_waited_for),
        cmocka_unit_test(test_an_outage_lets_nobody_in),
        cmocka_unit_test(test_an_expired_key),
        cmocka_unit_test(test_the_company_of_a_token),
        cmocka_unit_test(test_streams_end),
        cmocka_unit_test(test_made_up_keys),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_tokens_do_not_push_each_other_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
