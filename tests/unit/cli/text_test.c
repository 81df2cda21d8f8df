/* Text and tables of the command line: widths, what may be shown, what is cut and dropped. */
#include "table.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t width(const char *text)
{
    return text_width(str_from(text));
}

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(width(""), 0);
    assert_int_equal(width("plain"), 5);
    assert_int_equal(width("Гламур"), 6);
    assert_int_equal(width("日本"), 4);
    assert_int_equal(width("e\xCC\x81"), 1);        /* e and a combining acute */
    assert_int_equal(width("\xF0\x9F\x98\x80"), 2); /* an emoji */
    assert_int_equal(width("\xFF\xFE"), 2);         /* bad bytes count */
}

static void test_fit(void **state)
{
    (void)state;
    assert_int_equal(text_fit(str_from("plain"), 3), 3);
    assert_int_equal(text_fit(str_from("日本"), 3), 3); /* half a character is none */
    assert_int_equal(text_fit(str_from("e\xCC\x81x"), 1), 3);
    assert_int_equal(text_fit(str_from("ab"), 9), 2);
}

static char *clean(const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    text_put_clean(&out, str_from(text));
    return buf_take_cstr(&out);
}

static void test_nothing_moves_the_cursor(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"plain ü", "plain ü"},
        {"a\x1b[31mred", "a\xEF\xBF\xBD[31mred"},
        {"two\nlines\tand", "two lines and"},
        {"\xC2\x9B"
         "31m",
         "\xEF\xBF\xBD"
         "31m"},                              /* a C1 control sequence introducer */
        {"x\xE2\x80\xAEy", "x\xEF\xBF\xBDy"}, /* right-to-left override */
        {"bad\xC3", "bad\xEF\xBF\xBD"},
        {"\x7F\x08", "\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *text = clean(cases[i].from);
        assert_string_equal(text, cases[i].to);
        free(text);
    }
}

static char *padded(const char *text, size_t columns, bool right)
{
    struct buf out;
    buf_init(&out, 0);
    text_put_padded(&out, str_from(text), columns, right);
    return buf_take_cstr(&out);
}

static void test_padding(void **state)
{
    static const struct {
        const char *from;
        size_t columns;
        bool right;
        const char *to;
    } cases[] = {
        {"ab", 4, false, "ab  "},     {"ab", 4, true, "  ab"}, {"abcdef", 4, false, "abc…"},
        {"日本語", 4, false, "日… "}, {"ab", 2, false, "ab"},  {"abc", 1, false, "…"},
        {"abc", 0, false, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *text = padded(cases[i].from, cases[i].columns, cases[i].right);
        assert_string_equal(text, cases[i].to);
        assert_int_equal(width(text), cases[i].columns);
        free(text);
    }
}

static void test_wrapping(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    text_put_wrapped(&out, str_from("one two three\nfour averyverylongword"), 2, 10);
    char *text = buf_take_cstr(&out);
    assert_string_equal(text, "  one two\n  three\n  four\n  averyverylongword\n");
    free(text);
}

static void test_counts(void **state)
{
    static const struct {
        int64_t count;
        const char *text;
    } cases[] = {{0, "0"},          {999, "999"},           {1000, "1,000"},
                 {-1234, "-1,234"}, {1234567, "1,234,567"}, {-123, "-123"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf out;
        buf_init(&out, 0);
        text_put_count(&out, cases[i].count);
        char *text = buf_take_cstr(&out);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static const struct table_column columns[] = {
    {"ID", false, false, 0}, {"NAME", false, true, 0}, {"COUNT", true, false, 1}};

static char *print(size_t terminal, bool styled)
{
    struct table *table = table_new(columns, 3);
    struct buf out;
    buf_init(&out, 0);
    assert_non_null(table);
    table_add(table, str_from("0123456789"), NULL);
    table_add(table, str_from("a rather long name"), "31");
    table_add(table, str_from("7"), NULL);
    table_add(table, str_from("x"), NULL);
    table_add(table, str_from("日本"), NULL);
    table_add(table, str_from(""), NULL);
    assert_int_equal(table_row_count(table), 2);
    table_print(table, terminal, styled, &out);
    table_free(table);
    return buf_take_cstr(&out);
}

static void test_table(void **state)
{
    static const struct {
        size_t width;
        const char *text;
    } cases[] = {
        /* as wide as it is */
        {0, "ID          NAME                COUNT\n"
            "0123456789  a rather long name      7\n"
            "x           日本\n"},
        /* a name is cut */
        {30, "ID          NAME         COUNT\n"
             "0123456789  a rather l…      7\n"
             "x           日本\n"},
        /* too narrow for the last column, which goes */
        {20, "ID          NAME\n"
             "0123456789  a rathe…\n"
             "x           日本\n"},
        /* narrower than what must be shown: the terminal wraps */
        {5, "ID          NAME\n"
            "0123456789  a rat…\n"
            "x           日本\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *text = print(cases[i].width, false);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void test_styles(void **state)
{
    char *text = print(0, true);
    (void)state;
    assert_non_null(strstr(text, "\x1b[31ma rather long name\x1b[0m"));
    assert_non_null(strstr(text, "\x1b[1mID"));
    free(text);
    text = print(0, false);
    assert_null(strchr(text, '\x1b'));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_nothing_moves_the_cursor),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_wrapping),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_styles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
