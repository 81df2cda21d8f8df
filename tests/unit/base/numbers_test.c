/* time, uuid, decimal. */
#include "base/decimal.h"
#include "base/time.h"
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* time */

static void clocks_move(void **state)
{
    const struct clock *system = clock_system();
    int64_t before = system->monotonic_us(system);
    struct virtual_clock virtual_clock;

    (void)state;
    assert_true(system->wall_us(system) > INT64_C(1700000000) * TIME_US_PER_SECOND);
    assert_true(system->monotonic_us(system) >= before);
    virtual_clock_init(&virtual_clock, 5);
    virtual_clock_advance(&virtual_clock, 10);
    const struct clock *clock = &virtual_clock.clock;

    assert_int_equal(clock->wall_us(clock), 15);
    assert_int_equal(clock->monotonic_us(clock), 15);
}

static void entropy_repeats_from_a_seed(void **state)
{
    struct entropy a, b, c, system;

    (void)state;
    entropy_init_seeded(&a, 1);
    entropy_init_seeded(&b, 1);
    entropy_init_seeded(&c, 2);
    uint64_t first = entropy_uint64(&a);

    assert_true(first == entropy_uint64(&b));
    assert_true(first != entropy_uint64(&c));
    for (int i = 0; i < 1000; i++) {
        double unit = entropy_unit(&a);

        assert_true(unit >= 0 && unit < 1);
    }
    entropy_init_system(&system);
    assert_true(entropy_uint64(&system) != entropy_uint64(&system));
    /* Any size, also one that is no whole word. */
    unsigned char bytes[13] = {0};

    a.fill(&a, bytes, 0);
    a.fill(&a, bytes, sizeof(bytes));
}

static void assert_time(const char *text, const char *expected)
{
    char out[TIME_TEXT_SIZE];
    int64_t us;

    if (!time_parse_rfc3339(str_from(text), &us))
        fail_msg("%s was refused", text);
    time_format_rfc3339(us, out);
    assert_string_equal(out, expected);
    int64_t again;

    assert_true(time_parse_rfc3339(str_from(out), &again));
    assert_true(again == us);
}

