/* schema_check: every rule of one value and of one list. */
#include "check_support.h"

#include "base/wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_text_rule(uint32_t number, const char *text, const char *expected)
{
    struct buf wire = {0};

    put_text(&wire, number, text);
    if (*expected)
        assert_check("Rules", &wire, expected);
    else
        assert_right_at_once("Rules", &wire);
}

static void lengths_and_blanks(void **state)
{
    (void)state;
    assert_text_rule(1, "", "");
    assert_text_rule(1, "1234567890", "");
    assert_text_rule(1, "ääääääääää", "");
    assert_text_rule(1, "😀😀😀😀😀😀😀😀😀😀", "");
    assert_text_rule(1, "12345678901", "most: must be at most 10 characters, got 11");
    assert_text_rule(1, "äääääääääää", "most: must be at most 10 characters, got 11");
    assert_text_rule(2, "", "");
    assert_text_rule(2, "abc", "");
    assert_text_rule(2, "äöü", "");
    assert_text_rule(2, "ab", "least: must be at least 3 characters, got 2");
    assert_text_rule(2, "😀😀", "least: must be at least 3 characters, got 2");
    assert_text_rule(3, " x ", "");
    assert_text_rule(3, "", "not_blank: must not be blank");
    assert_text_rule(3, " \t\r\n", "not_blank: must not be blank");
    assert_text_rule(3, "\xC2\xA0\xE3\x80\x80\xE2\x80\x83", "not_blank: must not be blank");
    assert_text_rule(3, "\xC2\xA1", "");
    assert_text_rule(19, "abc", "");
    assert_text_rule(19, "\xff\xfe\xfd\xfc", "data: must be at most 3 bytes, got 4");
}

static void formats(void **state)
{
    (void)state;
    assert_text_rule(8, "0194f3c2-7a1b-7cde-8f00-0123456789ab", "");
    assert_text_rule(8, "0194F3C2-7A1B-7CDE-8F00-0123456789AB", "");
    assert_text_rule(8, "abc", "uuid: must be a UUID, got \"abc\"");
    assert_text_rule(8, "1234567890123456789012345678901234567890",
                     "uuid: must be a UUID, got \"1234567890123456789012345678901234567890\"");
    assert_text_rule(8, "12345678901234567890123456789012345678901",
                     "uuid: must be a UUID, got \"1234567890123456789012345678901234567890…\"");
    assert_text_rule(8, "a\"\n\x01", "uuid: must be a UUID, got \"a\\\"\\n\\u0001\"");
    assert_text_rule(9, "sales-2026", "");
    assert_text_rule(9, "Sales",
                     "slug: must be lower-case letters, digits and hyphens, got \"Sales\"");
    assert_text_rule(10, "00:00", "");
    assert_text_rule(10, "23:59", "");
    assert_text_rule(10, "99:99",
                     "time_of_day: must be a time between \"00:00\" and \"23:59\", got \"99:99\"");
    assert_text_rule(12, "2024-02-29", "");
    assert_text_rule(12, "2025-02-29",
                     "date: must be a date such as \"2026-01-31\", got \"2025-02-29\"");
    assert_text_rule(13, "no_answer2", "");
    assert_text_rule(13, "_x",
                     "word: must be 1 to 64 lower-case letters, digits and \"_\", beginning with a "
                     "letter, got \"_x\"");
    assert_text_rule(14, "DE", "");
    assert_text_rule(14, "de", "region: must be two upper-case letters such as \"DE\", got \"de\"");
}

