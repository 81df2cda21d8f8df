#include "fixture.h"

#include "gateway/policy/cors.h"
#include "gateway/policy/etag.h"
#include "gateway/policy/identity.h"
#include "gateway/policy/media.h"
#include "gateway/policy/problem.h"

#include <stdio.h>

static unsigned wants(const char *accept, const char *type)
{
    return accept_quality(str_from(accept), type);
}

static void test_accept(void **state)
{
    static const char *const types[] = {"application/x-ndjson", "text/event-stream"};

    (void)state;
    assert_int_equal(wants("", "application/json"), 1000);
    assert_int_equal(wants("*/*", "application/json"), 1000);
    assert_int_equal(wants("application/*;q=0.5", "application/json"), 500);
    assert_int_equal(wants("text/*", "application/json"), 0);
    assert_int_equal(wants("APPLICATION/JSON", "application/json"), 1000);
    assert_int_equal(wants("application/json;q=0, */*", "application/json"), 0);
    assert_int_equal(wants("*/*;q=0.1,application/json ; q=0.123", "application/json"), 123);
    assert_int_equal(wants("application/json;q=0.000", "application/json"), 0);
    assert_int_equal(wants("text/plain;x=\"a,b;q=0\", application/json", "application/json"), 1000);
    assert_int_equal(wants("nonsense", "application/json"), 0);
    assert_int_equal(wants("application/jsonx", "application/json"), 0);
    assert_int_equal(accept_choose(str_from("*/*"), types, 2), 0);
    assert_int_equal(accept_choose(str_from("text/event-stream"), types, 2), 1);
    assert_int_equal(accept_choose(str_from("application/json, text/plain, */*"), types, 2), 0);
    assert_int_equal(accept_choose(str_from("application/json"), types, 2), -1);
    assert_int_equal(
        accept_choose(str_from("application/x-ndjson;q=0.1, text/event-stream;q=0.2"), types, 2),
        1);
}

static bool is_json(const char *header)
{
    struct media_type media;

    return media_type_parse(str_from(header), &media) && media_type_is_json(&media);
}

static void test_content_type(void **state)
{
    struct media_type media;
    char value[32];

    (void)state;
    assert_true(is_json("application/json"));
    assert_true(is_json(" Application/JSON ; charset=UTF-8"));
    assert_true(is_json("application/merge-patch+json; charset=\"utf-8\""));
    assert_false(is_json("application/json; charset=latin1"));
    assert_false(is_json("text/json"));
    assert_false(is_json("application/"));
    assert_false(is_json("json"));
    assert_false(is_json("application/json x"));
    assert_false(is_json("application/+json"));
    assert_true(media_type_parse(
        str_from("multipart/form-data; a=\"x\\\"y\"; Boundary=\"--=_1 2\""), &media));
    assert_true(media_type_parameter(&media, "boundary", value, sizeof(value)));
    assert_string_equal(value, "--=_1 2");
    assert_true(media_type_parameter(&media, "a", value, sizeof(value)));
    assert_string_equal(value, "x\"y");
    assert_false(media_type_parameter(&media, "b", value, sizeof(value)));
    assert_false(media_type_parameter(&media, "boundary", value, 3));
    assert_true(media_type_parse(str_from("multipart/form-data; boundary=\"open"), &media));
    assert_false(media_type_parameter(&media, "boundary", value, sizeof(value)));
}

static void test_etags(void **state)
{
    char etag[ETAG_SIZE], plain[ETAG_SIZE], list[100];
    int64_t revision;

    (void)state;
    size_t length = etag_make(1768642200123456, STR_LITERAL("body"), etag);
    assert_int_equal(length, strlen(etag));
    etag_make(ETAG_NO_REVISION, STR_LITERAL("body"), plain);
    assert_int_equal(strlen(plain), 18);
    assert_true(etag_none_match(str_from(etag), str_from(etag)));
    assert_true(etag_none_match(STR_LITERAL("*"), str_from(etag)));
    snprintf(list, sizeof(list), "\"a\" ,W/%s", etag);
    assert_true(etag_none_match(str_from(list), str_from(etag)));
    assert_false(etag_none_match(str_from(plain), str_from(etag)));
    assert_false(etag_none_match(STR_LITERAL(""), str_from(etag)));
    assert_false(etag_none_match(STR_LITERAL("\"open"), str_from(etag)));

    assert_int_equal(etag_match(str_from(etag), &revision), ETAG_REVISION);
    assert_int_equal(revision, 1768642200123456);
    assert_int_equal(etag_match(STR_LITERAL(" * "), &revision), ETAG_ANY);
    static const char *const never[] = {"",
                                        "\"\"",
                                        "\"-0123456789abcdef\"",
                                        "x",
                                        "\"1-01234\"",
                                        "\"g-0123456789abcdef\"",
                                        "\"1",
                                        "W/\"1-0123456789abcdef\"",
                                        "\"ffffffffffffffff-0123456789abcdef\""};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        assert_int_equal(etag_match(str_from(never[i]), &revision), ETAG_REVISION);
        assert_int_equal(revision, -1);
    }
    assert_int_equal(etag_match(STR_LITERAL("\"x\", \"a-0123456789abcdef\""), &revision),
                     ETAG_REVISION);
    assert_int_equal(revision, 10);
    assert_int_equal(
        etag_match(STR_LITERAL("\"a-0123456789abcdef\",\"b-0123456789abcdef\""), &revision),
        ETAG_AMBIGUOUS);
}

