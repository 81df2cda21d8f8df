#include "fixture.h"

#include "gateway/route/template.h"

static void assert_route(struct fixture *fixture, const char *verb, const char *path,
                         const char *method)
{
    find(fixture, verb, path);
    assert_int_equal(fixture->match.status, 200);
    assert_string_equal(fixture->match.route->method->name, method);
}

static void test_finds_methods_of_the_contract(void **state)
{
    struct fixture *fixture = *state;

    assert_route(fixture, "GET", "/api/skillbases", "ListSkillbases");
    assert_route(fixture, "POST", "/api/skillbases", "CreateSkillbase");
    assert_route(fixture, "GET", "/api/skillbases/abc", "GetSkillbase");
    assert_route(fixture, "HEAD", "/api/skillbases/abc", "GetSkillbase");
    assert_route(fixture, "GET", "/api/skillbases/abc/versions/3", "GetSkillbaseVersion");
    assert_route(fixture, "POST", "/api/campaigns/abc/call-list", "UploadCallList");
    assert_route(fixture, "GET", "/api/analytics/ws/calls/abc", "WatchCall");
}

static void test_literal_beats_variable_and_backtracks(void **state)
{
    struct fixture *fixture = *state;

    assert_route(fixture, "POST", "/api/skillbases/validate", "ValidateSkillbaseConfig");
    /* The literal knows no GET: the variable does. */
    assert_route(fixture, "GET", "/api/skillbases/validate", "GetSkillbase");
    assert_route(fixture, "GET", "/api/skillbases/validate/versions", "ListSkillbaseVersions");
}

static void test_unknown_path_and_wrong_verb(void **state)
{
    struct fixture *fixture = *state;
    char text[ROUTE_ALLOW_SIZE];
    static const char *const unknown[] = {
        "/", "/api", "/api/", "/api/skillbases/", "/nope", "/API/skillbases", "/api//skillbases",
        "",  "api"};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        find(fixture, "GET", unknown[i]);
        assert_int_equal(fixture->match.status, 404);
    }
    find(fixture, "PATCH", "/api/skillbases/abc");
    assert_int_equal(fixture->match.status, 405);
    router_allow_text(fixture->match.allow, text);
    assert_string_equal(text, "GET, HEAD, PUT, DELETE");
    find(fixture, "OPTIONS", "/api/skillbases");
    assert_int_equal(fixture->match.status, 405);
    router_allow_text(fixture->match.allow, text);
    assert_string_equal(text, "GET, HEAD, POST");
    find(fixture, "get", "/api/skillbases");
    assert_int_equal(fixture->match.status, 405);
}

static void test_splits_before_it_decodes(void **state)
{
    struct fixture *fixture = *state;

    assert_route(fixture, "GET", "/api/skillbases/a%2Fb+c%20d", "GetSkillbase");
    assert_true(str_equal_cstr(fixture->match.segments[2], "a/b+c d"));
    assert_route(fixture, "GET", "/api/%73killbases/x", "GetSkillbase");
    assert_route(fixture, "GET", "/api/skillbases/%D0%B8", "GetSkillbase");
}

static void test_malformed_escapes_are_400(void **state)
{
    struct fixture *fixture = *state;
    static const char *const paths[] = {"/api/skillbases/%",      "/api/skillbases/%4",
                                        "/api/skillbases/%zz",    "/api/skillbases/%ff",
                                        "/api/skillbases/%C0%AF", "/api/skillbases/%ED%A0%80"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        find(fixture, "GET", paths[i]);
        assert_int_equal(fixture->match.status, 400);
        assert_int_equal(fixture->err.code, ERR_INVALID_ARGUMENT);
    }
}

static void test_too_many_segments(void **state)
{
    struct fixture *fixture = *state;
    char path[400] = "";

    for (int i = 0; i < 100; i++)
        strcat(path, "/a");
    find(fixture, "GET", path);
    assert_int_equal(fixture->match.status, 404);
}

