/* str, UTF-8, base64url, err. */
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void str_compares(void **state)
{
    (void)state;
    assert_true(str_equal((struct str){NULL, 0}, STR_LITERAL("")));
    assert_true(str_equal_cstr(STR_LITERAL("abc"), "abc"));
    assert_false(str_equal_cstr(STR_LITERAL("abc"), "abcd"));
    assert_true(str_equal_ignore_case(STR_LITERAL("aBc-9"), STR_LITERAL("AbC-9")));
    assert_false(str_equal_ignore_case(STR_LITERAL("[{"), STR_LITERAL("{[")));
    assert_false(str_equal_ignore_case(STR_LITERAL("@"), STR_LITERAL("`")));
    assert_true(str_starts_with(STR_LITERAL("abc"), STR_LITERAL("")));
    assert_true(str_starts_with(STR_LITERAL("abc"), STR_LITERAL("abc")));
    assert_false(str_starts_with(STR_LITERAL("ab"), STR_LITERAL("abc")));
    assert_true(str_equal_cstr(str_trim(STR_LITERAL(" \t\r\n a b \v\f")), "a b"));
    assert_int_equal(str_trim(STR_LITERAL(" \t ")).length, 0);
    assert_int_equal(str_from(NULL).length, 0);
}

static void str_parses_integers(void **state)
{
    int64_t value;
    uint64_t magnitude;

    (void)state;
    assert_true(str_parse_int64(STR_LITERAL("9223372036854775807"), &value));
    assert_true(value == INT64_MAX);
    assert_true(str_parse_int64(STR_LITERAL("-9223372036854775808"), &value));
    assert_true(value == INT64_MIN);
    assert_true(str_parse_int64(STR_LITERAL("-0"), &value));
    assert_int_equal(value, 0);
    assert_true(str_parse_uint64(STR_LITERAL("18446744073709551615"), &magnitude));
    assert_true(magnitude == UINT64_MAX);
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "--1",
                                      "1e3",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(str_parse_int64(str_from(bad[i]), &value));
    assert_false(str_parse_uint64(STR_LITERAL("18446744073709551616"), &magnitude));
    assert_false(str_parse_uint64(STR_LITERAL("-1"), &magnitude));
}

/* The first and last character of each row of Unicode's table 3-7, and what stands beside them. */
static void utf8_follows_the_table(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xe0\xbf\xbf",
                                       "\xe1\x80\x80",
                                       "\xec\xbf\xbf",
                                       "\xed\x80\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf3\xbf\xbf\xbf",
                                       "\xf4\x80\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x7f",
                                      "\xc2\xc0",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xe1\x80",
                                      "\xe1\x80\x7f",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x90\x80",
                                      "\xf1\x80\x80\xc0",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xfe"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char text[64];

        assert_true(utf8_is_valid(good[i], strlen(good[i])));
        /* Also where the eight-byte steps of ASCII end. */
        for (int pad = 0; pad < 18; pad++) {
            int length =
                snprintf(text, sizeof(text), "%.*s%s%s", pad, "abcdefghijklmnopqr", good[i], "xyz");
            assert_true(utf8_is_valid(text, (size_t)length));
            assert_int_equal(utf8_count(text, (size_t)length), pad + 3 + (*good[i] != 0));
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[64];

        for (int pad = 0; pad < 18; pad++) {
            int length = snprintf(text, sizeof(text), "%.*s%s", pad, "abcdefghijklmnopqr", bad[i]);
            assert_false(utf8_is_valid(text, (size_t)length));
        }
    }
    assert_true(utf8_is_valid("a\0b", 3));
    assert_int_equal(utf8_count("aé漢😀", 10), 4);
}

static void base64url_round_trips(void **state)
{
    unsigned char data[64] = {0}, back[64];
    char text[100];

    (void)state;
    for (size_t size = 0; size <= sizeof(data); size++) {
        for (size_t i = 0; i < size; i++)
            data[i] = (unsigned char)(i * 37 + size);
        size_t length = base64url_encode(data, size, text, sizeof(text));

        assert_int_equal(length, strlen(text));
        assert_null(strpbrk(text, "+/="));
        assert_int_equal(base64url_decode(str_from(text), back, size), size);
        assert_memory_equal(data, back, size);
        if (size)
            assert_int_equal(base64url_decode(str_from(text), back, size - 1), -1);
    }
    /* RFC 4648 §10, and the two digits that differ. */
    base64url_encode("foobar", 6, text, sizeof(text));
    assert_string_equal(text, "Zm9vYmFy");
    base64url_encode("\xfb\xff", 2, text, sizeof(text));
    assert_string_equal(text, "-_8");
    assert_int_equal(base64url_encode("foobar", 6, text, 8), 0);
    assert_int_equal(base64url_encode("foobar", 6, text, 9), 8);
    static const char *const bad[] = {"A",   "AAAAA", "AA==", "A+AA", "A/AA",
                                      "A A", "AB",    "AAB",  "é"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(base64url_decode(str_from(bad[i]), back, sizeof(back)), -1);
}

static void err_holds_what_it_is_given(void **state)
{
    struct err err = {0};

    (void)state;
    assert_false(err_is_set(&err));
    assert_false(err_set(&err, ERR_ALREADY_EXISTS, "SLUG_TAKEN", "the slug %s is taken", "x"));
    assert_true(err_is_set(&err));
    assert_string_equal(err.reason, "SLUG_TAKEN");
    assert_string_equal(err.message, "the slug x is taken");
    assert_false(err_set(NULL, ERR_INTERNAL, NULL, "nobody listens"));
    char long_text[1000];

    memset(long_text, 'x', sizeof(long_text));
    long_text[999] = '\0';
    err_set(&err, ERR_INTERNAL, long_text, "%s", long_text);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    assert_int_equal(strlen(err.reason), sizeof(err.reason) - 1);
    assert_string_equal(err_code_name(ERR_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(err_code_name(ERR_OUT_OF_RANGE), "OUT_OF_RANGE");
    assert_string_equal(err_code_name((enum err_code)17), "UNKNOWN");
}

static void violations_keep_order_and_limit(void **state)
{
    struct arena *arena = arena_new(1 << 16);
    struct violations violations;
    struct err err = {0};

    (void)state;
    violations_init(&violations, arena, 2);
    violations_add(&violations, "a.b", "must be %d", 1);
    err_set_violations(&err, &violations);
    assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
    assert_string_equal(err.message, "a.b: must be 1");
    assert_ptr_equal(err.violations, &violations);
    violations_add(&violations, "c", "is required");
    violations_add(&violations, "d", "is required");
    assert_int_equal(violations.count, 3);
    assert_string_equal(violations.first->field, "a.b");
    assert_string_equal(violations.first->next->field, "c");
    assert_null(violations.first->next->next);
    err_set_violations(&err, &violations);
    assert_string_equal(err.message, "3 fields are invalid");
    arena_free(arena);
    /* An arena that is full does not lose the count. */
    arena = arena_new(16);
    violations_init(&violations, arena, 10);
    violations_add(&violations, "field", "is required");
    assert_int_equal(violations.count, 1);
    assert_null(violations.first);
    err_set_violations(&err, &violations);
    assert_string_equal(err.message, "1 field is invalid");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str_compares),
        cmocka_unit_test(str_parses_integers),
        cmocka_unit_test(utf8_follows_the_table),
        cmocka_unit_test(base64url_round_trips),
        cmocka_unit_test(err_holds_what_it_is_given),
        cmocka_unit_test(violations_keep_order_and_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