static void times_are_read_and_written(void **state)
{
    int64_t us;

    (void)state;
    assert_true(time_parse_rfc3339(STR_LITERAL("1970-01-01T00:00:00Z"), &us));
    assert_int_equal(us, 0);
    assert_true(time_parse_rfc3339(STR_LITERAL("2026-01-17T09:30:00.123456Z"), &us));
    assert_true(us == INT64_C(1768642200123456));
    assert_time("2026-01-17T09:30:00.123456Z", "2026-01-17T09:30:00.123456Z");
    assert_time("2026-01-17t09:30:00z", "2026-01-17T09:30:00.000000Z");
    assert_time("2026-01-17T09:30:00.5+03:00", "2026-01-17T06:30:00.500000Z");
    assert_time("2026-01-01T00:30:00-05:30", "2026-01-01T06:00:00.000000Z");
    assert_time("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000000Z");
    assert_time("2026-01-17T09:30:00.1234569999Z", "2026-01-17T09:30:00.123456Z");
    assert_time("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z");
    assert_time("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z");
    assert_time("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z");
    assert_time("2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000000Z");
    assert_time("2000-02-29T12:00:00Z", "2000-02-29T12:00:00.000000Z");
    static const char *const bad[] = {"",
                                      "2026-01-17",
                                      "2026-01-17T09:30:00",
                                      "2026-01-17T09:30Z",
                                      "2026-01-17 09:30:00Z",
                                      "2026-1-17T09:30:00Z",
                                      "2026-01-17T24:00:00Z",
                                      "2026-01-17T09:60:00Z",
                                      "2026-01-17T23:59:60Z",
                                      "2026-01-17T09:30:00.Z",
                                      "2026-01-17T09:30:00+3:00",
                                      "2026-01-17T09:30:00+0300",
                                      "2026-01-17T09:30:00+24:00",
                                      "2026-01-17T09:30:00+03:60",
                                      "2026-01-17T09:30:00ZZ",
                                      "2026-01-17T09:30:00Z ",
                                      "2025-02-29T00:00:00Z",
                                      "0000-01-01T00:00:00Z",
                                      "0001-01-01T00:00:00+00:01",
                                      "9999-12-31T23:59:59-00:01",
                                      "2026-13-01T00:00:00Z",
                                      "+2026-01-01T00:00:00Z"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (time_parse_rfc3339(str_from(bad[i]), &us))
            fail_msg("%s was taken", bad[i]);
    char out[TIME_TEXT_SIZE];

    time_format_rfc3339(INT64_MIN, out);
    assert_string_equal(out, "0001-01-01T00:00:00.000000Z");
    time_format_rfc3339(INT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999999Z");
}

static void every_day_of_ten_thousand_years(void **state)
{
    int32_t first, last, days;
    char text[DATE_TEXT_SIZE];

    (void)state;
    assert_true(date_parse(STR_LITERAL("0001-01-01"), &first));
    assert_true(date_parse(STR_LITERAL("9999-12-31"), &last));
    assert_int_equal(first, -719162);
    assert_int_equal(last, 2932896);
    for (int32_t day = first; day <= last; day++) {
        date_format(day, text);
        if (!date_parse(str_from(text), &days) || days != day)
            fail_msg("day %d is written %s", day, text);
    }
    date_format(first - 1, text);
    assert_string_equal(text, "0001-01-01");
    date_format(last + 1, text);
    assert_string_equal(text, "9999-12-31");
    date_format(0, text);
    assert_string_equal(text, "1970-01-01");
    static const char *const bad[] = {
        "2026-02-29", "1900-02-29", "2026-00-01", "2026-04-31",  "2026-01-00",
        "0000-01-01", "2026-1-1",   "20260101",   "2026-01-01x", ""};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(date_parse(str_from(bad[i]), &days));
}

static void times_of_day(void **state)
{
    int minutes;

    (void)state;
    assert_true(time_of_day_parse(STR_LITERAL("00:00"), &minutes));
    assert_int_equal(minutes, 0);
    assert_true(time_of_day_parse(STR_LITERAL("23:59"), &minutes));
    assert_int_equal(minutes, 1439);
    static const char *const bad[] = {"",     "24:00", "99:99",    "09:60", "9:00",
                                      "09:0", "09-00", "09:00:00", " 9:00"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(time_of_day_parse(str_from(bad[i]), &minutes));
}

/* uuid */

static void uuids_only_grow(void **state)
{
    struct virtual_clock virtual_clock;
    struct entropy entropy;
    struct uuid last = {{0}};
    int64_t now = INT64_C(1768642200123456);

    (void)state;
    entropy_init_seeded(&entropy, 7);
    virtual_clock_init(&virtual_clock, now);
    for (int i = 0; i < 20000; i++) {
        struct uuid uuid = uuid_v7(&virtual_clock.clock, &entropy);

        /* The clock stands for long, moves, and goes back: more than the counter's 4096 ids in one
         * millisecond. */
        if (i == 10000)
            virtual_clock_advance(&virtual_clock, 60 * TIME_US_PER_SECOND);
        if (i == 15000)
            virtual_clock_advance(&virtual_clock, -3600 * TIME_US_PER_SECOND);
        assert_true(memcmp(uuid.bytes, last.bytes, sizeof(uuid.bytes)) > 0);
        assert_int_equal(uuid.bytes[6] >> 4, 7);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
        last = uuid;
    }
}

static void uuids_carry_their_time(void **state)
{
    struct virtual_clock virtual_clock;
    struct entropy entropy;
    uint64_t ms = 0;

    (void)state;
    entropy_init_seeded(&entropy, 7);
    /* Later than the other test's: the module never goes back. */
    virtual_clock_init(&virtual_clock, INT64_C(2000000000) * TIME_US_PER_SECOND + 1000);
    struct uuid uuid = uuid_v7(&virtual_clock.clock, &entropy);

    for (int i = 0; i < 6; i++)
        ms = ms << 8 | uuid.bytes[i];
    assert_true(ms == UINT64_C(2000000000001));
}

static void uuids_are_read_and_written(void **state)
{
    char text[UUID_TEXT_SIZE];
    struct uuid uuid;

    (void)state;
    assert_true(uuid_parse(STR_LITERAL("0194F3C2-7A1b-7cde-8f00-0123456789Ab"), &uuid));
    uuid_format(&uuid, text);
    assert_string_equal(text, "0194f3c2-7a1b-7cde-8f00-0123456789ab");
    static const char *const bad[] = {"",
                                      "abc",
                                      "0194f3c2-7a1b-7cde-8f00-0123456789a",
                                      "0194f3c2-7a1b-7cde-8f00-0123456789abc",
                                      "0194f3c27-a1b-7cde-8f00-0123456789ab",
                                      "0194f3c2-7a1b-7cde-8f00-0123456789ag",
                                      "{194f3c2-7a1b-7cde-8f00-0123456789a}",
                                      "0194f3c2+7a1b-7cde-8f00-0123456789ab",
                                      "0194f3c2-7a1b-7cde-8f00-01234567 9ab"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(uuid_parse(str_from(bad[i]), &uuid));
}

/* decimal */

static void decimals_are_exact(void **state)
{
    static const struct {
        const char *text;
        unsigned places;
        int64_t value;
        const char *written;
    } good[] = {
        {"0", 6, 0, "0"},
        {"-0", 6, 0, "0"},
        {"0.000", 2, 0, "0"},
        {"0e99999999999999999999", 2, 0, "0"},
        {"12.5", 6, 12500000, "12.5"},
        {"-0.000001", 6, -1, "-0.000001"},
        {"1e3", 0, 1000, "1000"},
        {"1E+3", 2, 100000, "1000"},
        {"1.50", 1, 15, "1.5"},
        {"1000e-3", 0, 1, "1"},
        {"0.00001e5", 0, 1, "1"},
        {"9223372036854775807", 0, INT64_MAX, "9223372036854775807"},
        {"-9223372036854775808", 0, INT64_MIN, "-9223372036854775808"},
        {"-9223372036854.775808", 6, INT64_MIN, "-9223372036854.775808"},
        {"9.223372036854775807", 18, INT64_MAX, "9.223372036854775807"},
        {"1000000000000000000000000e-24", 0, 1, "1"},
        {"0.0043", 6, 4300, "0.0043"},
        {"5", 18, INT64_C(5000000000000000000), "5"},
    };
    static const struct {
        const char *text;
        unsigned places;
    } bad[] = {
        {"", 2},
        {"-", 2},
        {"+1", 2},
        {".5", 2},
        {"5.", 2},
        {"1.", 2},
        {"01", 2},
        {"1e", 2},
        {"1e+", 2},
        {"1 ", 2},
        {" 1", 2},
        {"0x1", 2},
        {"1.005", 2},
        {"0.1", 0},
        {"1e-1", 0},
        {"NaN", 2},
        {"Infinity", 2},
        {"1,5", 2},
        {"10", 18},
        {"1e19", 0},
        {"9223372036854775808", 0},
        {"-9223372036854775809", 0},
        {"1e999999999999999999999", 0},
        {"1e-999999999999999999999", 18},
        {"12345678901234567890", 0},
        {"1.2345678901234567891", 18},
        {"1", 19},
    };
    int64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char text[DECIMAL_TEXT_SIZE];

        if (!decimal_parse(str_from(good[i].text), good[i].places, &value) ||
            value != good[i].value)
            fail_msg("%s gave %lld", good[i].text, (long long)value);
        size_t length = decimal_format(value, good[i].places, text);

        assert_int_equal(length, strlen(text));
        assert_string_equal(text, good[i].written);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (decimal_parse(str_from(bad[i].text), bad[i].places, &value))
            fail_msg("%s was taken", bad[i].text);
}

static void products_are_rounded_half_up(void **state)
{
    int64_t value;

    (void)state;
    assert_true(decimal_mul_div(5, 1, 10, &value));
    assert_int_equal(value, 1);
    assert_true(decimal_mul_div(4, 1, 10, &value));
    assert_int_equal(value, 0);
    assert_true(decimal_mul_div(15, 1, 10, &value));
    assert_int_equal(value, 2);
    assert_true(decimal_mul_div(25, 1, 10, &value));
    assert_int_equal(value, 3);
    assert_true(decimal_mul_div(0, 0, 1, &value));
    assert_int_equal(value, 0);
    /* An odd divisor has no exact half. */
    assert_true(decimal_mul_div(1, 1, 3, &value));
    assert_int_equal(value, 0);
    assert_true(decimal_mul_div(2, 1, 3, &value));
    assert_int_equal(value, 1);
    assert_true(decimal_mul_div(INT64_MAX, INT64_MAX, INT64_MAX, &value));
    assert_true(value == INT64_MAX);
    assert_true(decimal_mul_div(INT64_MAX, 1, 1, &value));
    assert_true(value == INT64_MAX);
    assert_false(decimal_mul_div(INT64_MAX, 2, 1, &value));
    assert_false(decimal_mul_div(INT64_MAX, INT64_MAX, 1, &value));
    assert_false(decimal_mul_div(-1, 1, 1, &value));
    assert_false(decimal_mul_div(1, 1, 0, &value));
    /* 37.5 s of speech at $0.0043 a minute, in micro-dollars: 2687.5 → 2688. */
    assert_true(decimal_mul_div(37500, 4300, 60000, &value));
    assert_int_equal(value, 2688);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_move),
        cmocka_unit_test(entropy_repeats_from_a_seed),
        cmocka_unit_test(times_are_read_and_written),
        cmocka_unit_test(every_day_of_ten_thousand_years),
        cmocka_unit_test(times_of_day),
        cmocka_unit_test(uuids_only_grow),
        cmocka_unit_test(uuids_carry_their_time),
        cmocka_unit_test(uuids_are_read_and_written),
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(products_are_rounded_half_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