/* A schema of one service, to try templates that ours does not use. */
static struct router *router_of(struct fixture *fixture, struct schema_binding *bindings,
                                size_t count)
{
    const struct schema_method *get = schema_find_method(
        fixture->schema, str_from("/dialplane.v1.SkillbaseService/GetSkillbase"));
    struct schema_method *methods = ARENA_ARRAY(fixture->arena, struct schema_method, count);
    struct schema_service *service = ARENA_NEW(fixture->arena, struct schema_service);
    struct schema *schema = ARENA_NEW(fixture->arena, struct schema);

    *service = (struct schema_service){"test.Service", "skillbase", methods, count, ""};
    for (size_t i = 0; i < count; i++) {
        methods[i] = *get;
        methods[i].name = bindings[i].template_text;
        methods[i].bindings = &bindings[i];
        methods[i].binding_count = 1;
        methods[i].service = service;
    }
    schema->services = service;
    schema->service_count = 1;
    fixture->err = (struct err){0};
    return router_new(schema, &fixture->err);
}

static const char *found(struct router *router, struct fixture *fixture, const char *path)
{
    router_find(router, str_from("GET"), str_from(path), fixture->arena, &fixture->match,
                &fixture->err);
    return fixture->match.route ? fixture->match.route->binding->template_text : "";
}

static void test_stars_verbs_and_multi_segment_variables(void **state)
{
    struct fixture *fixture = *state;
    struct schema_binding bindings[] = {
        {.verb = "GET", .template_text = "/v1/{id=shelves/*/books/*}"},
        {.verb = "GET", .template_text = "/v1/shelves/{id}"},
        {.verb = "GET", .template_text = "/v1/{id=**}"},
        {.verb = "GET", .template_text = "/v1/shelves/{id}:copy"},
        {.verb = "GET", .template_text = "/v1/shelves/a/literal"},
    };
    struct router *router = router_of(fixture, bindings, 5);

    assert_non_null(router);
    assert_string_equal(found(router, fixture, "/v1/shelves/a/books/b"), bindings[0].template_text);
    assert_int_equal(fixture->match.route->variables[0].first_segment, 1);
    assert_int_equal(fixture->match.route->variables[0].segment_count, 4);
    assert_string_equal(found(router, fixture, "/v1/shelves/a"), bindings[1].template_text);
    assert_string_equal(found(router, fixture, "/v1/shelves/a/books"), bindings[2].template_text);
    assert_string_equal(found(router, fixture, "/v1"), bindings[2].template_text);
    assert_string_equal(found(router, fixture, "/v1/shelves/a/literal"), bindings[4].template_text);
    /* A verb is one only where it is registered; an escaped colon never is. */
    assert_string_equal(found(router, fixture, "/v1/shelves/a:copy"), bindings[3].template_text);
    assert_true(str_equal_cstr(fixture->match.segments[2], "a"));
    assert_string_equal(found(router, fixture, "/v1/shelves/a:b"), bindings[1].template_text);
    assert_true(str_equal_cstr(fixture->match.segments[2], "a:b"));
    assert_string_equal(found(router, fixture, "/v1/shelves/a%3Acopy"), bindings[1].template_text);
    assert_string_equal(found(router, fixture, "/v1/shelves/a:b:copy"), bindings[3].template_text);
    assert_true(str_equal_cstr(fixture->match.segments[2], "a:b"));
    router_free(router);
}

static void test_wrong_templates_do_not_start(void **state)
{
    struct fixture *fixture = *state;
    static const char *const wrong[] = {"",          "v1",        "/v1/{id",      "/v1/{nope}",
                                        "/v1//x",    "/v1/{id=}", "/v1/**/x",     "/v1/{id}x",
                                        "/v1/{id}:", "/",         "/v1/{id=**}/x"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct schema_binding binding = {.verb = "GET", .template_text = wrong[i]};
        assert_null(router_of(fixture, &binding, 1));
        assert_true(err_is_set(&fixture->err));
    }
    struct schema_binding twice[] = {{.verb = "GET", .template_text = "/v1/{id}"},
                                     {.verb = "GET", .template_text = "/v1/{id=*}"}};
    assert_null(router_of(fixture, twice, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_finds_methods_of_the_contract),
        TEST(test_literal_beats_variable_and_backtracks),
        TEST(test_unknown_path_and_wrong_verb),
        TEST(test_splits_before_it_decodes),
        TEST(test_malformed_escapes_are_400),
        TEST(test_too_many_segments),
        TEST(test_stars_verbs_and_multi_segment_variables),
        TEST(test_wrong_templates_do_not_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
