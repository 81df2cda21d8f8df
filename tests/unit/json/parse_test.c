/* JSON → wire: what is accepted, in every spelling. What was read is checked by printing it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* Text in, compact text out; NULL: as in. */
struct row {
    const char *in, *out;
};

static void check_rows(const char *message, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_string_equal(
            fixture_print(message, fixture_parse(message, rows[i].in), JSON_PRINT_COMPACT),
            rows[i].out ? rows[i].out : rows[i].in);
}

#define CHECK_ROWS(message, rows) check_rows(message, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_scalars(void **state)
{
    static const struct row rows[] = {
        {"{\"i64\":-9223372036854775808}", NULL},
        {"{\"i64\":\"9007199254740993\"}", "{\"i64\":9007199254740993}"},
        {"{\"i64\":1.0,\"i32\":1e3,\"u32\":120e-1}", "{\"i64\":1,\"i32\":1000,\"u32\":12}"},
        {"{\"u64\":18446744073709551615}", NULL},
        {"{\"u64\":\"1.8446744073709551615e19\"}", "{\"u64\":18446744073709551615}"},
        {"{\"i32\":-2147483648,\"u32\":4294967295}", NULL},
        {"{\"si32\":-2147483648,\"si64\":-9223372036854775808}", NULL},
        {"{\"sf32\":-1,\"sf64\":-1,\"fx32\":4294967295,\"fx64\":18446744073709551615}",
         "{\"fx64\":18446744073709551615,\"fx32\":4294967295,\"sf32\":-1,\"sf64\":-1}"},
        {"{\"i32\":-0,\"oi\":-0}", "{\"oi\":0}"},
        {"{\"d\":0.1,\"f\":0.1}", NULL},
        {"{\"d\":\"NaN\",\"f\":\"-Infinity\"}", NULL},
        {"{\"d\":-0.0}", NULL},
        {"{\"d\":\"1.5\"}", "{\"d\":1.5}"},
        {"{\"d\":1e-400}", "{}"},
        {"{\"d\":123456789012345678901234567890}", "{\"d\":1.2345678901234568e+29}"},
        {"{\"b\":true,\"ob\":false}", NULL},
        {"{\"by\":\"_-4\"}", "{\"by\":\"/+4=\"}"},
        {"{\"by\":\"\\u0041A==\"}", "{\"by\":\"AA==\"}"},
        {"{\"oby\":\"\"}", NULL},
        {"{\"cost_micros\":12.5,\"ocost\":0}", NULL},
        {"{\"costMicros\":\"0.000001\"}", "{\"cost_micros\":0.000001}"},
        {"{\"cost_micros\":1e3}", "{\"cost_micros\":1000}"},
        {"{\"cost_micros\":-9223372036854.775808}", NULL},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_keys_in_both_spellings(void **state)
{
    static const struct row rows[] = {
        {"{\"maxTokens\":1}", "{\"max_tokens\":1}"},
        {"{\"max_tokens\":1}", NULL},
        {"{\"max\\u005ftokens\":1}", "{\"max_tokens\":1}"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_enums(void **state)
{
    static const struct row rows[] = {
        {"{\"color\":\"dark_blue\"}", NULL},
        {"{\"color\":\"COLOR_DARK_BLUE\"}", "{\"color\":\"dark_blue\"}"},
        {"{\"color\":7}", "{\"color\":\"green\"}"},
        {"{\"color\":7.0}", "{\"color\":\"green\"}"},
        {"{\"color\":99}", NULL}, /* a newer sender's; schema_check() is the judge */
        {"{\"color\":\"r\\u0065d\"}", "{\"color\":\"red\"}"},
        {"{\"rc\":[\"red\",\"unspecified\",2]}",
         "{\"rc\":[\"red\",\"unspecified\",\"dark_blue\"]}"},
        {"{\"choice_null\":null}", NULL},
        {"{\"choice_null\":\"NULL_VALUE\"}", "{\"choice_null\":null}"},
        {"{\"rnull\":[null,0]}", "{\"rnull\":[null,null]}"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_strings(void **state)
{
    static const struct row rows[] = {
        {"{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u4e2d\"}",
         "{\"s\":\"\\\"\\\\/\\b\\f\\n\\r\\té中\"}"},
        {"{\"s\":\"\\ud83d\\ude00\\uD83D\\uDE00\"}", "{\"s\":\"😀😀\"}"},
        {"{\"s\":\"a\\u0000b\"}", NULL},
        {"{\"s\":\"\"}", "{}"},
        {"{\"os\":\"\"}", NULL},
        {"{\"s\":\"Администратор салона красоты «Гламур» 中文 😀\"}", NULL},
        {" \t\r\n{ \"s\" \n:\t\"x\" , \"b\":true }\n\n", "{\"b\":true,\"s\":\"x\"}"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

/* An escaped text of 128 raw bytes decodes to fewer than 128: its length then takes one byte less.
 */
static void test_lengths_around_128(void **state)
{
    (void)state;
    for (int raw = 0; raw < 300; raw++) {
        char *text = NULL;
        const char *in, *out;

        assert_true(asprintf(&text, "%0*d", raw + 1, 0) > 0);
        in = fixture_text("{\"s\":\"\\u0041%s\",\"child\":{\"st\":{\"k\":[{\"x\":\"%s\"}]},"
                          "\"ri\":[%s1]},\"i32\":7}",
                          text, text, raw ? "10,20,30000,\n" : "");
        out = fixture_text("{\"i32\":7,\"s\":\"A%s\",\"child\":{\"ri\":[%s1],"
                           "\"st\":{\"k\":[{\"x\":\"%s\"}]}}}",
                           text, raw ? "10,20,30000," : "", text);
        assert_string_equal(
            fixture_print("Everything", fixture_parse("Everything", in), JSON_PRINT_COMPACT), out);
        free(text);
    }
}

static void test_null_is_absent(void **state)
{
    static const struct row rows[] = {
        {"{\"d\":null,\"b\":null,\"s\":null,\"os\":null,\"rs\":null,\"mss\":null,\"ts\":null,"
         "\"st\":null,\"wd\":null,\"child\":null,\"color\":null,\"any\":null,\"event\":null}",
         "{}"},
        {"{\"choice_int\":null,\"choice_text\":\"x\",\"choice_child\":null}",
         "{\"choice_text\":\"x\"}"},
        {"{\"choice_null\":null,\"choice_int\":1}", "{\"choice_int\":1}"},
        {"{\"choice_int\":1,\"choice_null\":null}", "{\"choice_int\":1}"},
        {"{\"val\":null}", NULL},
        {"{\"mv\":{\"a\":null}}", NULL},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_lists_and_maps(void **state)
{
    static const struct row rows[] = {
        {"{\"ri\":[1,-2,3],\"ru\":[1,2],\"rs\":[\"\",\"a\"],\"rb\":[false,true],\"rfx\":[1,0]}",
         NULL},
        {"{\"ri\":[],\"ru\":[],\"rs\":[],\"children\":[],\"mss\":{}}", "{}"},
        {"{\"children\":[{},{\"children\":[{}]}]}", NULL},
        {"{\"mie\":{\"-5\":{\"i32\":1},\"0\":{}},\"mbi\":{\"true\":1,\"false\":0}}", NULL},
        {"{\"muc\":{\"18446744073709551615\":\"red\",\"0\":\"unspecified\"}}", NULL},
        {"{\"mss\":{\"a\\u0062\":\"\",\"\":\"x\"}}", "{\"mss\":{\"ab\":\"\",\"\":\"x\"}}"},
        {"{\"mv\":{\"a\":{\"b\":[1]}}}", NULL},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_read_only_keys_are_skipped(void **state)
{
    static const struct row rows[] = {
        {"{\"secret\":\"x\",\"b\":true,\"hidden\":{\"nonsense\":[1,{\"a\":null}]}}",
         "{\"b\":true}"},
        {"{\"secret\":[{}],\"child\":{\"secret\":5,\"hidden\":\"?\"}}", "{\"child\":{}}"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_unions(void **state)
{
    static const struct row rows[] = {
        {"{\"type\":\"turn\",\"seq\":7,\"data\":{\"role\":\"agent\"}}", NULL},
        {"{\"data\":{\"role\":\"agent\"},\"seq\":7,\"type\":\"turn\"}",
         "{\"type\":\"turn\",\"seq\":7,\"data\":{\"role\":\"agent\"}}"},
        {"{\"data\":{\"data\":{\"data\":\"x\",\"type\":\"note\"},\"type\":\"nested\"},"
         "\"type\":\"nested\"}",
         "{\"type\":\"nested\",\"data\":{\"type\":\"nested\",\"data\":{\"type\":\"note\","
         "\"data\":\"x\"}}}"},
        {"{\"type\":\"turn\"}", "{\"type\":\"turn\",\"data\":{}}"},
        {"{\"type\":\"turn\",\"data\":null}", "{\"type\":\"turn\",\"data\":{}}"},
        {"{\"type\":\"note\",\"data\":\"\"}", NULL},
        {"{\"type\":\"anything\",\"data\":null}", NULL},
        {"{\"data\":null,\"type\":\"anything\"}", "{\"type\":\"anything\",\"data\":null}"},
        {"{\"type\":\"shade\",\"data\":null}", "{\"type\":\"shade\",\"data\":\"unspecified\"}"},
        {"{\"type\":null,\"seq\":1,\"data\":null}", "{\"seq\":1}"},
        {"{\"turn\":{\"role\":\"a\"}}", "{\"type\":\"turn\",\"data\":{\"role\":\"a\"}}"},
        {"{}", NULL},
    };

    (void)state;
    CHECK_ROWS("Event", rows);
}

static void test_shorthand(void **state)
{
    static const struct row rows[] = {
        {"{\"states\":[\"a\",{\"id\":\"b\"},{\"id\":\"c\",\"name\":null}]}",
         "{\"states\":[\"a\",\"b\",\"c\"]}"},
        {"{\"state\":\"a\"}", NULL},
        {"{\"state\":{}}", NULL},
        {"{\"state\":\"\"}", "{\"state\":{}}"},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_any(void **state)
{
    static const struct row rows[] = {
        {"{\"any\":{\"role\":\"x\",\"@type\":\"a/json.test.Turn\",\"latency_ms\":1}}",
         "{\"any\":{\"@type\":\"a/json.test.Turn\",\"role\":\"x\",\"latency_ms\":1}}"},
        {"{\"any\":{\"role\":\"x\",\"@type\":\"a/json.test.Turn\"}}",
         "{\"any\":{\"@type\":\"a/json.test.Turn\",\"role\":\"x\"}}"},
        {"{\"any\":{\"value\":\"3s\",\"@type\":\"a/google.protobuf.Duration\"}}",
         "{\"any\":{\"@type\":\"a/google.protobuf.Duration\",\"value\":\"3s\"}}"},
        {"{\"any\":{\"@type\":\"a/json.test.Event\",\"type\":\"note\",\"data\":\"x\"}}", NULL},
    };

    (void)state;
    CHECK_ROWS("Everything", rows);
}

static void test_roots(void **state)
{
    static const struct row structs[] = {{"{\"a\":[1]}", NULL}};
    static const struct row values[] = {{"null", NULL}, {"[1,\"a\"]", NULL}, {"1e2", "100"}};
    static const struct row states[] = {{"\"a\"", NULL}, {"{\"id\":\"a\"}", "\"a\""}};
    static const struct row times[] = {
        {"\"2026-01-17T09:30:00Z\"", "\"2026-01-17T09:30:00.000000Z\""}};

    (void)state;
    CHECK_ROWS("google.protobuf.Struct", structs);
    CHECK_ROWS("google.protobuf.Value", values);
    CHECK_ROWS("State", states);
    CHECK_ROWS("google.protobuf.Timestamp", times);
}

static void note_key(void *context, const struct schema_field *field)
{
    strcat(context, field->name);
    strcat(context, " ");
}

static void test_root_keys_are_told(void **state)
{
    static const char text[] = "{\"createdAt\":null,\"name\":null,\"turn\":{\"role\":\"x\"},"
                               "\"total\":\"bad\",\"counts\":{\"total\":1},\"nonsense\":1}";
    char seen[200] = "";
    struct json_parse_options options = {.on_root_key = note_key, .context = seen};
    struct arena *arena = arena_new(100000);
    struct violations violations;
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    violations_init(&violations, arena, 10);
    assert_true(json_parse(fixture_schema(), fixture_message("Small"), STR_LITERAL(text), &options,
                           &out, &violations, &err));
    assert_string_equal(seen, "name turn total counts ");
    assert_int_equal(violations.count, 2);
    seen[0] = '\0';
    buf_reset(&out);
    assert_true(json_parse(fixture_schema(), fixture_message("Event"),
                           STR_LITERAL("{\"data\":\"x\",\"type\":\"note\",\"source\":null}"),
                           &options, &out, &violations, &err));
    assert_string_equal(seen, "note source ");
    buf_done(&out);
    arena_free(arena);
}

/* What json_parse_scalar() makes of a text for a field of Everything, or what it says against it.
 */
static const char *scalar(const char *name, struct str text)
{
    const struct schema_field *field =
        schema_find_field(fixture_message("Everything"), str_from(name));
    struct arena *arena = arena_new(100000);
    struct violations violations;
    struct buf out = {0};
    const char *result;

    assert_non_null(field);
    violations_init(&violations, arena, 10);
    json_parse_scalar(field, text, name, &out, &violations);
    result = violations.count
                 ? fixture_text("%s: %s", violations.first->field, violations.first->message)
                 : fixture_print("Everything", buf_str(&out), JSON_PRINT_COMPACT);
    buf_done(&out);
    arena_free(arena);
    return result;
}

static void test_scalars_from_addresses(void **state)
{
    static const struct {
        const char *field, *text, *result;
    } rows[] = {
        {"s", "a\"b", "{\"s\":\"a\\\"b\"}"},
        {"os", "", "{\"os\":\"\"}"},
        {"i32", "12", "{\"i32\":12}"},
        {"oi", "0", "{\"oi\":0}"},
        {"ob", "false", "{\"ob\":false}"},
        {"b", "1", "b: must be true or false, got \"1\""},
        {"i32", "x", "i32: must be an integer between -2147483648 and 2147483647, got \"x\""},
        {"i32", "", "i32: must be an integer between -2147483648 and 2147483647, got \"\""},
        {"i32", " 1", "i32: must be an integer between -2147483648 and 2147483647, got \" 1\""},
        {"d", "0.5", "{\"d\":0.5}"},
        {"color", "red", "{\"color\":\"red\"}"},
        {"color", "pink", "color: must be one of red, dark_blue, green; got \"pink\""},
        {"ri", "5", "{\"ri\":[5]}"},
        {"ri", "0", "{\"ri\":[0]}"},
        {"rs", "", "{\"rs\":[\"\"]}"},
        {"by", "AA", "{\"by\":\"AA==\"}"},
        {"ocost", "1.25", "{\"ocost\":1.25}"},
        {"ts", "2026-01-17T09:30:00+00:00", "{\"ts\":\"2026-01-17T09:30:00.000000Z\"}"},
        {"ts", "now", "ts: must be an RFC 3339 time such as \"2026-01-17T09:30:00Z\", got \"now\""},
        {"dur", "5s", "{\"dur\":\"5s\"}"},
        {"mask", "max_tokens,iX", "{\"mask\":\"maxTokens,iX\"}"},
        {"wi", "5", "{\"wi\":5}"},
        {"wi", "0", "{\"wi\":0}"},
        {"child", "x", "child: cannot be given in an address: it is not a single value"},
        {"st", "{}", "st: cannot be given in an address: it is not a single value"},
        {"mss", "x", "mss: cannot be given in an address: it is not a single value"},
        {"s", "\xff", "s: must be UTF-8 text"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(scalar(rows[i].field, str_from(rows[i].text)), rows[i].result);
    assert_string_equal(scalar("os", (struct str){NULL, 0}), "{\"os\":\"\"}");
}

/* Many keys: the sorted way of finding duplicates, and more keys and frames than the parser has
 * room for at first. */
static void test_large_objects(void **state)
{
    struct buf text = {0}, expected = {0};

    (void)state;
    buf_put_cstr(&text, "{\"st\":{");
    for (int i = 0; i < 500; i++)
        buf_printf(&text, "%s\"key%d\":{\"x\":[\"%0200d\"]}", i ? "," : "", i, i);
    buf_put_cstr(&text, "}}");
    buf_put(&expected, text.data, text.length);
    buf_put_char(&text, '\0');
    buf_put_char(&expected, '\0');
    assert_string_equal(
        fixture_print("Everything", fixture_parse("Everything", text.data), JSON_PRINT_COMPACT),
        expected.data);
    buf_done(&text);
    buf_done(&expected);
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
        cmocka_unit_test_teardown(test_scalars, release),
        cmocka_unit_test_teardown(test_keys_in_both_spellings, release),
        cmocka_unit_test_teardown(test_enums, release),
        cmocka_unit_test_teardown(test_strings, release),
        cmocka_unit_test_teardown(test_lengths_around_128, release),
        cmocka_unit_test_teardown(test_null_is_absent, release),
        cmocka_unit_test_teardown(test_lists_and_maps, release),
        cmocka_unit_test_teardown(test_read_only_keys_are_skipped, release),
        cmocka_unit_test_teardown(test_unions, release),
        cmocka_unit_test_teardown(test_shorthand, release),
        cmocka_unit_test_teardown(test_any, release),
        cmocka_unit_test_teardown(test_roots, release),
        cmocka_unit_test_teardown(test_root_keys_are_told, release),
        cmocka_unit_test_teardown(test_scalars_from_addresses, release),
        cmocka_unit_test_teardown(test_large_objects, release),
    };

    return cmocka_run_group_tests_name("json_parse", tests, fixture_up, fixture_down);
}
