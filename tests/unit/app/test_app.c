/* The pure parts of app: values, names of variables, the nearest flag, the exposition format. */
#include "app/internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t number;
static bool truth;
static char reason[160];

static bool put(int kind, int64_t minimum, int64_t maximum, const char *text)
{
    struct app_setting setting = {.name = "x", .help = "", .minimum = minimum, .maximum = maximum};
    setting.kind = kind;
    setting.ret_value = kind == APP_BOOL ? (void *)&truth : (void *)&number;
    return app_value_set(&setting, text, reason, sizeof(reason));
}

static void test_durations(void **state)
{
    (void)state;
    assert_true(put(APP_DURATION, 0, 0, "250ms"));
    assert_int_equal(number, 250000);
    assert_true(put(APP_DURATION, 0, 0, "2m"));
    assert_int_equal(number, 120 * TIME_US_PER_SECOND);
    assert_true(put(APP_DURATION, 0, 0, "0"));
    assert_int_equal(number, 0);
    assert_false(put(APP_DURATION, 0, 0, "5"));
    assert_false(put(APP_DURATION, 0, 0, "-5s"));
    assert_false(put(APP_DURATION, 0, 0, "5 s"));
    assert_false(put(APP_DURATION, 0, 0, "5sec"));
    assert_false(put(APP_DURATION, 0, 0, ""));
    assert_false(put(APP_DURATION, 0, 0, "9999999999999999h"));
    assert_string_equal(reason, "must be a duration such as 250ms, 5s or 2m");
    assert_false(put(APP_DURATION, TIME_US_PER_SECOND, 60 * TIME_US_PER_SECOND, "2m"));
    assert_string_equal(reason, "must be between 1s and 1m");
}

static void test_sizes(void **state)
{
    (void)state;
    assert_true(put(APP_SIZE, 0, 0, "64KB"));
    assert_int_equal(number, 65536);
    assert_true(put(APP_SIZE, 0, 0, "8MB"));
    assert_int_equal(number, 8 << 20);
    assert_false(put(APP_SIZE, 0, 0, "8mb"));
    assert_false(put(APP_SIZE, 1 << 10, 1 << 20, "2MB"));
    assert_string_equal(reason, "must be between 1KB and 1MB");
}

static void test_numbers(void **state)
{
    (void)state;
    assert_true(put(APP_INT, 1, 10, "10"));
    assert_int_equal(number, 10);
    assert_false(put(APP_INT, 1, 10, "11"));
    assert_string_equal(reason, "must be between 1 and 10");
    assert_false(put(APP_INT, 0, 0, "ten"));
    assert_false(put(APP_INT, 0, 0, "1.5"));
    assert_true(put(APP_BOOL, 0, 0, "off"));
    assert_false(truth);
    assert_false(put(APP_BOOL, 0, 0, "maybe"));
}

static void test_variables(void **state)
{
    (void)state;
    char name[80];
    struct app_setting setting = {.name = "max-calls"};
    app_variable_name("dialplane-campaign", &setting, name, sizeof(name));
    assert_string_equal(name, "DIALPLANE_MAX_CALLS");
    setting.own = true;
    app_variable_name("dialplane-campaign", &setting, name, sizeof(name));
    assert_string_equal(name, "DIALPLANE_CAMPAIGN_MAX_CALLS");
}

static void test_nearest(void **state)
{
    (void)state;
    struct app_setting settings[] = {
        {.name = "listen"}, {.name = "database-url"}, {.name = "log-level"}};
    assert_string_equal(app_nearest_flag("lisen", settings, 3), "listen");
    assert_string_equal(app_nearest_flag("databaseurl", settings, 3), "database-url");
    assert_string_equal(app_nearest_flag("loglevel", settings, 3), "log-level");
    assert_null(app_nearest_flag("x", settings, 3));
    assert_null(app_nearest_flag("colour", settings, 3));
}

static void test_exposition(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    metrics_family(&out, "a_total", "counter", "Line one\nand \\ more.");
    metrics_sample(&out, "a_total", "x=\"y\"", 3);
    metrics_sample(&out, "a_total", NULL, 0.25);
    metrics_sample(&out, "a_total", NULL, INFINITY);
    metrics_sample(&out, "a_total", NULL, NAN);
    char *text = buf_take_cstr(&out);
    assert_string_equal(text, "# HELP a_total Line one\\nand \\\\ more.\n"
                              "# TYPE a_total counter\n"
                              "a_total{x=\"y\"} 3\na_total 0.25\na_total +Inf\na_total NaN\n");
    free(text);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_numbers),   cmocka_unit_test(test_variables),
        cmocka_unit_test(test_nearest),   cmocka_unit_test(test_exposition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
