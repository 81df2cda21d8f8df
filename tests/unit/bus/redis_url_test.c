/* The URL of a Redis: what it says, and what is refused without repeating the password. */
#include "bus/bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void good_urls(void **state)
{
    static const struct {
        const char *text, *host, *path, *user, *password;
        unsigned port, database;
    } cases[] = {
        {"redis://127.0.0.1", "127.0.0.1", "", "", "", 6379, 0},
        {"redis://redis.example:7000/3", "redis.example", "", "", "", 7000, 3},
        {"redis://:secret@h/", "h", "", "", "secret", 6379, 0},
        {"redis://me:p%40ss%3a%2F@h:1/65535", "h", "", "me", "p@ss:/", 1, 65535},
        {"redis://[::1]:6380/1", "::1", "", "", "", 6380, 1},
        {"redis://[::1]", "::1", "", "", "", 6379, 0},
        {"unix:/run/redis.sock", "", "/run/redis.sock", "", "", 6379, 0},
        {"unix:/a%20b?database=7&password=x%26y", "", "/a b", "", "x&y", 6379, 7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct redis_url url;
        struct err err = {0};
        if (!redis_url_parse(cases[i].text, &url, &err))
            fail_msg("%s: %s", cases[i].text, err.message);
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.path, cases[i].path);
        assert_string_equal(url.user, cases[i].user);
        assert_string_equal(url.password, cases[i].password);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.database, cases[i].database);
    }
}

static void bad_urls(void **state)
{
    static const char *const cases[] = {
        "127.0.0.1:6379",      "redis://",           "redis://:secret@",
        "redis://secret@h",    "redis://me:@h",      "redis://h:0",
        "redis://h:65536",     "redis://h:x",        "redis://h:",
        "redis://h/x",         "redis://h/65536",    "redis://h/-1",
        "redis://:secret%4@h", "redis://:%00@h",     "redis://[::1",
        "redis://[::1]x",      "rediss://:secret@h", "unix:",
        "unix:relative",       "unix:/a?password",   "unix:/a?database=many",
        "unix:/a?colour=red"};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct redis_url url;
        struct err err = {0};
        if (redis_url_parse(cases[i], &url, &err))
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
        assert_true(strlen(err.message) > 20);
        assert_null(strstr(err.message, "secret"));
    }
}

static void a_local_bus_tells_nobody(void **state)
{
    struct loop *loop = loop_new(NULL);
    struct err err = {0};
    struct bus *bus = bus_new(loop, "", NULL, NULL, &err);
    struct bus_stats stats;
    (void)state;
    assert_non_null(bus);
    bus_listen(bus, STR_LITERAL("key"));
    bus_publish(bus, STR_LITERAL("key"), STR_LITERAL("message"));
    bus_unlisten(bus, STR_LITERAL("key"));
    bus_stats(bus, &stats);
    assert_false(stats.configured || stats.up || stats.published || stats.dropped ||
                 stats.channels);
    bus_free(bus);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls),
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(a_local_bus_tells_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
