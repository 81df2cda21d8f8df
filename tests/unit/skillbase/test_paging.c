/* Page tokens: what comes out is what went in, and nothing else is taken. */
#include "service/paging.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(1 << 20);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void check_round_trip(const struct page_key *key)
{
    struct page_key got;
    char *token = page_token_make(arena, "list", key);

    assert_non_null(token);
    assert_true(page_token_read(arena, "list", token, &got));
    assert_int_equal(got.number, key->number);
    assert_int_equal(got.time_us, key->time_us);
    assert_string_equal(got.text, key->text ? key->text : "");
    assert_memory_equal(got.id.bytes, key->id.bytes, 16);
}

static void round_trips(void **state)
{
    char longest[1021] = "";

    (void)state;
    check_round_trip(&(struct page_key){0});
    check_round_trip(&(struct page_key){.number = INT64_MIN, .time_us = -62135596800000000});
    check_round_trip(&(struct page_key){.number = INT64_MAX, .time_us = 253402300799999999});
    check_round_trip(&(struct page_key){.time_us = 1768642200123456, .id = {{1, 2, 255}}});
    check_round_trip(&(struct page_key){.text = "Салон «Гламур»"});
    for (size_t i = 0; i < sizeof(longest) - 1; i++) {
        longest[i] = 'x';
        check_round_trip(&(struct page_key){.text = longest, .id = {{7}}});
        arena_free(arena);
        arena = arena_new(1 << 20);
    }
}

static void longest_name_fits_the_contract(void **state)
{
    char name[4 * 255 + 1] = "";

    (void)state;
    for (int i = 0; i < 255; i++)
        memcpy(name + 4 * i, "\xF0\x9F\x98\x80", 4);
    char *token = page_token_make(arena, "companies", &(struct page_key){.text = name});

    assert_non_null(token);
    assert_true(strlen(token) <= 1500); /* ListCompaniesRequest.page_token */
    token = page_token_make(arena, "skillbases", &(struct page_key){.time_us = 1});
    assert_true(strlen(token) <= 500);
}

static void every_changed_byte_is_found(void **state)
{
    struct page_key key = {.number = 3, .time_us = 1768642200123456, .text = "abc"}, got;
    char *token = page_token_make(arena, "list", &key);
    size_t length = strlen(token);

    (void)state;
    for (size_t i = 0; i < length; i++) {
        char *changed = arena_strdup(arena, token);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        assert_false(page_token_read(arena, "list", changed, &got));
        changed[i] = '\0'; /* cut off */
        assert_false(page_token_read(arena, "list", changed, &got));
        changed[i] = '%';
        assert_false(page_token_read(arena, "list", changed, &got));
    }
    assert_false(page_token_read(arena, "list", arena_printf(arena, "%sA", token), &got));
    assert_false(page_token_read(arena, "list", arena_printf(arena, "%s%s", token, token), &got));
}

static void scopes_are_apart(void **state)
{
    struct page_key got;
    char *token = page_token_make(arena, "list", &(struct page_key){.text = "a"});

    (void)state;
    assert_false(page_token_read(arena, "lists", token, &got));
    assert_false(page_token_read(arena, "", token, &got));
}

/* A checksum can be computed by anyone: what it covers is looked at all the same. */
static void forged_keys_are_refused(void **state)
{
    struct page_key got;
    const struct page_key forged[] = {
        {.time_us = INT64_MAX},
        {.time_us = INT64_MIN},
        {.text = "\xFF\xFE"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
        assert_false(
            page_token_read(arena, "list", page_token_make(arena, "list", &forged[i]), &got));
}

static void checks(void **state)
{
    struct violations violations;
    char *token = page_token_make(arena, "list", &(struct page_key){0});

    (void)state;
    violations_init(&violations, arena, 10);
    page_check("list", 0, NULL, &violations);
    page_check("list", 5, "", &violations);
    page_check("list", 0, token, &violations);
    assert_int_equal(violations.count, 0);
    page_check("list", 1, token, &violations);
    assert_int_equal(violations.count, 1);
    assert_string_equal(violations.last->field, "page_token");
    assert_string_equal(violations.last->message, "cannot be used together with skip");
    page_check("other", 0, token, &violations);
    page_check_token("list", "nonsense", &violations);
    assert_int_equal(violations.count, 3);
    assert_string_equal(violations.last->field, "page_token");
}

static void survives_want_of_memory(void **state)
{
    struct arena *small = arena_new(8);
    struct page_key got;

    (void)state;
    assert_null(page_token_make(small, "list", &(struct page_key){0}));
    char *token =
        page_token_make(arena, "list", &(struct page_key){.text = "a name longer than 8"});
    assert_false(page_token_read(small, "list", token, &got));
    arena_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trips, set_up, tear_down),
        cmocka_unit_test_setup_teardown(longest_name_fits_the_contract, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_changed_byte_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scopes_are_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forged_keys_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(checks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_want_of_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
