/* JSON → wire: what is refused, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct row {
    const char *text, *complaints;
};

static void check_rows(const char *message, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *complaints = fixture_complaints(message, rows[i].text);

        if (strcmp(complaints, rows[i].complaints) != 0)
            fail_msg("%s\n  expected: %s\n  got:      %s", rows[i].text, rows[i].complaints,
                     complaints);
    }
}

#define CHECK_ROWS(message, rows) check_rows(message, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_malformed(void **state)
{
    static const struct row rows[] = {
        {"", "the body is empty: expected a JSON object"},
        {" \n\t ", "the body is empty: expected a JSON object"},
        {"\xEF\xBB\xBF{}", "malformed JSON at line 1, column 1: the text begins with a byte order "
                           "mark (U+FEFF); send it without"},
        {"{", "malformed JSON at line 1, column 2: expected a key or '}', but the text ends here"},
        {"{\"s\":1", "malformed JSON at line 1, column 7: expected ',' or '}', but the text ends "
                     "here"},
        {"{\n  \"s\": \"é\",\n  \"b\": tru\n}",
         "malformed JSON at line 3, column 8: expected a value"},
        {"{\"s\":\"жж\" x}", "malformed JSON at line 1, column 11: expected ',' or '}'"},
        {"{\"s\":\"x\",}", "malformed JSON at line 1, column 10: expected a key in double quotes"},
        {"{,}", "malformed JSON at line 1, column 2: expected a key in double quotes"},
        {"{'s':1}", "malformed JSON at line 1, column 2: expected a key in double quotes"},
        {"{s:1}", "malformed JSON at line 1, column 2: expected a key in double quotes"},
        {"{\"s\" 1}", "malformed JSON at line 1, column 6: expected ':'"},
        {"{\"s\":}", "malformed JSON at line 1, column 6: expected a value"},
        {"{\"s\":'x'}", "malformed JSON at line 1, column 6: expected a value"},
        {"{\"ri\":[1,]}", "malformed JSON at line 1, column 10: expected a value"},
        {"{\"ri\":[1 2]}", "malformed JSON at line 1, column 10: expected ',' or ']'"},
        {"{\"ri\":[}", "malformed JSON at line 1, column 8: expected a value"},
        {"{\"ri\":[1}", "malformed JSON at line 1, column 9: expected ',' or ']'"},
        {"{} {}", "malformed JSON at line 1, column 4: expected the end of the text"},
        {"{}x", "malformed JSON at line 1, column 3: expected the end of the text"},
        {"{\"s\":\"a\nb\"}",
         "malformed JSON at line 1, column 8: a control character in a string must be escaped"},
        {"{\"s\":\"abc",
         "malformed JSON at line 1, column 10: expected '\"' at the end of a string, "
         "but the text ends here"},
        {"{\"s\":\"\\x\"}",
         "malformed JSON at line 1, column 7: expected an escape: one of \\\" \\\\ "
         "\\/ \\b \\f \\n \\r \\t \\uXXXX"},
        {"{\"s\":\"\\u12g4\"}",
         "malformed JSON at line 1, column 7: expected four hexadecimal digits after \\u"},
        {"{\"s\":\"\\ud800\"}",
         "malformed JSON at line 1, column 7: a lone surrogate is no character"},
        {"{\"s\":\"\\ud800\\u0041\"}",
         "malformed JSON at line 1, column 7: a lone surrogate is no character"},
        {"{\"s\":\"\\udc00\"}",
         "malformed JSON at line 1, column 7: a lone surrogate is no character"},
        {"{\"s\":\"a\xff\"}", "malformed JSON at line 1, column 8: the text is not valid UTF-8"},
        {"{\"s\":\"\xed\xa0\x80\"}",
         "malformed JSON at line 1, column 7: the text is not valid UTF-8"},
        {"{\"s\":\"\xc0\xaf\"}", "malformed JSON at line 1, column 7: the text is not valid UTF-8"},
        {"{\"hidden\":\"\xff\"}",
         "malformed JSON at line 1, column 12: the text is not valid UTF-8"},
        {"{\"i32\":01}", "malformed JSON at line 1, column 8: expected a number such as -1, 0.5 or "
                         "1e3"},
        {"{\"i32\":1.}", "malformed JSON at line 1, column 8: expected a number such as -1, 0.5 or "
                         "1e3"},
        {"{\"i32\":-}", "malformed JSON at line 1, column 8: expected a number such as -1, 0.5 or "
                        "1e3"},
        {"{\"i32\":+1}", "malformed JSON at line 1, column 8: expected a value"},
        {"{\"i32\":.5}", "malformed JSON at line 1, column 8: expected a value"},
        {"{\"d\":NaN}", "malformed JSON at line 1, column 6: expected a value"},
        {"{\"b\":True}", "malformed JSON at line 1, column 6: expected a value"},
        {"{\"b\":nul}", "malformed JSON at line 1, column 6: expected a value"},
        {"{\"st\":{\"a\":[1,{\"b\":}]}}", "malformed JSON at line 1, column 20: expected a value"},
        {"{\"hidden\":{\"a\":[1,}}", "malformed JSON at line 1, column 19: expected a value"},
        {"{/* no */}", "malformed JSON at line 1, column 2: expected a key in double quotes"},
        {"\x01", "malformed JSON at line 1, column 1: expected a value"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_every_cut_is_malformed(void **state)
{
    static const char text[] =
        "{\"s\":\"a\\u00e9\",\"i32\":12,\"ri\":[1,2],\"b\":true,\"st\":{\"a\":[null,{\"b\":1.5e3}]}"
        ","
        "\"event\":{\"data\":{\"role\":\"x\"},\"type\":\"turn\"},\"mss\":{\"k\":\"v\"},"
        "\"any\":{\"role\":\"x\",\"@type\":\"a/json.test.Turn\"},\"secret\":{\"x\":[1]},"
        "\"ts\":\"2026-01-17T09:30:00Z\"}";

    (void)state;
    assert_string_equal(fixture_complaints("Everything", text), "");
    for (size_t length = 1; length < sizeof(text) - 1; length++) {
        const char *complaints = fixture_complaints_bytes("Everything", (struct str){text, length});

        if (strncmp(complaints, "malformed JSON at line 1, column ", 33) != 0)
            fail_msg("%.*s: %s", (int)length, text, complaints);
        fixture_release();
    }
}

static void test_wrong_types(void **state)
{
    static const struct row rows[] = {
        {"[]", ": must be an object, got array"},
        {"null", ": must be an object, got null"},
        {"\"x\"", ": must be an object, got string"},
        {"5", ": must be an object, got number"},
        {"{\"s\":5}", "s: must be a string, got number"},
        {"{\"s\":true}", "s: must be a string, got boolean"},
        {"{\"s\":{\"a\":[1]}}", "s: must be a string, got object"},
        {"{\"b\":\"true\"}", "b: must be true or false, got string"},
        {"{\"b\":1}", "b: must be true or false, got number"},
        {"{\"i32\":1.5}", "i32: must be an integer between -2147483648 and 2147483647, got 1.5"},
        {"{\"i32\":2147483648}",
         "i32: must be an integer between -2147483648 and 2147483647, got 2147483648"},
        {"{\"i32\":\"many\"}",
         "i32: must be an integer between -2147483648 and 2147483647, got \"many\""},
        {"{\"i32\":\"\"}", "i32: must be an integer between -2147483648 and 2147483647, got \"\""},
        {"{\"i32\":\" 1\"}",
         "i32: must be an integer between -2147483648 and 2147483647, got \" 1\""},
        {"{\"i32\":[]}", "i32: must be an integer between -2147483648 and 2147483647, got array"},
        {"{\"u32\":-1}", "u32: must be an integer between 0 and 4294967295, got -1"},
        {"{\"i64\":9223372036854775808}", "i64: must be an integer between -9223372036854775808 "
                                          "and 9223372036854775807, got 9223372036854775808"},
        {"{\"u64\":18446744073709551616}",
         "u64: must be an integer between 0 and 18446744073709551615, got 18446744073709551616"},
        {"{\"si32\":2147483648,\"fx32\":-1}",
         "si32: must be an integer between -2147483648 and 2147483647, got 2147483648\n"
         "fx32: must be an integer between 0 and 4294967295, got -1"},
        {"{\"cost_micros\":0.0000001}", "cost_micros: must be a number between "
                                        "-9223372036854.775808 and 9223372036854.775807 with "
                                        "at most 6 decimals, got 0.0000001"},
        {"{\"ocost\":\"free\"}", "ocost: must be a number between -92233720368547758.08 and "
                                 "92233720368547758.07 with at most 2 decimals, got \"free\""},
        {"{\"d\":\"hot\"}", "d: must be a number, got \"hot\""},
        {"{\"d\":true}", "d: must be a number, got boolean"},
        {"{\"d\":1e309}", "d: must be a number of at most 1.7e308, got 1e309"},
        {"{\"f\":-1e39}", "f: must be a number of at most 3.4e38, got -1e39"},
        {"{\"by\":\"A\"}", "by: must be a base64 string, got \"A\""},
        {"{\"by\":5}", "by: must be a base64 string, got number"},
        {"{\"color\":\"pink\"}", "color: must be one of red, dark_blue, green; got \"pink\""},
        {"{\"color\":\"RED\"}", "color: must be one of red, dark_blue, green; got \"RED\""},
        {"{\"color\":1.5}", "color: must be one of red, dark_blue, green; got 1.5"},
        {"{\"color\":true}", "color: must be one of red, dark_blue, green; got boolean"},
        {"{\"mode\":\"x\"}", "mode: must be one of off, on; got \"x\""},
        {"{\"ri\":1}", "ri: must be an array, got number"},
        {"{\"mss\":[]}", "mss: must be an object, got array"},
        {"{\"child\":\"x\"}", "child: must be an object, got string"},
        {"{\"empty\":[]}", "empty: must be an object, got array"},
        {"{\"empty\":{\"a\":1}}", "empty.a: unknown key"},
        {"{\"state\":5}", "state: must be a string or an object, got number"},
        {"{\"state\":[]}", "state: must be a string or an object, got array"},
        {"{\"ts\":\"yesterday\"}",
         "ts: must be an RFC 3339 time such as \"2026-01-17T09:30:00Z\", got \"yesterday\""},
        {"{\"ts\":5}", "ts: must be an RFC 3339 time such as \"2026-01-17T09:30:00Z\", got number"},
        {"{\"dur\":\"5\"}", "dur: must be a duration in seconds such as \"1.5s\", got \"5\""},
        {"{\"mask\":\"a_1\"}",
         "mask: must be field names joined by commas such as \"name,isActive\", got \"a_1\""},
        {"{\"mask\":\"a,,b\"}",
         "mask: must be field names joined by commas such as \"name,isActive\", got \"a,,b\""},
        {"{\"st\":[]}", "st: must be an object, got array"},
        {"{\"list\":{}}", "list: must be an array, got object"},
        {"{\"st\":{\"a\":[1,1e999]}}",
         "st[\"a\"][1]: must be a number of at most 1.7e308, got 1e999"},
        {"{\"wi\":\"x\"}", "wi: must be an integer between -9223372036854775808 and "
                           "9223372036854775807, got \"x\""},
        {"{\"s\":\"ok\",\"i32\":\"аббревиатура, которая слишком длинна, чтобы её показать\"}",
         "i32: must be an integer between -2147483648 and 2147483647, got "
         "\"аббревиатура, которая слишком …\""},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_paths(void **state)
{
    static const struct row rows[] = {
        {"{\"children\":[{},{\"child\":{\"children\":[{\"i32\":\"x\"}]}}]}",
         "children[1].child.children[0].i32: must be an integer between -2147483648 and "
         "2147483647, got \"x\""},
        {"{\"children\":[null,1]}",
         "children[0]: must not be null\nchildren[1]: must be an object, got number"},
        {"{\"ri\":[1,null,\"x\"],\"rs\":[null]}",
         "ri[1]: must not be null\n"
         "ri[2]: must be an integer between -2147483648 and 2147483647, got \"x\"\n"
         "rs[0]: must not be null"},
        {"{\"mss\":{\"a\":null,\"b c\":5}}",
         "mss[\"a\"]: must not be null\nmss[\"b c\"]: must be a string, got number"},
        {"{\"mie\":{\"x\":{},\"1.5\":{},\"2\":{\"s\":1}}}",
         "mie[x]: must be an integer between -2147483648 and 2147483647, got \"x\"\n"
         "mie[\"1.5\"]: must be an integer between -2147483648 and 2147483647, got \"1.5\"\n"
         "mie[2].s: must be a string, got number"},
        {"{\"mbi\":{\"1\":1}}", "mbi[1]: must be true or false, got \"1\""},
        {"{\"maxTokens\":\"x\"}", /* always the name that JSON shows */
         "max_tokens: must be an integer between -2147483648 and 2147483647, got \"x\""},
        {"{\"any\":{\"@type\":\"a/json.test.Turn\",\"role\":5}}",
         "any.role: must be a string, got number"},
        {"{\"any\":{\"@type\":\"a/google.protobuf.Duration\",\"value\":5,\"x\":1}}",
         "any.value: must be a duration in seconds such as \"1.5s\", got number\n"
         "any.x: unknown key"},
        {"{\"any\":{\"@type\":\"a/nope\",\"x\":1}}", "any.@type: unknown type \"a/nope\""},
        {"{\"any\":{\"@type\":\"json.test.Turn\"}}", "any.@type: unknown type \"json.test.Turn\""},
        {"{\"any\":{\"@type\":5}}", "any.@type: must be a type URL, got number"},
        {"{\"any\":{\"role\":\"x\"}}", "any.@type: is required"},
        {"{\"any\":[]}", "any: must be an object, got array"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_unknown_keys(void **state)
{
    static const struct row rows[] = {
        {"{\"max_token\":1}", "max_token: unknown key; did you mean \"max_tokens\"?"},
        {"{\"child\":{\"maxtokens\":1}}",
         "child.maxtokens: unknown key; did you mean \"max_tokens\"?"},
        {"{\"MaxTokens\":1}", "MaxTokens: unknown key; did you mean \"max_tokens\"?"},
        {"{\"completely_different\":{\"a\":[1,2,{}]},\"b\":true}",
         "completely_different: unknown key"},
        {"{\"\":1}", "[\"\"]: unknown key"},
        {"{\"a\\nb\":1}", "[\"a\\nb\"]: unknown key"},
        {"{\"max\\u0000\":1}", "[\"max\\u0000\"]: unknown key"},
        {"{\"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\":1}",
         "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl…: unknown key"},
        {"{\"@type\":1}", "@type: unknown key"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_duplicates(void **state)
{
    static const struct row rows[] = {
        {"{\"s\":\"a\",\"s\":\"b\"}", "s: duplicate key"},
        {"{\"max_tokens\":1,\"maxTokens\":1}", "max_tokens: duplicate key"},
        {"{\"s\":null,\"s\":\"b\"}", "s: duplicate key"},
        {"{\"secret\":1,\"secret\":2}", "secret: duplicate key"},
        {"{\"mss\":{\"a\":\"1\",\"b\":\"2\",\"\\u0061\":\"3\"}}",
         "mss[\"\\u0061\"]: duplicate key"},
        {"{\"mie\":{\"1\":{},\"-0\":{},\"0\":{}}}", "mie[0]: duplicate key"},
        {"{\"st\":{\"a\":{\"x\":1,\"x\":2},\"b\":1,\"a\":2}}",
         "st[\"a\"][\"x\"]: duplicate key\nst[\"a\"]: duplicate key"},
        {"{\"any\":{\"@type\":\"a/json.test.Turn\",\"@type\":\"a/json.test.Turn\"}}",
         "any.@type: duplicate key"},
        {"{\"any\":{\"role\":\"x\",\"@type\":\"a/json.test.Turn\",\"role\":\"y\"}}",
         "any.role: duplicate key"},
        {"{\"any\":{\"value\":\"1s\",\"@type\":\"a/google.protobuf.Duration\",\"value\":\"1s\"}}",
         "any.value: duplicate key"},
        {"{\"choice_int\":1,\"choice_text\":\"x\"}",
         "choice_text: only one member of \"choice\" may be given"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_duplicates_in_large_objects(void **state)
{
    struct buf text = {0};

    (void)state;
    buf_put_cstr(&text, "{\"st\":{");
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "\"k%d\":%d,", i == 77 ? 5 : i, i);
    buf_put_cstr(&text, "\"k99\":1}}");
    assert_string_equal(fixture_complaints_bytes("Everything", buf_str(&text)),
                        "st[\"k5\"]: duplicate key\nst[\"k99\"]: duplicate key");
    buf_done(&text);
}

static void test_unions(void **state)
{
    static const struct row rows[] = {
        {"{\"data\":{\"role\":\"x\"}}", "type: is required beside \"data\""},
        {"{\"type\":\"nope\",\"data\":1}",
         "type: must be one of turn, note, shade, nested, anything; got \"nope\""},
        {"{\"type\":\"seq\"}",
         "type: must be one of turn, note, shade, nested, anything; got \"seq\""},
        {"{\"type\":5}", "type: must be one of turn, note, shade, nested, anything; got number"},
        {"{\"type\":\"note\"}", "data: is required beside \"type\""},
        {"{\"type\":\"note\",\"data\":null}", "data: must not be null"},
        {"{\"type\":\"turn\",\"data\":{\"role\":5}}", "data.role: must be a string, got number"},
        {"{\"data\":{\"role\":5},\"type\":\"turn\"}", "data.role: must be a string, got number"},
        {"{\"type\":\"turn\",\"data\":{},\"data\":{}}", "data: duplicate key"},
        {"{\"type\":\"turn\",\"type\":\"turn\"}", "type: duplicate key"},
        {"{\"type\":\"turn\",\"data\":{},\"note\":\"x\"}",
         "note: only one member of \"kind\" may be given"},
        {"{\"type\":\"nested\",\"data\":{\"type\":\"nested\",\"data\":{\"tipe\":1}}}",
         "data.data.tipe: unknown key"},
    };

    (void)state;
    CHECK_ROWS("Event", rows);
}

static void test_all_of_it_is_reported(void **state)
{
    struct arena *arena = arena_new(100000);
    struct violations violations;
    struct buf out = {0}, text = {0};
    struct err err = {0};

    (void)state;
    violations_init(&violations, arena, 3);
    buf_put_cstr(&text, "{\"rs\":[");
    for (int i = 0; i < 50; i++)
        buf_printf(&text, "%d,", i);
    buf_put_cstr(&text, "5],\"nonsense\":1}");
    assert_true(json_parse(fixture_schema(), fixture_message("Everything"), buf_str(&text), NULL,
                           &out, &violations, &err));
    assert_int_equal(violations.count, 52);
    assert_string_equal(violations.last->field, "rs[2]");
    buf_done(&text);
    buf_done(&out);
    arena_free(arena);
}

static const char *nested(const char *prefix, const char *open, const char *middle,
                          const char *close, const char *suffix, size_t depth)
{
    struct buf text = {0};
    const char *result;

    buf_put_cstr(&text, prefix);
    for (size_t i = 0; i < depth; i++)
        buf_put_cstr(&text, open);
    buf_put_cstr(&text, middle);
    for (size_t i = 0; i < depth; i++)
        buf_put_cstr(&text, close);
    buf_put_cstr(&text, suffix);
    buf_put_char(&text, '\0');
    result = fixture_text("%s", text.data);
    buf_done(&text);
    return result;
}

static void test_depth(void **state)
{
    (void)state;
    assert_string_equal(
        fixture_complaints("Everything", nested("", "{\"child\":", "{}", "}", "", 31)), "");
    assert_string_equal(
        fixture_complaints("Everything", nested("", "{\"child\":", "{}", "}", "", 32)),
        "malformed JSON at line 1, column 289: nested deeper than 32 levels");
    assert_string_equal(
        fixture_complaints("Everything", nested("{\"st\":{\"a\":", "[", "", "]", "}}", 30)), "");
    assert_string_equal(
        fixture_complaints("Everything", nested("{\"st\":{\"a\":", "[", "", "]", "}}", 10000)),
        "malformed JSON at line 1, column 42: nested deeper than 32 levels");
    /* also where the value is skipped */
    assert_string_equal(
        fixture_complaints("Everything", nested("{\"hidden\":", "[", "", "]", "}", 10000)),
        "malformed JSON at line 1, column 42: nested deeper than 32 levels");
    assert_string_equal(
        fixture_complaints("Everything", nested("{\"nonsense\":", "{\"a\":", "1", "}", "}", 10000)),
        "malformed JSON at line 1, column 168: nested deeper than 32 levels");

    struct json_parse_options options = {.depth_limit = 2};
    struct arena *arena = arena_new(10000);
    struct violations violations;
    struct buf out = {0};
    struct err err = {0};

    violations_init(&violations, arena, 3);
    assert_true(json_parse(fixture_schema(), fixture_message("Everything"),
                           STR_LITERAL("{\"st\":{}}"), &options, &out, &violations, &err));
    assert_false(json_parse(fixture_schema(), fixture_message("Everything"),
                            STR_LITERAL("{\"st\":{\"a\":[]}}"), &options, &out, &violations, &err));
    assert_string_equal(err.reason, "TOO_DEEP");
    buf_done(&out);
    arena_free(arena);
}

/* What is printed at the limit can be read, and what is read can be printed. */
static void test_depth_agrees_with_printing(void **state)
{
    const char *text = nested("{\"st\":{\"a\":", "{\"b\":", "[]", "}", "}}", 29);

    (void)state;
    assert_string_equal(
        fixture_print("Everything", fixture_parse("Everything", text), JSON_PRINT_COMPACT), text);
}

/* Data before its type, nested: each level would be read twice as often as the one around it. */
static void test_reading_twice_is_bounded(void **state)
{
    struct buf text = {0};
    struct timespec start, end;

    (void)state;
    for (int i = 0; i < 28; i++)
        buf_put_cstr(&text, "{\"data\":");
    buf_put_cstr(&text, "{\"data\":\"");
    for (int i = 0; i < 500000; i++)
        buf_put_char(&text, 'x');
    buf_put_cstr(&text, "\",\"type\":\"note\"}");
    for (int i = 0; i < 28; i++)
        buf_put_cstr(&text, ",\"type\":\"nested\"}");
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_non_null(strstr(fixture_complaints_bytes("Event", buf_str(&text)),
                           "too much to read twice: \"type\" and \"@type\" must come first"));
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - start.tv_sec < 5);
    buf_done(&text);
}

static void test_limit_is_an_error(void **state)
{
    static const char text[] =
        "{\"s\":\"a\\u00e9\",\"ri\":[1,2,300],\"st\":{\"a\":[1,{\"b\":\"x\"}]},"
        "\"mss\":{\"k\":\"v\"},\"ts\":\"2026-01-17T09:30:00Z\","
        "\"by\":\"AAAA\",\"mask\":\"a,b\",\"wi\":5}";
    struct arena *arena = arena_new(10000);
    struct violations violations;
    size_t whole = fixture_parse("Everything", text).length;

    (void)state;
    violations_init(&violations, arena, 3);
    for (size_t limit = 1; limit < whole; limit++) {
        struct buf out;
        struct err err = {0};

        buf_init(&out, limit);
        assert_false(json_parse(fixture_schema(), fixture_message("Everything"), STR_LITERAL(text),
                                NULL, &out, &violations, &err));
        assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
        assert_string_equal(err.reason, REASON_TOO_LARGE);
        buf_done(&out);
    }
    arena_free(arena);
}

static int release(void **state)
{
    (void)state;
    fixture_release();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_malformed, release),
        cmocka_unit_test_teardown(test_every_cut_is_malformed, release),
        cmocka_unit_test_teardown(test_wrong_types, release),
        cmocka_unit_test_teardown(test_paths, release),
        cmocka_unit_test_teardown(test_unknown_keys, release),
        cmocka_unit_test_teardown(test_duplicates, release),
        cmocka_unit_test_teardown(test_duplicates_in_large_objects, release),
        cmocka_unit_test_teardown(test_unions, release),
        cmocka_unit_test_teardown(test_all_of_it_is_reported, release),
        cmocka_unit_test_teardown(test_depth, release),
        cmocka_unit_test_teardown(test_depth_agrees_with_printing, release),
        cmocka_unit_test_teardown(test_reading_twice_is_bounded, release),
        cmocka_unit_test_teardown(test_limit_is_an_error, release),
    };

    return cmocka_run_group_tests_name("json_errors", tests, fixture_up, fixture_down);
}