static void time_zones(void **state)
{
    static const char *const good[] = {
        "UTC",     "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "GMT+0",
        "EST5EDT", "W-SU",          "America/Port-au-Prince"};
    static const char *const bad[] = {"Mars/Olympus", "+03:00",          "Z",
                                      "Europe/",      "/Europe/Berlin",  "Europe//Berlin",
                                      "Europe",       "europe/berlin",   "../../etc/passwd",
                                      "UTC0",         "EST5EDT4,M3.2.0", "leapseconds",
                                      "zone1970",     "tzdata",          "posix",
                                      "UTC0",         "ABC-3",           "EST5",
                                      "localtime",    "posixrules",      "Factory",
                                      "right/UTC",    "posix/UTC",       "Europe/Berlin ",
                                      ":UTC"};

    (void)state;
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
            assert_text_rule(11, good[i], "");
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            char expected[100];

            snprintf(expected, sizeof(expected), "zone: unknown time zone \"%s\"", bad[i]);
            assert_text_rule(11, bad[i], expected);
        }
    }
}

static void assert_double_rule(double value, const char *expected)
{
    struct buf wire = {0};

    put_double(&wire, 4, value);
    assert_check("Rules", &wire, expected);
}

static void assert_number_rule(uint32_t number, uint64_t value, const char *expected)
{
    struct buf wire = {0};

    put_number(&wire, number, value);
    if (*expected)
        assert_check("Rules", &wire, expected);
    else
        assert_right_at_once("Rules", &wire);
}

static void ranges(void **state)
{
    (void)state;
    assert_double_rule(0, "");
    assert_double_rule(2, "");
    assert_double_rule(-0.0, "");
    assert_double_rule(3.5, "ratio: must be between 0 and 2, got 3.5");
    assert_double_rule(-0.1, "ratio: must be between 0 and 2, got -0.1");
    assert_double_rule((double)NAN, "ratio: must be between 0 and 2, got NaN");
    assert_double_rule((double)INFINITY, "ratio: must be between 0 and 2, got Infinity");
    /* Without presence 0 is "absent" where there is a default, and a number like any other where
     * there is none. */
    assert_number_rule(5, 0, "");
    assert_number_rule(5, 1, "");
    assert_number_rule(5, (uint64_t)-1, "from_one: must be at least 1, got -1");
    /* An int32 is cut to 32 bits, as decoders do. */
    assert_number_rule(5, UINT64_C(0x100000001), "");
    assert_number_rule(6, 10, "");
    assert_number_rule(6, UINT64_MAX, "to_ten: must be at most 10, got 18446744073709551615");
    assert_number_rule(27, 6, "");
    assert_number_rule(27, 5, "");
    assert_number_rule(27, 8, "signed: must be between -3 and 3, got 4");
    assert_number_rule(27, 7, "signed: must be between -3 and 3, got -4");
    /* Bounds are in the unit of the wire, text in that of JSON. */
    assert_number_rule(17, 2000000, "");
    assert_number_rule(17, 2500000, "money: must be between -0.5 and 2, got 2.5");
    assert_number_rule(17, (uint64_t)-500001, "money: must be between -0.5 and 2, got -0.500001");
    struct buf wire = {0};

    wire_put_tag(&wire, 28, 5);
    buf_put(&wire, "\x00\x00\x80\x3f", 4); /* 1.0f */
    assert_check("Rules", &wire, "narrow: must be at most 0.5, got 1");
}

static void enums(void **state)
{
    (void)state;
    assert_number_rule(18, 0, "");
    assert_number_rule(18, 2, "");
    assert_number_rule(18, 1000, "");
    assert_number_rule(18, (uint64_t)-5, "");
    assert_number_rule(18, 3, "color: must be one of red, dark_green, sparse, below, got 3");
    assert_number_rule(18, (uint64_t)-6,
                       "color: must be one of red, dark_green, sparse, below, got -6");
}

