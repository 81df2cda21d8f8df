#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/wire.h"
#include "gateway/route/percent.h"
#include "gateway/upstream/status.h"

static void assert_decodes(const char *text, const char *expected)
{
    char copy[256];

    strcpy(copy, text);
    size_t length = percent_decode_lenient(copy, strlen(copy));
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(copy, expected, length);
}

static void test_grpc_message_is_decoded_leniently(void **state)
{
    (void)state;
    assert_decodes("", "");
    assert_decodes("plain", "plain");
    assert_decodes("a%20b%25", "a b%");
    assert_decodes("%D0%B8", "\xd0\xb8");
    assert_decodes("100% of %zz %4", "100% of %zz %4");
    assert_decodes("%", "%");
}

static void test_base64(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(base64_decode(STR_LITERAL(""), out, sizeof(out)), 0);
    assert_int_equal(base64_decode(STR_LITERAL("aGk="), out, sizeof(out)), 2);
    assert_memory_equal(out, "hi", 2);
    assert_int_equal(base64_decode(STR_LITERAL("aGk"), out, sizeof(out)), 2);
    assert_int_equal(base64_decode(STR_LITERAL("+/+/"), out, sizeof(out)), 3);
    assert_int_equal(base64_decode(STR_LITERAL("a"), out, sizeof(out)), -1);
    assert_int_equal(base64_decode(STR_LITERAL("a-_b"), out, sizeof(out)), -1);
    assert_int_equal(base64_decode(STR_LITERAL("aGlaaGlaaGlaaGlaaGla"), out, 8), -1);
}

static void put_any(struct buf *out, const char *type, const struct buf *value)
{
    struct buf any = {0};

    wire_put_bytes(&any, 1, str_from(type));
    wire_put_bytes(&any, 2, buf_str(value));
    wire_put_bytes(out, 3, buf_str(&any));
    buf_done(&any);
}

static void test_details(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    struct buf status = {0}, detail = {0}, inner = {0};
    struct err err = {.code = ERR_INVALID_ARGUMENT};

    (void)state;
    wire_put_bytes(&status, 2, STR_LITERAL("2 fields are invalid"));
    wire_put_bytes(&inner, 1, STR_LITERAL("a.b"));
    wire_put_bytes(&inner, 2, STR_LITERAL("is wrong"));
    wire_put_bytes(&detail, 1, buf_str(&inner));
    put_any(&status, "type.googleapis.com/google.rpc.BadRequest", &detail);
    buf_reset(&detail);
    wire_put_bytes(&detail, 1, STR_LITERAL("SLUG_TAKEN"));
    put_any(&status, "type.googleapis.com/google.rpc.ErrorInfo", &detail);
    put_any(&status, "type.googleapis.com/unknown.Thing", &detail);
    status_read_details(buf_str(&status), arena, &err);
    assert_string_equal(err.message, "2 fields are invalid");
    assert_string_equal(err.reason, "SLUG_TAKEN");
    assert_non_null(err.violations);
    assert_int_equal(err.violations->count, 1);
    assert_string_equal(err.violations->first->field, "a.b");
    assert_string_equal(err.violations->first->message, "is wrong");

    /* Cut off anywhere it is never read beyond its end. */
    for (size_t length = 0; length < status.length; length++) {
        char *copy = arena_memdup(arena, status.data, length);
        struct err ignored = {0};
        status_read_details((struct str){copy, length}, arena, &ignored);
    }
    buf_done(&status);
    buf_done(&detail);
    buf_done(&inner);
    arena_free(arena);
}

static void test_unknown_codes_and_bad_text(void **state)
{
    struct err err;
    char message[] = "a\xff";

    (void)state;
    status_read(99, message, 2, (struct str){NULL, 0}, 0, NULL, &err);
    assert_int_equal(err.code, ERR_UNKNOWN);
    assert_string_equal(err.message, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grpc_message_is_decoded_leniently),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_details),
        cmocka_unit_test(test_unknown_codes_and_bad_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
