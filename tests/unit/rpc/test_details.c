/* google.rpc.Status: what is in it, and that it always fits. */
#include "rpc/internal.h"
#include "test_rpc.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static Google__Rpc__Status *packed(const struct err *err, size_t *ret_size)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    rpc_put_details(err, &out);
    assert_false(out.failed);
    *ret_size = out.length;
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, out.length, (const uint8_t *)out.data);
    assert_non_null(status);
    buf_done(&out);
    return status;
}

static const Google__Protobuf__Any *detail(const Google__Rpc__Status *status, const char *type)
{
    for (size_t i = 0; i < status->n_details; i++) {
        if (strcmp(strrchr(status->details[i]->type_url, '.') + 1, type) == 0)
            return status->details[i];
    }
    return NULL;
}

static void test_reason_and_retry(void **state)
{
    (void)state;
    struct err err = {0};
    size_t size;
    err_set(&err, ERR_ALREADY_EXISTS, "SLUG_TAKEN", "the slug is taken");
    err.retry_after_seconds = 300;
    Google__Rpc__Status *status = packed(&err, &size);
    assert_int_equal(status->code, 6);
    assert_string_equal(status->message, "the slug is taken");
    assert_int_equal(status->n_details, 2);

    const Google__Protobuf__Any *any = detail(status, "ErrorInfo");
    assert_string_equal(any->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    Google__Rpc__ErrorInfo *info =
        google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);
    assert_string_equal(info->reason, "SLUG_TAKEN");
    assert_string_equal(info->domain, "dialplane");
    google__rpc__error_info__free_unpacked(info, NULL);

    any = detail(status, "RetryInfo");
    Google__Rpc__RetryInfo *retry =
        google__rpc__retry_info__unpack(NULL, any->value.len, any->value.data);
    assert_int_equal(retry->retry_delay->seconds, 300);
    google__rpc__retry_info__free_unpacked(retry, NULL);
    google__rpc__status__free_unpacked(status, NULL);
}

static Google__Rpc__BadRequest *bad_request(const struct violations *violations, size_t *ret_size)
{
    struct err err = {0};
    err_set_violations(&err, violations);
    Google__Rpc__Status *status = packed(&err, ret_size);
    const Google__Protobuf__Any *any = detail(status, "BadRequest");
    assert_non_null(any);
    Google__Rpc__BadRequest *bad =
        google__rpc__bad_request__unpack(NULL, any->value.len, any->value.data);
    assert_non_null(bad);
    google__rpc__status__free_unpacked(status, NULL);
    return bad;
}

static void test_violations(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct violations violations;
    size_t size;
    violations_init(&violations, arena, 100);
    violations_add(&violations, "a.b", "must be %d", 3);
    violations_add(&violations, "c[2]", "is unknown");
    Google__Rpc__BadRequest *bad = bad_request(&violations, &size);
    assert_int_equal(bad->n_field_violations, 2);
    assert_string_equal(bad->field_violations[0]->field, "a.b");
    assert_string_equal(bad->field_violations[0]->description, "must be 3");
    assert_string_equal(bad->field_violations[1]->field, "c[2]");
    google__rpc__bad_request__free_unpacked(bad, NULL);
    arena_free(arena);
}

/* Of any number and length of violations, what is packed fits, is whole, and says how many are
 * missing. */
static void test_many_violations_fit(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 20, 150, 399, 400, 2000};
    for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
        char text[2001];
        for (size_t i = 0; i < lengths[l]; i++)
            text[i] = i % 2 ? '\xb4' : '\xd0'; /* Cyrillic: cutting must not split it */
        text[lengths[l] & ~(size_t)1] = '\0';
        struct arena *arena = arena_new(8 << 20);
        struct violations violations;
        violations_init(&violations, arena, 100);
        for (int i = 0; i < 1000; i++)
            violations_add(&violations, text, "%s", text);
        size_t size;
        Google__Rpc__BadRequest *bad = bad_request(&violations, &size);
        assert_true(size <= RPC_DETAILS_LIMIT);
        size_t listed = bad->n_field_violations - 1;
        assert_true(listed >= 4 && listed <= 100);
        char expected[40];
        snprintf(expected, sizeof(expected), "and %zu more", 1000 - listed);
        assert_string_equal(bad->field_violations[listed]->description, expected);
        for (size_t i = 0; i < listed; i++) {
            const char *description = bad->field_violations[i]->description;
            assert_true(utf8_is_valid(description, strlen(description)));
        }
        google__rpc__bad_request__free_unpacked(bad, NULL);
        arena_free(arena);
    }
}

int run_details_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reason_and_retry),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_many_violations_fit),
    };
    return cmocka_run_group_tests_name("details", tests, NULL, NULL);
}
