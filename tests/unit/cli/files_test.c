/* What the command line reads: addresses, the configuration file, places in a JSON file. */
#include "address.h"
#include "config.h"
#include "locate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_addresses(void **state)
{
    static const struct {
        const char *text, *skillbase, *campaign, *analytics;
    } cases[] = {
        {"127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"},
        {"http://localhost:8000/", "localhost:8001", "localhost:8002", "localhost:8003"},
        {"[::1]:7000", "[::1]:7001", "[::1]:7002", "[::1]:7003"},
        {"unix:/run/dialplane/", "unix:/run/dialplane/skillbase.sock",
         "unix:/run/dialplane/campaign.sock", "unix:/run/dialplane/analytics.sock"},
        {"campaign=b:2,skillbase=a:1,analytics=unix:/c", "a:1", "b:2", "unix:/c"},
    };
    static const char *const wrong[] = {"",
                                        "host",
                                        "host:",
                                        ":8000",
                                        "host:0",
                                        "host:65533",
                                        "host:8000x",
                                        "::1:8000",
                                        "a b:80",
                                        "http://host:8000/api",
                                        "unix:",
                                        "skillbase=a:1",
                                        "skillbase=a:1,campaign=b:2,analytics=",
                                        "skillbase=a:1,campaign=b:2,campaign=c:3",
                                        "skillbase=a:1,campaign=b:2,gateway=c:3"};
    struct addresses addresses;
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_true(addresses_parse(cases[i].text, &addresses, &err));
        assert_string_equal(addresses.target[BACKEND_SKILLBASE], cases[i].skillbase);
        assert_string_equal(addresses.target[BACKEND_CAMPAIGN], cases[i].campaign);
        assert_string_equal(addresses.target[BACKEND_ANALYTICS], cases[i].analytics);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_false(addresses_parse(wrong[i], &addresses, &err));
        assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
    }
}

static void test_what_stays_on_the_machine(void **state)
{
    static const char *const local[] = {"127.0.0.1:80", "localhost:80", "[::1]:80", "unix:/a",
                                        "ipv4:127.1.2.3:9"};
    static const char *const elsewhere[] = {"10.0.0.1:80",      "127.example.org:80",
                                            "host:80",          "localhost.example.org:80",
                                            "dns:localhost:80", "127.0.0.1.example.org:80"};
    (void)state;
    for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
        assert_true(address_is_local(local[i]));
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
        assert_false(address_is_local(elsewhere[i]));
}

static bool parse(const char *text, struct arena *arena, struct config *config, struct err *err)
{
    *err = (struct err){.code = ERR_OK};
    return config_parse(str_from(text), arena, config, err);
}

static void test_config(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    struct config config;
    struct err err;
    (void)state;
    assert_true(parse("# mine\nprofile = b\n\n[a]\nserver=x:1\n [b] \r\n token =  t = 1  \n"
                      "timeout = 5s",
                      arena, &config, &err));
    assert_string_equal(config.profile, "b");
    assert_int_equal(config.profile_count, 2);
    assert_string_equal(config_find(&config, "a")->values[CONFIG_SERVER], "x:1");
    assert_string_equal(config_find(&config, "b")->values[CONFIG_TOKEN], "t = 1");
    assert_string_equal(config_find(&config, "b")->values[CONFIG_TIMEOUT], "5s");
    assert_null(config_find(&config, "c"));
    assert_true(config_has_token(&config));
    assert_true(parse("", arena, &config, &err));
    assert_false(config_has_token(&config));
    arena_free(arena);
}

static void test_wrong_config(void **state)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"server = a:1", "line 1"},
        {"[a]\nserver", "line 2"},
        {"[a]\ncolour = red", "line 2"},
        {"[a]\n\nserver=", "line 3"},
        {"[a]\n[a]", "line 2"},
        {"[]", "line 1"},
        {"[a b]", "line 1"},
        {"[a", "line 1"},
        {"[a]\nserver=x\nserver=y", "line 3"},
        {"profile = a b", "line 1"},
        {"[a]\ntoken = se\x01"
         "cret",
         "line 2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct arena *arena = arena_new(1 << 20);
        struct config config;
        struct err err;
        assert_false(parse(cases[i].text, arena, &config, &err));
        assert_non_null(strstr(err.message, cases[i].line));
        assert_null(strstr(err.message, "secret"));
        arena_free(arena);
    }
}

static void expect_edit(const char *text, const char *profile, const char *key, const char *value,
                        const char *expected)
{
    struct buf out;
    buf_init(&out, 0);
    config_edit(str_from(text), profile, key, value, &out);
    char *changed = buf_take_cstr(&out);
    assert_string_equal(changed, expected);
    free(changed);
}

static void test_editing(void **state)
{
    (void)state;
    expect_edit("", "a", "server", "x:1", "[a]\nserver = x:1\n");
    expect_edit("", NULL, "profile", "a", "profile = a\n");
    expect_edit("[a]\nserver = x:1\n", NULL, "profile", "a", "profile = a\n[a]\nserver = x:1\n");
    expect_edit("# c\n[a]\nserver = x:1\n\n# of b\n[b]\n", "a", "token", "t",
                "# c\n[a]\nserver = x:1\ntoken = t\n\n# of b\n[b]\n");
    expect_edit("[a]\nserver = x:1\n[b]\nserver = y:1\n", "a", "server", "z:1",
                "[a]\nserver = z:1\n[b]\nserver = y:1\n");
    expect_edit("[a]\nserver = x:1\ntoken = t", "a", "token", NULL, "[a]\nserver = x:1\n");
    expect_edit("[a]\nserver = x:1", "b", "server", "y:1",
                "[a]\nserver = x:1\n\n[b]\nserver = y:1\n");
    expect_edit("[a]\nserver = x:1", "a", "token", "t", "[a]\nserver = x:1\ntoken = t\n");
}

static void test_places(void **state)
{
    static const char text[] =
        "{\n"
        "  \"name\": \"é\", \"flow\": {\"states\": [\"a\", {\"id\": \"b\"}],\n"
        "    \"transitions\": [{\"fromState\": \"a\", \"x]}\": {}}]},\n"
        "  \"odd key\": {\"a.b\": 1}\n"
        "}\n";
    static const struct {
        const char *path;
        unsigned line, column;
        bool found;
    } cases[] = {
        {"", 1, 1, true},
        {"name", 2, 11, true},
        {"flow", 2, 24, true},
        {"flow.states[1].id", 2, 48, true},
        {"flow.states[0].id", 2, 36, false}, /* a bare string: as far as there is something */
        {"flow.states[7]", 2, 35, false},
        {"flow.transitions[0].from_state", 3, 35, true},
        {"flow.transitions[0].to_state", 3, 21, false},
        {"missing.deep", 1, 1, false},
        {"[\"odd key\"][\"a.b\"]", 4, 22, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct place place = json_locate(str_from(text), cases[i].path);
        print_message("%s\n", cases[i].path);
        assert_int_equal(place.line, cases[i].line);
        assert_int_equal(place.column, cases[i].column);
        assert_int_equal(place.found, cases[i].found);
    }
    struct place name = json_locate(str_from(text), "name");
    assert_int_equal(name.end - name.start, strlen("\"é\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_what_stays_on_the_machine),
        cmocka_unit_test(test_config),    cmocka_unit_test(test_wrong_config),
        cmocka_unit_test(test_editing),   cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
