/* Defaults of the .proto in decoded messages. */
#include "load_echo.h"
#include "rpc/rpc.h"
#include "test_rpc.h"

#include <echo.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef Dialplane__Test__Config config;

static struct schema *schema;

static int load(void **state)
{
    (void)state;
    schema = load_echo();
    return schema ? 0 : 1;
}

static int unload(void **state)
{
    (void)state;
    schema_free(schema);
    return 0;
}

static void test_all_absent(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    config message = DIALPLANE__TEST__CONFIG__INIT;
    assert_true(rpc_apply_defaults(schema, &message.base, arena));
    assert_int_equal(message._temperature_case, DIALPLANE__TEST__CONFIG___TEMPERATURE_TEMPERATURE);
    assert_true(message.temperature > 0.69 && message.temperature < 0.71);
    assert_string_equal(message.language, "ru");
    assert_int_equal(message._enabled_case, DIALPLANE__TEST__CONFIG___ENABLED_ENABLED);
    assert_true(message.enabled);
    assert_int_equal(message.kind, DIALPLANE__TEST__KIND__KIND_SECOND);
    assert_int_equal(message.n_days, 3);
    assert_int_equal(message.days[2], 3);
    assert_non_null(message.nested);
    assert_int_equal(message.nested->level, 3);
    assert_int_equal(message.nested->_level_case, DIALPLANE__TEST__NESTED___LEVEL_LEVEL);
    assert_null(message.nested->inner);
    assert_null(message.left_alone);
    assert_int_equal(message.choice_case, DIALPLANE__TEST__CONFIG__CHOICE__NOT_SET);
    assert_int_equal(message.price, 4300);
    arena_free(arena);
}

static void test_present_values_stay(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    Dialplane__Test__Nested inner = DIALPLANE__TEST__NESTED__INIT;
    Dialplane__Test__Nested nested = DIALPLANE__TEST__NESTED__INIT;
    Dialplane__Test__Nested listed = DIALPLANE__TEST__NESTED__INIT;
    Dialplane__Test__Nested *list[] = {&listed};
    config message = DIALPLANE__TEST__CONFIG__INIT;
    int32_t day = 6;
    message._temperature_case = DIALPLANE__TEST__CONFIG___TEMPERATURE_TEMPERATURE;
    message.temperature = 0; /* given, and not the same as missing */
    message._enabled_case = DIALPLANE__TEST__CONFIG___ENABLED_ENABLED;
    message.enabled = false;
    message.language = "en";
    message.kind = DIALPLANE__TEST__KIND__KIND_FIRST;
    message.n_days = 1;
    message.days = &day;
    message.left_alone = &nested;
    nested.inner = &inner;
    nested._level_case = DIALPLANE__TEST__NESTED___LEVEL_LEVEL;
    nested.level = 0;
    message.n_list = 1;
    message.list = list;
    message.choice_case = DIALPLANE__TEST__CONFIG__CHOICE_NUMBER;
    message.number = 0;
    assert_true(rpc_apply_defaults(schema, &message.base, arena));
    assert_true(message.temperature <= 0);
    assert_false(message.enabled);
    assert_string_equal(message.language, "en");
    assert_int_equal(message.kind, DIALPLANE__TEST__KIND__KIND_FIRST);
    assert_int_equal(message.n_days, 1);
    assert_int_equal(message.days[0], 6);
    assert_int_equal(nested.level, 0);
    assert_int_equal(inner.level, 3); /* reached inside what was present */
    assert_int_equal(listed.level, 3);
    assert_int_equal(message.choice_case, DIALPLANE__TEST__CONFIG__CHOICE_NUMBER);
    arena_free(arena);
}

static void test_exhausted_arena(void **state)
{
    (void)state;
    for (size_t limit = 16; limit < 4096; limit += 16) {
        struct arena *arena = arena_new(limit);
        config message = DIALPLANE__TEST__CONFIG__INIT;
        bool good = rpc_apply_defaults(schema, &message.base, arena);
        assert_true(good || arena_is_exhausted(arena));
        arena_free(arena);
    }
}

int run_defaults_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_absent),
        cmocka_unit_test(test_present_values_stay),
        cmocka_unit_test(test_exhausted_arena),
    };
    return cmocka_run_group_tests_name("defaults", tests, load, unload);
}
