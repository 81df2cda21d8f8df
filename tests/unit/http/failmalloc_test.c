/* Every allocation of a conversation fails once: nothing may crash or leak, and the connection
 * after it is served again. (malloc, calloc and realloc of our code are wrapped by the linker;
 * inside shared libraries only nghttp2's, which takes ours.) */
#include "harness.h"

#include "gateway/http/h1.h"
#include "gateway/http/h2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);

static int until_failure = -1; /* allocations that still succeed; < 0: all */

static bool fails(void)
{
    if (until_failure < 0) {
        return false;
    }
    return until_failure-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
    return fails() ? NULL : __real_realloc(data, size);
}

/* Gives how many allocations the conversation makes. */
static int fail_each(struct protocol *(*protocol_new)(struct link *link), const char *input,
                     size_t length)
{
    int nth;
    for (nth = 0; nth < 10000; nth++) {
        struct harness harness;
        bool failed;
        harness_init(&harness, protocol_new, NULL);
        until_failure = nth;
        harness_feed(&harness, input, length / 2);
        harness_feed(&harness, input + length / 2, length - length / 2);
        failed = until_failure < 0;
        until_failure = -1;
        harness_timeout(&harness);
        harness_done(&harness);
        if (!failed) {
            return nth;
        }
    }
    fail_msg("it never ends");
    return 0;
}

static void test_http1(void **state)
{
    static const char input[] =
        "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
        "POST /limit HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n01234567890123456789"
        "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET / HTTP/1.1\r\n\r\n";
    (void)state;
    assert_true(fail_each(h1_new, input, sizeof(input) - 1) > 5);
}

static void test_websocket(void **state)
{
    static const char input[] =
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        "\x81\x85"
        "abcd\x09\x07\x0f\x08\x0e"
        "\x89\x80"
        "abcd"
        "\x88\x82"
        "aaaab\x89";
    (void)state;
    assert_true(fail_each(h1_new, input, sizeof(input) - 1) > 5);
}

static void test_http2(void **state)
{
    /* SETTINGS, then POST /body with "hello", GET /a, GET /stream. */
    static const char input[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                                "\0\0\x0c\1\4\0\0\0\1\x83\x86\x01\x01x\x04\x05/body"
                                "\0\0\5\0\1\0\0\0\1hello"
                                "\0\0\x09\1\5\0\0\0\3\x82\x86\x01\x01x\x04\x02/a"
                                "\0\0\x0e\1\5\0\0\0\5\x82\x86\x01\x01x\x04\x07/stream";
    (void)state;
    assert_true(fail_each(h2_new, input, sizeof(input) - 1) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1),
        cmocka_unit_test(test_websocket),
        cmocka_unit_test(test_http2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
