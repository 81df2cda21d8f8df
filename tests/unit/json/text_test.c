/* The parts below messages: strings, numbers, times, base64, repeated keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"
#include "json/base64.h"
#include "json/double.h"
#include "json/keys.h"
#include "json/number.h"
#include "json/text.h"
#include "json/times.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What json_plain_end() says, byte by byte. */
static size_t plain_slowly(const char *text, size_t length)
{
    size_t at = 0;

    while (at < length) {
        unsigned char c = (unsigned char)text[at];
        size_t size = 1;

        if (c < 0x20 || c == '"' || c == '\\')
            break;
        for (; size <= 4 && at + size <= length; size++)
            if (utf8_is_valid(text + at, size))
                break;
        if (size > 4 || at + size > length)
            break;
        at += size;
    }
    return at;
}

static void test_plain_end_agrees_with_the_slow_way(void **state)
{
    static const char *const pieces[] = {"a",
                                         "Hello, world",
                                         "б",
                                         "Привет мир",
                                         "é",
                                         "中文字符",
                                         "😀",
                                         "\"",
                                         "\\",
                                         "\n",
                                         "\x1f",
                                         "\x7f",
                                         "\xc2",
                                         "\x80",
                                         "\xff",
                                         "\xe2\x82",
                                         "\xc0\xaf",
                                         "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80",
                                         "\xf0\x9f\x98",
                                         "0123456789abcdef"};
    struct entropy entropy;
    char text[128];

    (void)state;
    entropy_init_seeded(&entropy, 7);
    for (int round = 0; round < 200000; round++) {
        size_t length = 0, most = entropy_uint64(&entropy) % 60;

        while (length < most) {
            /* Mostly what is fine, so that the scan gets far. */
            uint64_t roll = entropy_uint64(&entropy);
            size_t which = roll % 4 ? roll / 4 % 7 : roll / 4 % (sizeof(pieces) / sizeof(*pieces));
            size_t size = strlen(pieces[which]);

            memcpy(text + length, pieces[which], size);
            length += size;
        }
        size_t cut = entropy_uint64(&entropy) % (length + 1);
        const char *plain = json_plain_end(text, text + cut, text + length);
        char *exact = malloc(cut ? cut : 1);

        memcpy(exact, text, cut);
        assert_int_equal(plain - text, plain_slowly(text, cut));
        assert_int_equal(json_plain_end(exact, exact + cut, exact + cut) - exact, plain - text);
        free(exact);
    }
}

static void test_strings_are_escaped(void **state)
{
    struct buf out = {0};
    struct str text = STR_LITERAL("a\"b\\c\n\t\r\b\f\x01\x1f/é😀\0z");
    struct str bad = STR_LITERAL("a long enough text and then \xed\xa0\x80");

    (void)state;
    assert_true(json_put_string(&out, text, text.data + text.length));
    buf_put_char(&out, '\0');
    assert_string_equal(out.data, "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001\\u001f/é😀\\u0000z\"");
    assert_false(json_put_string(&out, bad, bad.data + bad.length));
    buf_done(&out);
}

