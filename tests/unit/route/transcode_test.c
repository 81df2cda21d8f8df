#include "fixture.h"

#include "gateway/policy/etag.h"
#include "gateway/route/transcode.h"

#define ID "0190a6b0-1234-7abc-8def-0123456789ab"

static bool transcode(struct fixture *fixture, const char *verb, const char *path,
                      const char *query, const char *body)
{
    find(fixture, verb, path);
    assert_int_equal(fixture->match.status, 200);
    fixture->err = (struct err){0};
    buf_reset(&fixture->out);
    return transcode_request(fixture->schema, &fixture->match, str_from(query), str_from(body),
                             fixture->arena, &fixture->scratch, &fixture->out, NULL, &fixture->err);
}

/* The number-th top-level field, bytes of it. */
static struct str bytes_of(struct str wire, uint32_t number)
{
    struct wire_reader reader;
    struct str found = {NULL, 0};

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader))
        if (reader.number == number)
            found = reader.bytes;
    return found;
}

static uint32_t number_of(struct fixture *fixture, const char *name)
{
    return schema_find_field(fixture->match.route->method->input, str_from(name))->number;
}

static void test_body_and_mask(void **state)
{
    struct fixture *fixture = *state;
    struct wire_reader reader;
    char paths[200] = "";

    assert_true(transcode(fixture, "PUT", "/api/skillbases/" ID, "",
                          "{\"isActive\":null,\"name\":\"n\",\"id\":\"" ID "\"}"));
    struct str wire = buf_str(&fixture->out);
    assert_true(str_equal_cstr(bytes_of(wire, number_of(fixture, "id")), ID));
    assert_true(bytes_of(wire, number_of(fixture, "skillbase")).length > 0);
    wire_reader_init(&reader, bytes_of(wire, number_of(fixture, "update_mask")));
    while (wire_reader_next(&reader)) {
        strncat(paths, reader.bytes.data, reader.bytes.length);
        strcat(paths, ",");
    }
    assert_string_equal(paths, "is_active,name,");
    assert_string_equal(transcode_body_name(fixture->match.route), "skillbase");
}

static void test_everything_wrong_at_once(void **state)
{
    struct fixture *fixture = *state;

    assert_false(transcode(fixture, "POST", "/api/skillbases", "nope=1",
                           "{\"name\":7,\"slug\":\"NO\",\"nmae\":\"x\"}"));
    const struct violations *violations = fixture->err.violations;
    assert_non_null(violation_of(violations, "nope"));
    assert_non_null(violation_of(violations, "name"));
    assert_non_null(violation_of(violations, "slug"));
    assert_non_null(violation_of(violations, "nmae"));
    assert_string_equal(violation_of(violations, "config"), "is required");
    /* One message a field: a name of the wrong type is not also missing. */
    unsigned names = 0;
    for (const struct violation *at = violations->first; at; at = at->next)
        names += strcmp(at->field, "name") == 0;
    assert_int_equal(names, 1);
}

static void test_syntax_errors_keep_the_rest(void **state)
{
    struct fixture *fixture = *state;

    assert_false(transcode(fixture, "POST", "/api/skillbases", "nope=1", "{\n\"name\": }"));
    assert_int_equal(fixture->err.code, ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(fixture->err.message, "line 2"));
    assert_non_null(violation_of(fixture->err.violations, "nope"));
}

static void test_calls_without_a_body(void **state)
{
    struct fixture *fixture = *state;

    assert_true(transcode(fixture, "POST", "/api/campaigns/" ID "/start", "", ""));
    assert_true(transcode(fixture, "POST", "/api/campaigns/" ID "/start", "", " {} "));
    assert_false(transcode(fixture, "POST", "/api/campaigns/" ID "/start", "", "{\"x\":1}"));
    assert_false(transcode(fixture, "POST", "/api/skillbases", "", "  "));
    assert_true(transcode(fixture, "POST", "/api/dispatch/heartbeat", "", ""));
}

static void test_path_in_a_whole_body(void **state)
{
    struct fixture *fixture = *state;

    assert_true(transcode(fixture, "POST", "/api/skillbases/" ID "/rollback", "",
                          "{\"id\":\"" ID "\",\"version\":1}"));
    assert_false(transcode(fixture, "POST", "/api/skillbases/" ID "/rollback", "",
                           "{\"id\":\"x\",\"version\":1}"));
    assert_string_equal(violation_of(fixture->err.violations, "id"), "differs from the path");
}

static void test_what_the_answer_needs(void **state)
{
    struct fixture *fixture = *state;
    struct buf wire = {0}, timestamp = {0}, location = {0};

    find(fixture, "POST", "/api/skillbases");
    const struct route *route = fixture->match.route;
    assert_int_equal(transcode_revision(route, (struct str){NULL, 0}), ETAG_NO_REVISION);
    assert_false(transcode_location(route, (struct str){NULL, 0}, &location));
    wire_put_bytes(&wire, 1, STR_LITERAL("a b/\xd0\xb8"));
    wire_put_tag(&timestamp, 1, 0);
    wire_put_varint(&timestamp, 1768642200);
    wire_put_tag(&timestamp, 2, 0);
    wire_put_varint(&timestamp, 123456789);
    wire_put_bytes(&wire, route->revision->number, buf_str(&timestamp));
    assert_int_equal(transcode_revision(route, buf_str(&wire)), 1768642200123456);
    buf_reset(&location);
    assert_true(transcode_location(route, buf_str(&wire), &location));
    assert_true(str_equal_cstr(buf_str(&location), "/api/skillbases/a%20b%2F%D0%B8"));
    buf_done(&wire);
    buf_done(&timestamp);
    buf_done(&location);
}

static void test_cursor_is_taken_out(void **state)
{
    struct fixture *fixture = *state;
    struct buf rest = {0};
    uint64_t cursor;

    assert_true(transcode(fixture, "GET", "/api/analytics/ws/calls/" ID, "after_seq=300", ""));
    const struct schema_field *field = fixture->match.route->method->stream_cursor;
    assert_non_null(field);
    assert_true(transcode_split_integer(field, buf_str(&fixture->out), &cursor, &rest));
    assert_int_equal(cursor, 300);
    assert_true(str_equal_cstr(bytes_of(buf_str(&rest), number_of(fixture, "call_id")), ID));
    assert_false(transcode_split_integer(field, STR_LITERAL("\x0a\xff"), &cursor, &rest));
    buf_done(&rest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_body_and_mask),
        TEST(test_everything_wrong_at_once),
        TEST(test_syntax_errors_keep_the_rest),
        TEST(test_calls_without_a_body),
        TEST(test_path_in_a_whole_body),
        TEST(test_what_the_answer_needs),
        TEST(test_cursor_is_taken_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
