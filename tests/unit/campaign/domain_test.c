/* The rules of campaigns without I/O: moves, days, periods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/moves.h"
#include "domain/window_check.h"

#include "base/arena.h"

#include <string.h>

/* ---- Moves ---- */

static void test_moves(void **state)
{
    static const struct {
        const char *from;
        bool start, pause, cancel;
    } table[] = {
        {"draft", true, false, true},       {"running", false, true, true},
        {"paused", true, false, true},      {"completed", true, false, false},
        {"cancelled", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(campaign_move_is_allowed(CAMPAIGN_START, table[i].from), table[i].start);
        assert_int_equal(campaign_move_is_allowed(CAMPAIGN_PAUSE, table[i].from), table[i].pause);
        assert_int_equal(campaign_move_is_allowed(CAMPAIGN_CANCEL, table[i].from), table[i].cancel);
    }
    assert_string_equal(campaign_move_rule(CAMPAIGN_START)->target, "running");
    assert_string_equal(campaign_move_rule(CAMPAIGN_PAUSE)->target, "paused");
    assert_string_equal(campaign_move_rule(CAMPAIGN_CANCEL)->target, "cancelled");
}

static void test_days(void **state)
{
    const int some[] = {5, 1, 5, 9, -3, 0}, odd[] = {0, 8};
    char text[WINDOW_DAYS_TEXT_SIZE];

    (void)state;
    window_format_days(some, 6, text);
    assert_string_equal(text, "1,5");
    window_format_days(NULL, 0, text);
    assert_string_equal(text, "1,2,3,4,5,6,7");
    window_format_days(odd, 2, text);
    assert_string_equal(text, "1,2,3,4,5,6,7");
}

static void test_period(void **state)
{
    struct arena *arena = arena_new(65536);
    struct violations violations;

    (void)state;
    violations_init(&violations, arena, 5);
    window_check_period(true, 5, true, 6, &violations);
    window_check_period(false, 0, true, -6, &violations);
    window_check_period(true, 5, false, 0, &violations);
    assert_int_equal(violations.count, 0);
    window_check_period(true, 5, true, 5, &violations);
    assert_int_equal(violations.count, 1);
    assert_string_equal(violations.first->field, "campaign.end_time");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_period),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