static void test_identity(void **state)
{
    struct virtual_clock clock;
    struct entropy entropy;
    struct identity identity;
    static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    static const char *const bad[] = {
        "",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
    };

    (void)state;
    virtual_clock_init(&clock, 1768642200123456);
    entropy_init_seeded(&entropy, 1);
    identity_init(&identity, STR_LITERAL("a-1.b/c"), str_from(parent), NULL, &clock.clock,
                  &entropy);
    assert_string_equal(identity.request_id, "a-1.b/c");
    assert_string_equal(identity.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_memory_equal(identity.traceparent, parent, 36);
    assert_memory_not_equal(identity.traceparent + 36, parent + 36, 16);
    assert_string_equal(identity.traceparent + 52, "-00");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        identity_init(&identity, STR_LITERAL("not safe"), str_from(bad[i]), NULL, &clock.clock,
                      &entropy);
        assert_memory_equal(identity.request_id, "019bcb4a-423b-7", 15);
        assert_int_equal(identity.request_id_length, 36);
        assert_string_not_equal(identity.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_string_equal(identity.traceparent + 52, "-01");
    }
    /* A later version may carry more. */
    identity_init(&identity, (struct str){NULL, 0},
                  STR_LITERAL("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what"), NULL,
                  &clock.clock, &entropy);
    assert_string_equal(identity.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
}

static void test_cors(void **state)
{
    struct err err = {0};
    struct cors *cors = cors_new(" https://a.example , http://localhost:3000,", &err);
    struct cors *any = cors_new("*", &err), *none = cors_new("", &err);

    (void)state;
    assert_true(
        str_equal_cstr(cors_allow(cors, STR_LITERAL("https://a.example")), "https://a.example"));
    assert_int_equal(cors_allow(cors, STR_LITERAL("https://a.example.evil")).length, 0);
    assert_int_equal(cors_allow(cors, STR_LITERAL("null")).length, 0);
    assert_true(cors_varies(cors));
    assert_true(str_equal_cstr(cors_allow(any, STR_LITERAL("https://x")), "*"));
    assert_int_equal(cors_allow(any, STR_LITERAL("")).length, 0);
    assert_false(cors_varies(any));
    assert_int_equal(cors_allow(none, STR_LITERAL("https://x")).length, 0);
    assert_null(cors_new("https://a.example/path", &err));
    assert_null(cors_new("a.example", &err));
    assert_true(origin_is_same(STR_LITERAL("http://h:1"), STR_LITERAL("h:1")));
    assert_false(origin_is_same(STR_LITERAL("http://h:1"), STR_LITERAL("h:2")));
    assert_false(origin_is_same(STR_LITERAL("null"), STR_LITERAL("h:2")));
    cors_free(cors);
    cors_free(any);
    cors_free(none);
}

static void test_problem(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    struct violations violations;
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    violations_init(&violations, arena, 10);
    violations_add(&violations, "skillbase.config.flow.type", "must be \"%s\"", "graph");
    violations_add(&violations, "skillbases", "odd");
    err_set_violations(&err, &violations);
    problem_print(&err, "skillbase", STR_LITERAL("id-1"), &out);
    buf_put_char(&out, '\0');
    assert_string_equal(
        out.data,
        "{\"type\":\"about:blank\",\"title\":\"Bad "
        "Request\",\"status\":400,\"code\":\"INVALID_ARGUMENT\",\"detail\":\"2 fields are "
        "invalid\",\"errors\":[{\"field\":\"config.flow.type\",\"message\":\"must be "
        "\\\"graph\\\"\"},{\"field\":\"skillbases\",\"message\":\"odd\"}],\"request_id\":\"id-"
        "1\"}");
    err = (struct err){0};
    err_set(&err, ERR_FAILED_PRECONDITION, REASON_ETAG_MISMATCH, "changed since");
    assert_int_equal(problem_status(&err), 412);
    err_set(&err, ERR_UNIMPLEMENTED, REASON_METHOD_NOT_ALLOWED, "x");
    assert_int_equal(problem_status(&err), 405);
    err_set(&err, ERR_INTERNAL, REASON_BAD_GATEWAY, "x");
    assert_int_equal(problem_status(&err), 502);
    err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "x");
    assert_int_equal(problem_status(&err), 503);
    buf_done(&out);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept), cmocka_unit_test(test_content_type),
        cmocka_unit_test(test_etags),  cmocka_unit_test(test_identity),
        cmocka_unit_test(test_cors),   cmocka_unit_test(test_problem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
