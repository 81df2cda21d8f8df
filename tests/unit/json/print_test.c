/* Wire → JSON: the forms of each type, and wire that no serializer would write but that means
 * something all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

static void test_every_key_is_there(void **state)
{
    (void)state;
    assert_string_equal(
        fixture_print("Small", STR_LITERAL(""), JSON_PRINT_CONTRACT),
        "{\"total\":0,\"name\":null,\"turns\":[],\"counts\":{},\"turn\":null,\"color\":null,"
        "\"created_at\":null,\"by_name\":null,\"by_number\":null}");
    assert_string_equal(fixture_print("Small", STR_LITERAL(""), JSON_PRINT_COMPACT), "{}");
    struct str wire = fixture_parse(
        "Small",
        "{\"total\":7,\"name\":\"\",\"turns\":[{\"role\":\"agent\",\"latency_ms\":0},{}],"
        "\"counts\":{\"a\":1,\"b\":0},\"turn\":{},\"color\":\"dark_blue\",\"by_number\":0}");

    assert_string_equal(
        fixture_print("Small", wire, JSON_PRINT_CONTRACT),
        "{\"total\":7,\"name\":\"\",\"turns\":[{\"role\":\"agent\",\"latency_ms\":0},"
        "{\"role\":\"\",\"latency_ms\":null}],\"counts\":{\"a\":1,\"b\":0},"
        "\"turn\":{\"role\":\"\",\"latency_ms\":null},\"color\":\"dark_blue\",\"created_at\":null,"
        "\"by_name\":null,\"by_number\":0}");
    assert_string_equal(
        fixture_print("Small", wire, JSON_PRINT_COMPACT),
        "{\"total\":7,\"name\":\"\",\"turns\":[{\"role\":\"agent\",\"latency_ms\":0},"
        "{}],\"counts\":{\"a\":1,\"b\":0},\"turn\":{},\"color\":\"dark_blue\","
        "\"by_number\":0}");
}

static void test_order_is_that_of_the_proto(void **state)
{
    (void)state;
    /* first = 1, second = 20, third = 3000 in the order of their numbers */
    assert_string_equal(
        fixture_print("Shuffled", fixture_hex("0a0131 a2010132 c2bb010133"), JSON_PRINT_CONTRACT),
        "{\"third\":\"3\",\"first\":\"1\",\"second\":\"2\"}");
}

