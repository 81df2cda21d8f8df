#include "fixture.h"

#include "gateway/route/bind.h"

#define ID "0190a6b0-1234-7abc-8def-0123456789ab"

static bool bind(struct fixture *fixture, const char *path, const char *query)
{
    find(fixture, "GET", path);
    assert_int_equal(fixture->match.status, 200);
    fixture->err = (struct err){0};
    violations_init(&fixture->violations, fixture->arena, 100);
    buf_reset(&fixture->out);
    return bind_path(&fixture->match, fixture->arena, &fixture->out, &fixture->violations,
                     &fixture->err) &&
           bind_query(fixture->match.route, str_from(query), fixture->arena, &fixture->out,
                      &fixture->violations, &fixture->err);
}

/* The last value of a top-level field. */
static bool value_of(struct fixture *fixture, const char *name, struct wire_reader *ret_reader)
{
    const struct schema_field *field =
        schema_find_field(fixture->match.route->method->input, str_from(name));
    struct wire_reader reader;
    bool found = false;

    assert_non_null(field);
    wire_reader_init(&reader, buf_str(&fixture->out));
    while (wire_reader_next(&reader))
        if (reader.number == field->number) {
            *ret_reader = reader;
            found = true;
        }
    assert_false(reader.malformed);
    return found;
}

static void test_path_and_query_become_fields(void **state)
{
    struct fixture *fixture = *state;
    struct wire_reader reader;

    assert_true(bind(fixture, "/api/skillbases/" ID "/versions/7", ""));
    assert_int_equal(fixture->violations.count, 0);
    assert_true(value_of(fixture, "id", &reader));
    assert_true(str_equal_cstr(reader.bytes, ID));
    assert_true(value_of(fixture, "version", &reader));
    assert_int_equal(reader.integer, 7);

    assert_true(bind(fixture, "/api/skillbases", "company_id=" ID "&is_active=false&limit=10"));
    assert_int_equal(fixture->violations.count, 0);
    assert_true(value_of(fixture, "company_id", &reader));
    assert_true(value_of(fixture, "is_active", &reader));
    assert_int_equal(reader.integer, 0); /* given, and false */
    assert_true(value_of(fixture, "limit", &reader));
    assert_int_equal(reader.integer, 10);
}

static void test_either_spelling_and_empty_pairs(void **state)
{
    struct fixture *fixture = *state;
    struct wire_reader reader;

    assert_true(bind(fixture, "/api/skillbases", "&&companyId=" ID "&&isPublished=true&"));
    assert_int_equal(fixture->violations.count, 0);
    assert_true(value_of(fixture, "company_id", &reader));
    assert_true(value_of(fixture, "is_published", &reader));
}

static void test_plus_is_a_space_in_the_query_only(void **state)
{
    struct fixture *fixture = *state;
    struct wire_reader reader;

    assert_true(bind(fixture, "/api/campaigns/a+b/tasks", "phone_number=%2B7+999"));
    assert_true(value_of(fixture, "campaign_id", &reader));
    assert_true(str_equal_cstr(reader.bytes, "a+b"));
    assert_true(value_of(fixture, "phone_number", &reader));
    assert_true(str_equal_cstr(reader.bytes, "+7 999"));
}

static void test_all_that_is_wrong_is_told(void **state)
{
    struct fixture *fixture = *state;

    assert_true(bind(fixture, "/api/skillbases",
                     "nope=1&is_active=maybe&limit=ten&limit=2&skip=&companyId=a&company_id=b"));
    assert_string_equal(violation_of(&fixture->violations, "nope"), "unknown parameter");
    assert_non_null(violation_of(&fixture->violations, "is_active"));
    assert_non_null(violation_of(&fixture->violations, "limit"));
    assert_string_equal(violation_of(&fixture->violations, "skip"),
                        "is empty: leave it out or give a number");
    assert_string_equal(violation_of(&fixture->violations, "company_id"),
                        "is given more than once");
    assert_int_equal(fixture->violations.count, 6);
}

static void test_bound_by_path_or_body(void **state)
{
    struct fixture *fixture = *state;

    assert_true(bind(fixture, "/api/skillbases/" ID, "id=" ID));
    assert_string_equal(violation_of(&fixture->violations, "id"), "is already given by the path");

    find(fixture, "PUT", "/api/skillbases/" ID);
    violations_init(&fixture->violations, fixture->arena, 100);
    assert_true(bind_query(fixture->match.route, str_from("skillbase.name=x&update_mask=name"),
                           fixture->arena, &fixture->out, &fixture->violations, &fixture->err));
    assert_string_equal(violation_of(&fixture->violations, "skillbase.name"),
                        "is given by the body");
    assert_non_null(violation_of(&fixture->violations, "update_mask"));

    find(fixture, "POST", "/api/skillbases/" ID "/rollback");
    violations_init(&fixture->violations, fixture->arena, 100);
    assert_true(bind_query(fixture->match.route, str_from("version=2"), fixture->arena,
                           &fixture->out, &fixture->violations, &fixture->err));
    assert_string_equal(violation_of(&fixture->violations, "version"), "belongs in the body");
}

static void test_malformed_query_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    static const char *const queries[] = {"company_id=%", "company_id=%4", "%zz=1",
                                          "company_id=%ff"};

    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        assert_false(bind(fixture, "/api/skillbases", queries[i]));
        assert_int_equal(fixture->err.code, ERR_INVALID_ARGUMENT);
    }
}

static void test_parameters_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct buf query = {0};

    for (int i = 0; i < 2000; i++)
        buf_printf(&query, "x%d=1&", i);
    buf_put_char(&query, '\0');
    assert_true(bind(fixture, "/api/skillbases", query.data));
    assert_int_equal(fixture->violations.count, 2000);
    buf_done(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_path_and_query_become_fields),
        TEST(test_either_spelling_and_empty_pairs),
        TEST(test_plus_is_a_space_in_the_query_only),
        TEST(test_all_that_is_wrong_is_told),
        TEST(test_bound_by_path_or_body),
        TEST(test_malformed_query_is_an_error),
        TEST(test_parameters_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