static void test_doubles_are_shortest(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "-0.0"},
                 {1, "1"},
                 {-1.5, "-1.5"},
                 {0.1, "0.1"},
                 {0.7, "0.7"},
                 {0.001, "0.001"},
                 {0.3, "0.3"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1.0 / 3, "0.3333333333333333"},
                 {123456.7891, "123456.7891"},
                 {1e21, "1e+21"},
                 {1e20, "100000000000000000000"},
                 {5e-324, "5e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {9007199254740993.0, "9007199254740992"},
                 {12, "12"},
                 {4294967296.5, "4294967296.5"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[JSON_NUMBER_TEXT_SIZE + 1];

        text[json_number_put_double(cases[i].value, text)] = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

/* The short cut for short decimals gives what the library gives, and every text reads back. */
static void test_doubles_agree_with_the_library(void **state)
{
    struct entropy entropy;

    (void)state;
    entropy_init_seeded(&entropy, 11);
    for (int round = 0; round < 300000; round++) {
        uint64_t bits = entropy_uint64(&entropy);
        char ours[JSON_NUMBER_TEXT_SIZE + 1], library[JSON_DOUBLE_TEXT_SIZE + 1];
        double value, back;

        memcpy(&value, &bits, sizeof(value));
        if (round % 2)
            value = (double)(int64_t)(bits % 2000000000) / pow(10, (double)(bits >> 60));
        if (!isfinite(value))
            continue;
        ours[json_number_put_double(value, ours)] = '\0';
        library[json_double_shortest(value, library)] = '\0';
        assert_string_equal(ours, library);
        assert_true(json_number_read_double(str_from(ours), false, &back));
        assert_memory_equal(&back, &value, sizeof(value));
        assert_true(strtod(ours, NULL) == value);
    }
}

static void test_floats(void **state)
{
    char text[JSON_DOUBLE_TEXT_SIZE + 1];
    double value;

    (void)state;
    text[json_float_shortest(0.1F, text)] = '\0';
    assert_string_equal(text, "0.1");
    text[json_float_shortest(-0.0F, text)] = '\0';
    assert_string_equal(text, "-0.0");
    assert_true(json_number_read_double(STR_LITERAL("3.4028234e38"), true, &value));
    assert_false(json_number_read_double(STR_LITERAL("3.5e38"), true, &value));
    assert_false(json_number_read_double(STR_LITERAL("1e309"), false, &value));
    assert_true(json_number_read_double(STR_LITERAL("1e-400"), false, &value));
    assert_true(value == 0);
}

static void test_exact_numbers(void **state)
{
    static const struct {
        const char *text;
        unsigned places;
        enum json_number_fit fit;
        bool negative;
        uint64_t magnitude;
    } cases[] = {
        {"0", 0, JSON_NUMBER_OK, false, 0},
        {"-0", 0, JSON_NUMBER_OK, true, 0},
        {"1.0", 0, JSON_NUMBER_OK, false, 1},
        {"1e3", 0, JSON_NUMBER_OK, false, 1000},
        {"1.5e1", 0, JSON_NUMBER_OK, false, 15},
        {"1500e-2", 0, JSON_NUMBER_OK, false, 15},
        {"1.5", 0, JSON_NUMBER_TOO_FINE, false, 0},
        {"1e-1", 0, JSON_NUMBER_TOO_FINE, false, 0},
        {"18446744073709551615", 0, JSON_NUMBER_OK, false, UINT64_MAX},
        {"1.8446744073709551615e19", 0, JSON_NUMBER_OK, false, UINT64_MAX},
        {"18446744073709551616", 0, JSON_NUMBER_TOO_LARGE, false, 0},
        {"-9223372036854775808", 0, JSON_NUMBER_OK, true, UINT64_C(1) << 63},
        {"9007199254740993", 0, JSON_NUMBER_OK, false, UINT64_C(9007199254740993)},
        {"1e999999999999999999999", 0, JSON_NUMBER_TOO_LARGE, false, 0},
        {"0e999999999999999999999", 0, JSON_NUMBER_OK, false, 0},
        {"1e-999999999999999999999", 0, JSON_NUMBER_TOO_FINE, false, 0},
        {"12.5", 6, JSON_NUMBER_OK, false, 12500000},
        {"0.000001", 6, JSON_NUMBER_OK, false, 1},
        {"0.0000010", 6, JSON_NUMBER_OK, false, 1},
        {"0.0000001", 6, JSON_NUMBER_TOO_FINE, false, 0},
        {"0.29", 2, JSON_NUMBER_OK, false, 29},
        {"12345678901234567890123456789", 0, JSON_NUMBER_TOO_LARGE, false, 0},
        {"1000000000000000000000000e-20", 0, JSON_NUMBER_OK, false, 10000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool negative;
        uint64_t magnitude;
        struct str text = str_from(cases[i].text);

        assert_int_equal(json_number_size(text.data, text.data + text.length), text.length);
        assert_int_equal(json_number_read(text, cases[i].places, &negative, &magnitude),
                         cases[i].fit);
        if (cases[i].fit == JSON_NUMBER_OK) {
            assert_int_equal(negative, cases[i].negative);
            assert_true(magnitude == cases[i].magnitude);
        }
    }
}

static void test_number_grammar(void **state)
{
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {{"01", 1}, {"-", 0},   {"+1", 0},      {".5", 0},   {"1.", 0}, {"1.e1", 0},
                 {"1e", 0}, {"1e+", 0}, {"-0.0e-0", 7}, {"1.5x", 3}, {"", 0},   {"NaN", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(json_number_size(cases[i].text, cases[i].text + strlen(cases[i].text)),
                         cases[i].size);
}

static void test_decimals(void **state)
{
    static const struct {
        int64_t value;
        unsigned places;
        const char *text;
    } cases[] = {{12500000, 6, "12.5"},
                 {1, 6, "0.000001"},
                 {-1, 6, "-0.000001"},
                 {0, 6, "0"},
                 {1000000, 6, "1"},
                 {-1230000, 6, "-1.23"},
                 {INT64_MIN, 6, "-9223372036854.775808"},
                 {INT64_MIN, 18, "-9.223372036854775808"},
                 {INT64_MAX, 0, "9223372036854775807"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[JSON_NUMBER_TEXT_SIZE + 1];

        text[json_number_put_decimal(cases[i].value, cases[i].places, text)] = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

static void test_timestamps(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: refused */
    } cases[] = {
        {"2026-01-17T09:30:00Z", "2026-01-17T09:30:00.000000Z"},
        {"2026-01-17T12:30:00.5+03:00", "2026-01-17T09:30:00.500000Z"},
        {"2026-01-17T00:15:00.123456789-00:30", "2026-01-17T00:45:00.123456789Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"},
        {"9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"},
        {"1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250000Z"},
        {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z"},
        {"0001-01-01T00:00:00+00:01", NULL},
        {"9999-12-31T23:59:59-00:01", NULL},
        {"2026-01-17", NULL},
        {"2026-01-17T09:30Z", NULL},
        {"2026-01-17t09:30:00Z", NULL},
        {"2026-01-17T09:30:00z", NULL},
        {"2026-01-17 09:30:00Z", NULL},
        {"2026-01-17T09:30:00", NULL},
        {"2026-01-17T09:30:60Z", NULL},
        {"2026-01-17T24:00:00Z", NULL},
        {"2026-02-29T00:00:00Z", NULL},
        {"2026-01-17T09:30:00.Z", NULL},
        {"2026-01-17T09:30:00.1234567890Z", NULL},
        {"2026-01-17T09:30:00+3:00", NULL},
        {"2026-01-17T09:30:00+03:00x", NULL},
        {"2026-01-17T09:30:00+", NULL},
        {"yesterday", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[JSON_TIME_TEXT_SIZE + 1];
        int64_t seconds;
        int32_t nanos;
        bool ok = json_timestamp_read(str_from(cases[i].in), &seconds, &nanos);

        assert_int_equal(ok, cases[i].out != NULL);
        if (!ok)
            continue;
        text[json_timestamp_put(seconds, nanos, true, text)] = '\0';
        assert_string_equal(text, cases[i].out);
    }
}

static void test_durations(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {{"1.5s", "1.500s"},
                 {"0s", "0s"},
                 {"-3s", "-3s"},
                 {"-0.25s", "-0.250s"},
                 {"1.000001s", "1.000001s"},
                 {"1.000000001s", "1.000000001s"},
                 {"315576000000s", "315576000000s"},
                 {"315576000000.1s", NULL},
                 {"315576000001s", NULL},
                 {"99999999999999999999999s", NULL},
                 {"1.0000000001s", NULL},
                 {"1", NULL},
                 {"s", NULL},
                 {".5s", NULL},
                 {"1.s", NULL},
                 {"1 s", NULL},
                 {"--1s", NULL},
                 {"", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[JSON_TIME_TEXT_SIZE + 1];
        int64_t seconds;
        int32_t nanos;
        bool ok = json_duration_read(str_from(cases[i].in), &seconds, &nanos);

        assert_int_equal(ok, cases[i].out != NULL);
        if (!ok)
            continue;
        text[json_duration_put(seconds, nanos, text)] = '\0';
        assert_string_equal(text, cases[i].out);
    }
}

static void test_base64(void **state)
{
    static const struct {
        const char *in;
        int size; /* -1: refused */
    } cases[] = {{"", 0},      {"AA==", 1},  {"AA", 1},    {"AAA=", 2},   {"AAA", 2},
                 {"AAAA", 3},  {"+/-_", 3},  {"A", -1},    {"AB==", -1},  {"AA=", -1},
                 {"====", -1}, {"AA=A", -1}, {"A A=", -1}, {"AAAAA", -1}, {"AAA==", -1}};
    char bytes[16], text[16];
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool ok = json_base64_read(str_from(cases[i].in), bytes, &size);

        assert_int_equal(ok ? (int)size : -1, cases[i].size);
    }
    json_base64_put(STR_LITERAL("\xff\xfe\xfd\xfc"), text);
    assert_memory_equal(text, "//79/A==", 8);
}

static void test_repeated_keys(void **state)
{
    (void)state;
    for (size_t count = 2; count <= 64; count += 7) {
        struct json_key keys[64];
        bool repeated[64];
        char names[64][8];

        for (int keep_last = 0; keep_last < 2; keep_last++) {
            for (size_t i = 0; i < count; i++) {
                snprintf(names[i], sizeof(names[i]), "%zu", i % (count / 2));
                keys[i] = (struct json_key){names[i], strlen(names[i]), 0, 0};
            }
            size_t marked = json_keys_find_repeated(keys, count, keep_last, repeated);

            assert_int_equal(marked, count - count / 2);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(repeated[i], keep_last ? i + count / 2 < count : i >= count / 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_end_agrees_with_the_slow_way),
        cmocka_unit_test(test_strings_are_escaped),
        cmocka_unit_test(test_doubles_are_shortest),
        cmocka_unit_test(test_doubles_agree_with_the_library),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_exact_numbers),
        cmocka_unit_test(test_number_grammar),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_repeated_keys),
    };

    return cmocka_run_group_tests_name("json_text", tests, NULL, NULL);
}