static void lists(void **state)
{
    struct buf wire = {0}, packed = {0};

    (void)state;
    /* Nothing is fine: there is a default. */
    assert_right_at_once("Rules", &wire);
    put_text(&wire, 7, "a");
    assert_check("Rules", &wire, "items: must have at least 2 items, got 1");
    for (int i = 0; i < 4; i++)
        put_text(&wire, 7, "a");
    assert_right_at_once("Rules", &wire);
    for (int i = 0; i < 5; i++)
        put_text(&wire, 7, i == 1 ? "" : i == 3 ? "toolong" : "a");
    assert_check("Rules", &wire,
                 "items[1]: must not be blank\n"
                 "items[3]: must be at most 5 characters, got 7\n"
                 "items: must have at most 4 items, got 5");
    /* Packed and not, in several pieces: one list. */
    wire_put_varint(&packed, 1);
    wire_put_varint(&packed, 2);
    put_child(&wire, 15, &packed);
    assert_check("Rules", &wire, "");
    wire_put_varint(&packed, 1);
    wire_put_varint(&packed, 2);
    put_child(&wire, 15, &packed);
    put_number(&wire, 15, 7);
    wire_put_varint(&packed, 2);
    wire_put_varint(&packed, 0);
    put_child(&wire, 15, &packed);
    assert_check("Rules", &wire,
                 "colors[2]: must be one of red, dark_green, sparse, below, got 7\n"
                 "colors[3]: is the same as item 1");
    put_text(&wire, 16, "a");
    put_text(&wire, 16, "b");
    put_text(&wire, 16, "a");
    put_text(&wire, 16, "");
    put_text(&wire, 16, "a");
    assert_check("Rules", &wire,
                 "names[2]: is the same as item 0\nnames[4]: is the same as item 0");
    wire_put_varint(&packed, 4); /* zigzag: 2 */
    wire_put_varint(&packed, 5); /* -3 */
    put_child(&wire, 29, &packed);
    assert_check("Rules", &wire, "deltas[1]: must be between -2 and 2, got -3");
    buf_put(&packed, "\x09\0\0\0\x0a\0\0\0", 8);
    put_child(&wire, 30, &packed);
    assert_check("Rules", &wire, "fixed[1]: must be at most 9, got 10");
    buf_done(&packed);
}

static void maps(void **state)
{
    struct buf wire = {0}, entry = {0}, value = {0};

    (void)state;
    put_text(&entry, 1, "a");
    put_text(&entry, 2, "b");
    put_child(&wire, 20, &entry);
    assert_right_at_once("Rules", &wire);
    put_text(&entry, 1, "na\"me");
    put_text(&entry, 2, "too long");
    put_child(&wire, 20, &entry);
    put_text(&entry, 1, "blank"); /* the value left out: it is "" */
    put_child(&wire, 20, &entry);
    put_text(&entry, 2, " "); /* the key left out */
    put_child(&wire, 20, &entry);
    assert_check("Rules", &wire,
                 "labels[\"na\\\"me\"]: must be at most 4 characters, got 8\n"
                 "labels[\"blank\"]: must not be blank\n"
                 "labels[\"\"]: must not be blank\n"
                 "labels: must have at most 2 items, got 3");
    put_number(&entry, 1, (uint64_t)-7);
    put_text(&value, 1, "text");
    put_child(&entry, 2, &value);
    put_child(&wire, 21, &entry);
    assert_check("Rules", &wire,
                 "by_number[-7].color: is required\n"
                 "by_number[-7].numbers: is required\n"
                 "by_number[-7].leaf: is required\n"
                 "by_number[-7].flag: is required\n"
                 "by_number[-7].fence: is required\n"
                 "by_number[-7].seq: must be at least 1, got 0\n"
                 "by_number[-7].some: must have at least 1 item, got 0");
    put_number(&entry, 1, 1);
    wire_put_bytes(&entry, 2, (struct str){"a\0b", 3});
    put_child(&wire, 33, &entry);
    assert_check("Rules", &wire, "flags[true]: must not contain the character U+0000");
    buf_done(&entry);
    buf_done(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_and_blanks),
        cmocka_unit_test(formats),
        cmocka_unit_test(time_zones),
        cmocka_unit_test(ranges),
        cmocka_unit_test(enums),
        cmocka_unit_test(lists),
        cmocka_unit_test(maps),
    };

    return cmocka_run_group_tests(tests, load_schemas, free_schemas);
}