/* Hexadecimal wire of Everything and its compact form. */
struct row {
    const char *wire, *json;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_string_equal(
            fixture_print("Everything", fixture_hex(rows[i].wire), JSON_PRINT_COMPACT),
            rows[i].json);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void test_scalars(void **state)
{
    static const struct row rows[] = {
        {"09 0000000000000080", "{\"d\":-0.0}"},
        {"09 000000000000f87f", "{\"d\":\"NaN\"}"},
        {"09 000000000000f0ff", "{\"d\":\"-Infinity\"}"},
        {"15 0000807f", "{\"f\":\"Infinity\"}"},
        {"15 cdcccc3d", "{\"f\":0.1}"},
        {"18 ffffffffffffffffff01", "{\"i64\":-1}"},
        {"18 ffffffffffffffff7f", "{\"i64\":9223372036854775807}"},
        {"20 ffffffffffffffffff01", "{\"u64\":18446744073709551615}"},
        {"28 ffffffffffffffffff01", "{\"i32\":-1}"},
        {"28 ffffffff0f", "{\"i32\":-1}"},
        {"31 0100000000000000", "{\"fx64\":1}"},
        {"3d ffffffff", "{\"fx32\":4294967295}"},
        {"40 05", "{\"b\":true}"},
        {"52 02fffe", "{\"by\":\"//4=\"}"},
        {"6d ffffffff", "{\"sf32\":-1}"},
        {"71 ffffffffffffffff", "{\"sf64\":-1}"},
        {"78 01", "{\"si32\":-1}"},
        {"8001 ffffffffffffffffff01", "{\"si64\":-9223372036854775808}"},
        {"9001 a0f8fa05", "{\"cost_micros\":12.5}"},
        {"d001 00", "{\"ocost\":0}"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_enums(void **state)
{
    static const struct row rows[] = {
        {"60 01", "{\"color\":\"red\"}"},
        {"60 07", "{\"color\":\"green\"}"},
        {"60 05", "{\"color\":5}"},
        {"60 ffffffffffffffffff01", "{\"color\":-1}"},
        {"c801 00", "{\"ocolor\":\"unspecified\"}"}, /* compact text must tell 0 from absent */
        {"9202 03 000105", "{\"rc\":[\"unspecified\",\"red\",5]}"},
        {"8a05 03 000000", "{\"rnull\":[null,null,null]}"},
    };

    (void)state;
    CHECK_ROWS(rows);
    const char *text =
        fixture_print("Everything", fixture_hex("60 00 c801 00"), JSON_PRINT_CONTRACT);

    assert_non_null(strstr(text, "\"color\":null"));
    assert_non_null(strstr(text, "\"ocolor\":null"));
    assert_non_null(strstr(text, "\"mode\":\"off\""));
}

static void test_unusual_wire(void **state)
{
    static const struct row rows[] = {
        /* the last one wins */
        {"28 01 28 02", "{\"i32\":2}"},
        {"4a 0161 4a 0162", "{\"s\":\"b\"}"},
        /* packed, unpacked and split lists are one list */
        {"fa01 02 0102 f801 03 28 05 fa01 01 04", "{\"i32\":5,\"ri\":[1,2,3,4]}"},
        {"8002 01 8202 02 0203", "{\"ru\":[1,2,3]}"},
        {"f801 00", "{\"ri\":[0]}"},
        {"fa01 00", "{}"},
        {"9a02 08 000000000000f03f 9902 0000000000000040", "{\"rd\":[1,2]}"},
        /* a message in two pieces is their merger */
        {"ba05 02 2801 ba05 03 4a0161", "{\"child\":{\"i32\":1,\"s\":\"a\"}}"},
        {"ba05 02 2801 28 09 ba05 02 2802 ba05 00", "{\"i32\":9,\"child\":{\"i32\":2}}"},
        {"ba05 05 ba05 02 2801 ba05 07 ba05 04 4a026162",
         "{\"child\":{\"child\":{\"i32\":1,\"s\":\"ab\"}}}"},
        /* of a oneof the last member counts, and is not merged across another one */
        {"9803 05 a203 0161", "{\"choice_text\":\"a\"}"},
        {"aa03 02 2801 9803 05 aa03 03 4a0161", "{\"choice_child\":{\"s\":\"a\"}}"},
        {"aa03 02 2801 aa03 03 4a0161", "{\"choice_child\":{\"i32\":1,\"s\":\"a\"}}"},
        {"9803 00", "{\"choice_int\":0}"},
        /* unknown fields: any wire type, groups in groups, a known number with the wrong type */
        {"c03e 01 c13e 0102030405060708 c23e 02ffff c53e 01020304 28 01", "{\"i32\":1}"},
        {"c33e 0801 1b 1c c43e 28 01", "{\"i32\":1}"},
        {"2a 0101 2d 01020304 28 01", "{\"i32\":1}"},
        /* a varint longer than it need be */
        {"28 8180808000", "{\"i32\":1}"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_maps(void **state)
{
    static const struct row rows[] = {
        {"ca02 06 0a0161 120162", "{\"mss\":{\"a\":\"b\"}}"},
        {"ca02 00", "{\"mss\":{\"\":\"\"}}"},
        {"ca02 06 120162 0a0161", "{\"mss\":{\"a\":\"b\"}}"},
        /* the last entry of a key wins */
        {"ca02 06 0a0161 120162 ca02 03 0a0162 ca02 06 0a0161 120163",
         "{\"mss\":{\"b\":\"\",\"a\":\"c\"}}"},
        {"d202 02 0805", "{\"mie\":{\"5\":{}}}"},
        {"d202 06 0805 1202 2801", "{\"mie\":{\"5\":{\"i32\":1}}}"},
        /* pieces of a message inside one entry */
        {"d202 0b 0805 1202 2801 1203 4a0161", "{\"mie\":{\"5\":{\"i32\":1,\"s\":\"a\"}}}"},
        {"da02 04 0801 1007 da02 02 1008", "{\"mbi\":{\"true\":7,\"false\":8}}"},
        {"e202 0d 08ffffffffffffffffff01 1001", "{\"muc\":{\"18446744073709551615\":\"red\"}}"},
        /* the same key in two spellings of its varint */
        {"d202 02 0805 d202 07 0885808000 1200", "{\"mie\":{\"5\":{}}}"},
        {"f202 02 0801", "{\"msd\":{\"-1\":0}}"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

/* Many entries take the sorted way: of each key the last. */
static void test_large_maps(void **state)
{
    struct buf wire = {0};
    char expected[4096] = "{\"mss\":{";

    (void)state;
    for (int i = 0; i < 60; i++) {
        char entry[16];
        int length = snprintf(entry, sizeof(entry), "\x0a\x02%02d\x12\x02%02d", i % 40, i);

        buf_put(&wire, "\xca\x02\x08", 3);
        buf_put(&wire, entry, (size_t)length);
    }
    for (int i = 20; i < 60; i++)
        sprintf(expected + strlen(expected), "%s\"%02d\":\"%02d\"", i > 20 ? "," : "", i % 40, i);
    strcat(expected, "}}");
    assert_string_equal(fixture_print("Everything", buf_str(&wire), JSON_PRINT_COMPACT), expected);
    buf_done(&wire);
}

static void test_well_known_types(void **state)
{
    /* Written as text and parsed first: what is shown is the contract's form. */
    static const struct {
        const char *in, *out; /* out NULL: as in */
    } rows[] = {
        {"{\"ts\":\"2026-01-17T09:30:00Z\"}", "{\"ts\":\"2026-01-17T09:30:00.000000Z\"}"},
        {"{\"ts\":\"1970-01-01T00:00:00Z\"}", "{\"ts\":\"1970-01-01T00:00:00.000000Z\"}"},
        {"{\"dur\":\"1.5s\"}", "{\"dur\":\"1.500s\"}"},
        {"{\"st\":{\"a\":1,\"b\":[true,null,\"x\",{\"c\":{}}],\"d\":-1.5e-7}}",
         "{\"st\":{\"a\":1,\"b\":[true,null,\"x\",{\"c\":{}}],\"d\":-1.5e-7}}"},
        {"{\"val\":null}", NULL},
        {"{\"val\":false}", NULL},
        {"{\"val\":\"\"}", NULL},
        {"{\"val\":[]}", NULL},
        {"{\"val\":{\"\":-0.0}}", NULL},
        {"{\"list\":[1,[2,[3]]]}", NULL},
        {"{\"mask\":\"name,isActive,config.llm\"}", NULL},
        {"{\"mask\":\"\"}", NULL},
        {"{\"empty\":{}}", NULL},
        {"{\"wd\":1.5,\"wi\":-7,\"wb\":false,\"ws\":\"\",\"wby\":\"AA==\"}", NULL},
        {"{\"wd\":0,\"wi\":0}", NULL},
        {"{\"rval\":[1,null,\"a\"],\"rwrap\":[0,18446744073709551615]}", NULL},
        {"{\"any\":{\"@type\":\"type.googleapis.com/json.test.Turn\",\"role\":\"agent\"}}", NULL},
        {"{\"any\":{\"@type\":\"a/google.protobuf.Duration\",\"value\":\"3s\"}}", NULL},
        {"{\"any\":{\"@type\":\"a/google.protobuf.Value\",\"value\":null}}", NULL},
        {"{\"any\":{\"@type\":\"a/google.protobuf.Any\",\"value\":{\"@type\":\"b/json.test.State\","
         "\"id\":\"x\"}}}",
         NULL},
        {"{\"any\":{\"@type\":\"a/google.protobuf.Empty\"}}", NULL},
        {"{\"any\":{}}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(fixture_print("Everything", fixture_parse("Everything", rows[i].in),
                                          JSON_PRINT_COMPACT),
                            rows[i].out ? rows[i].out : rows[i].in);
}

static void test_times_by_mode(void **state)
{
    struct str wire = fixture_parse("Everything", "{\"ts\":\"2026-01-17T09:30:00.123456789Z\"}");

    (void)state;
    assert_non_null(strstr(fixture_print("Everything", wire, JSON_PRINT_CONTRACT),
                           "\"ts\":\"2026-01-17T09:30:00.123456Z\""));
    assert_string_equal(fixture_print("Everything", wire, JSON_PRINT_COMPACT),
                        "{\"ts\":\"2026-01-17T09:30:00.123456789Z\"}");
    /* a well-known type may be the root */
    assert_string_equal(
        fixture_print("google.protobuf.Timestamp", STR_LITERAL(""), JSON_PRINT_CONTRACT),
        "\"1970-01-01T00:00:00.000000Z\"");
    assert_string_equal(
        fixture_print("google.protobuf.Struct", STR_LITERAL(""), JSON_PRINT_CONTRACT), "{}");
}

static void test_split_values(void **state)
{
    static const struct row rows[] = {
        /* Value: number, then string: the last kind counts */
        {"8204 0c 11000000000000f03f 1a0161", "{\"val\":\"a\"}"},
        /* Struct in two pieces of one Value, and in two Values */
        {"8204 16 2a09 0a07 0a0161 1202 2001 2a09 0a07 0a0162 1202 2000",
         "{\"val\":{\"a\":true,\"b\":false}}"},
        {"8204 0b 2a09 0a07 0a0161 1202 2001 8204 0b 2a09 0a07 0a0162 1202 2000",
         "{\"val\":{\"a\":true,\"b\":false}}"},
        {"8204 06 3204 0a02 2001 8204 06 3204 0a02 2000", "{\"val\":[true,false]}"},
        /* a struct, something else, a struct: no merger across */
        {"8204 18 2a09 0a07 0a0161 1202 2001 2001 2a09 0a07 0a0162 1202 2000",
         "{\"val\":{\"b\":false}}"},
        {"8204 00", "{\"val\":null}"},
        /* an entry without a value, and one key twice */
        {"fa03 05 0a03 0a0161", "{\"st\":{\"a\":null}}"},
        {"fa03 12 0a07 0a0161 1202 2001 0a07 0a0161 1202 2000", "{\"st\":{\"a\":false}}"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_unions(void **state)
{
    (void)state;
    assert_string_equal(fixture_print("Event", STR_LITERAL(""), JSON_PRINT_CONTRACT),
                        "{\"type\":null,\"seq\":0,\"source\":null,\"data\":null}");
    assert_string_equal(fixture_print("Event", STR_LITERAL(""), JSON_PRINT_COMPACT), "{}");
    assert_string_equal(
        fixture_print("Event", fixture_hex("0807 12 05 0a0161 1000"), JSON_PRINT_CONTRACT),
        "{\"type\":\"turn\",\"seq\":7,\"source\":null,\"data\":{\"role\":\"a\",\"latency_ms\":0}}");
    assert_string_equal(
        fixture_print("Event", fixture_hex("12 00 2a 03 1a 0161 3a 00"), JSON_PRINT_COMPACT),
        "{\"type\":\"nested\",\"source\":\"\",\"data\":{\"type\":\"note\",\"data\":\"a\"}}");
}

static void test_shorthand(void **state)
{
    static const char *const texts[] = {
        "{\"states\":[\"a\",{\"id\":\"b\",\"name\":\"\"},{\"id\":\"c\",\"tags\":[\"t\"]}]}",
        "{\"state\":\"a\"}"};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(
            fixture_print("Everything", fixture_parse("Everything", texts[i]), JSON_PRINT_COMPACT),
            texts[i]);
    /* without an id there is nothing to be short about */
    assert_string_equal(fixture_print("State", STR_LITERAL(""), JSON_PRINT_CONTRACT),
                        "{\"id\":\"\",\"name\":null,\"tags\":[]}");
    assert_string_equal(fixture_print("State", fixture_hex("0a0161"), JSON_PRINT_CONTRACT),
                        "\"a\"");
}

static void test_errors(void **state)
{
    static const struct {
        const char *wire, *problem;
    } rows[] = {
        {"28", "its bytes are malformed in json.test.Everything"},
        {"4a 05 61", "its bytes are malformed in json.test.Everything"},
        {"28 ffffffffffffffffffff01", "its bytes are malformed in json.test.Everything"},
        {"00 01", "its bytes are malformed in json.test.Everything"},
        {"2c", "its bytes are malformed in json.test.Everything"},
        {"2e", "its bytes are malformed in json.test.Everything"},
        {"0b 14", "its bytes are malformed in json.test.Everything"},
        {"0b 0801", "its bytes are malformed in json.test.Everything"},
        {"09 00", "its bytes are malformed in json.test.Everything"},
        {"4a 01ff", "a string is not UTF-8"},
        {"4a 03eda080", "a string is not UTF-8"},
        {"ca02 03 0a01ff", "a string is not UTF-8"},
        {"ca02 01 0a", "its bytes are malformed in json.test.Everything.MssEntry"},
        {"fa01 01 80", "a packed list is malformed"},
        {"9a02 01 00", "a packed list is malformed"},
        {"ea03 0a 08 ffffffffffffffff7f", "it is out of range in google.protobuf.Timestamp"},
        {"ea03 02 10ff", "its bytes are malformed in google.protobuf.Timestamp"},
        {"ea03 06 10 8094ebdc03", "it is out of range in google.protobuf.Timestamp"},
        {"8204 09 11 000000000000f87f", "a number is not finite in google.protobuf.Value"},
        {"9204 06 0a04 612f6262", "a type is unknown in google.protobuf.Any"},
        {"9204 02 1200", "a type is unknown in google.protobuf.Any"},
        {"9a04 05 0a03 615f31", "a path has no JSON form in google.protobuf.FieldMask"},
        {"9a04 04 0a02 6142", "a path has no JSON form in google.protobuf.FieldMask"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *message = fixture_print_error("Everything", fixture_hex(rows[i].wire));

        if (!strstr(message, rows[i].problem))
            fail_msg("row %zu: %s", i, message);
    }
}

/* child in child, `depth` messages in all; from the inside out. */
static struct str nested(size_t depth)
{
    static char bytes[64 * 1024];
    size_t at = sizeof(bytes), length = 0;

    for (size_t i = 1; i < depth; i++) {
        unsigned char head[8];
        size_t used = 0;

        head[used++] = 0xba;
        head[used++] = 0x05;
        for (size_t rest = length;; rest >>= 7) {
            head[used++] = (unsigned char)(rest >= 0x80 ? rest | 0x80 : rest);
            if (rest < 0x80)
                break;
        }
        at -= used;
        memcpy(bytes + at, head, used);
        length += used;
    }
    return (struct str){bytes + at, length};
}

static void test_depth_is_bounded(void **state)
{
    const char *text;

    (void)state;
    text = fixture_print("Everything", nested(32), JSON_PRINT_COMPACT);
    assert_int_equal(strlen(text), 31 * strlen("{\"child\":}") + 2);
    text = fixture_print_error("Everything", nested(33));
    assert_non_null(strstr(text, "it is nested too deep"));
    assert_non_null(strstr(fixture_print_error("Everything", nested(8000)), "too deep"));
}

/* Every level in two pieces, so that every level must be put together: the copies have a budget. */
static void test_hostile_merging_is_bounded(void **state)
{
    struct buf wire = {0};
    char *filler = calloc(1, 200000);

    (void)state;
    /* s of 200,000 bytes, wrapped 90 times with an empty second piece beside it */
    memset(filler, 'a', 200000);
    buf_init(&wire, 0);
    buf_put(&wire, "\x4a\xc0\x9a\x0c", 4);
    buf_put(&wire, filler, 200000);
    for (int i = 0; i < 90; i++) {
        struct buf outer = {0};
        size_t length = wire.length;

        buf_put(&outer, "\xba\x05", 2);
        for (; length >= 0x80; length >>= 7)
            buf_put_char(&outer, (char)(length | 0x80));
        buf_put_char(&outer, (char)length);
        buf_put(&outer, wire.data, wire.length);
        buf_put(&outer, "\xba\x05\x00", 3);
        buf_done(&wire);
        wire = outer;
    }
    assert_non_null(strstr(fixture_print_error("Everything", buf_str(&wire)), "too many pieces"));
    buf_done(&wire);
    free(filler);
}

static void test_limit_is_an_error(void **state)
{
    struct str wire = fixture_parse("Small", "{\"name\":\"0123456789\",\"counts\":{\"a\":1}}");
    size_t whole = strlen(fixture_print("Small", wire, JSON_PRINT_CONTRACT));

    (void)state;
    for (size_t limit = 1; limit < whole; limit++) {
        struct buf out;
        struct err err = {0};

        buf_init(&out, limit);
        assert_false(json_print(fixture_schema(), fixture_message("Small"), wire,
                                JSON_PRINT_CONTRACT, &out, &err));
        assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
        assert_string_equal(err.reason, REASON_TOO_LARGE);
        assert_int_equal(out.length, 0);
        buf_done(&out);
    }
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
        cmocka_unit_test_teardown(test_every_key_is_there, release),
        cmocka_unit_test_teardown(test_order_is_that_of_the_proto, release),
        cmocka_unit_test_teardown(test_scalars, release),
        cmocka_unit_test_teardown(test_enums, release),
        cmocka_unit_test_teardown(test_unusual_wire, release),
        cmocka_unit_test_teardown(test_maps, release),
        cmocka_unit_test_teardown(test_large_maps, release),
        cmocka_unit_test_teardown(test_well_known_types, release),
        cmocka_unit_test_teardown(test_times_by_mode, release),
        cmocka_unit_test_teardown(test_split_values, release),
        cmocka_unit_test_teardown(test_unions, release),
        cmocka_unit_test_teardown(test_shorthand, release),
        cmocka_unit_test_teardown(test_errors, release),
        cmocka_unit_test_teardown(test_depth_is_bounded, release),
        cmocka_unit_test_teardown(test_hostile_merging_is_bounded, release),
        cmocka_unit_test_teardown(test_limit_is_an_error, release),
    };

    return cmocka_run_group_tests_name("json_print", tests, fixture_up, fixture_down);
}
