/* Parameters as text and array literals, and the quantised timeout; no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pg/internal.h"

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(1024 * 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void test_scalars(void **state)
{
    (void)state;
    struct pg_params params = {.arena = arena};
    pg_param_text(&params, "x");
    pg_param_text(&params, NULL);
    pg_param_str(&params, (struct str){"abcdef", 3});
    pg_param_int64(&params, INT64_MIN);
    pg_param_double(&params, 0.1);
    pg_param_bool(&params, true);
    pg_param_time_us(&params, 0);
    pg_param_bytes(&params, (struct str){"a\0b", 3});
    pg_param_null(&params);
    assert_int_equal(params.count, 9);
    assert_false(params.failed);
    assert_false(params.has_nul);
    assert_string_equal(params.values[0], "x");
    assert_null(params.values[1]);
    assert_string_equal(params.values[2], "abc");
    assert_string_equal(params.values[3], "-9223372036854775808");
    assert_string_equal(params.values[4], "0.10000000000000001");
    assert_string_equal(params.values[5], "t");
    assert_string_equal(params.values[6], "1970-01-01T00:00:00.000000Z");
    assert_int_equal(params.formats[7], 1);
    assert_int_equal(params.lengths[7], 3);
    assert_null(params.values[8]);
}

static void test_arrays(void **state)
{
    (void)state;
    struct pg_params params = {.arena = arena};
    const char *texts[] = {"plain", "q\"uote", "back\\slash", "{a,b}", "", NULL, "NULL"};
    pg_param_text_array(&params, texts, 7);
    pg_param_text_array(&params, NULL, 0);
    const int64_t numbers[] = {INT64_MIN, 0, INT64_MAX};
    pg_param_int64_array(&params, numbers, 3);
    pg_param_int64_array(&params, NULL, 0);
    assert_string_equal(params.values[0],
                        "{\"plain\",\"q\\\"uote\",\"back\\\\slash\",\"{a,b}\",\"\",NULL,\"NULL\"}");
    assert_string_equal(params.values[1], "{}");
    assert_string_equal(params.values[2], "{-9223372036854775808,0,9223372036854775807}");
    assert_string_equal(params.values[3], "{}");
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct pg_params params = {.arena = arena};
    pg_param_str(&params, (struct str){"a\0b", 3});
    assert_true(params.has_nul);
    for (int i = 1; i < PG_PARAMETER_LIMIT; i++)
        pg_param_null(&params);
    assert_false(params.failed);
    pg_param_null(&params);
    assert_true(params.failed);

    struct arena *small = arena_new(64);
    struct pg_params short_of_memory = {.arena = small};
    char text[5000];
    memset(text, 'x', sizeof(text));
    pg_param_str(&short_of_memory, (struct str){text, sizeof(text)});
    assert_true(short_of_memory.failed);
    arena_free(small);
}

static void test_timeouts_change_rarely(void **state)
{
    (void)state;
    assert_int_equal(timeout_quantise(1, 30000), 1);
    assert_int_equal(timeout_quantise(9000, 30000), 16384);
    assert_int_equal(timeout_quantise(16385, 30000), 30000);
    assert_int_equal(timeout_quantise(30000, 30000), 30000);
    assert_true(timeout_suits(16384, 9990));
    assert_true(timeout_suits(16384, 5000));
    assert_false(timeout_suits(16384, 4000));
    assert_false(timeout_suits(16384, 16385));
    assert_false(timeout_suits(0, 10)); /* unknown */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_timeouts_change_rarely),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
