/* The protocol code with bytes alone: whatever the pieces input arrives in, output and events are
 * the same. */
#include "harness.h"

#include "gateway/http/h1.h"
#include "gateway/http/h2.h"
#include "gateway/http/head.h"
#include "gateway/http/target.h"
#include "gateway/http/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOST "Host: x\r\n"

struct conversation {
    const char *name;
    const char *input; /* C string */
    const char *log;
    const char *dones;
};

static const struct conversation conversations[] = {
    {"one", "GET /a HTTP/1.1\r\n" HOST "\r\n", "request /a\n", "200 "},
    {"pipelined",
     "GET /a HTTP/1.1\r\n" HOST "\r\n\r\nGET /stream HTTP/1.1\r\n" HOST
     "\r\nHEAD /b HTTP/1.1\r\n" HOST "\r\n",
     "request /a\nrequest /stream\nrequest /b\n", "200 200 200 "},
    {"sized body",
     "POST /body HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\nhello worldGET /a HTTP/1.1\r\n" HOST
     "\r\n",
     "request /body\nrequest /a\n", "200 200 "},
    {"chunked body",
     "POST /body HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\nT: u\r\n\r\n"
     "GET /a HTTP/1.1\r\n" HOST "\r\n",
     "request /body\nrequest /a\n", "200 200 "},
    {"empty chunked body",
     "POST /body HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /a HTTP/1.1\r\n" HOST "\r\n",
     "request /body\nrequest /a\n", "200 200 "},
    {"unread body",
     "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n" HOST "\r\n",
     "request /a\nrequest /b\n", "200 200 "},
    {"unread chunks end the connection",
     "POST /a HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
     "request /a\n", "200 "},
    {"too large, announced",
     "POST /limit HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\nhello worldGET /b HTTP/1.1\r\n" HOST
     "\r\n",
     "request /limit\nrequest /b\n", "413 200 "},
    {"http 1.0", "GET /stream HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n", "request /stream\n",
     "200 "},
    {"close", "GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
     "request /a\n", "200 "},
    {"bad chunk",
     "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
     "request /body\ngone /body\n", "400 "},
    {"refused", "GET /a HTTP/1.1\r\n" HOST HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n", "", ""},
    {"aborted", "GET /abort HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
     "request /abort\n", "200 "},
    {"websocket",
     "GET /ws HTTP/1.1\r\n" HOST
     "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
     "\x81\x85"
     "abcd\x09\x07\x0f\x08\x0e" /* "hello" */
     "\x01\x81"
     "1234Y"
     "\x80\x81"
     "1234X" /* "hi" in two frames */
     "\x88\x82"
     "aaaab\x89" /* 1000 */,
     "request /ws\nclosed 1000\n", "101 "},
};

static void check_events(const struct harness *harness, const char *log, const char *dones)
{
    assert_true(str_equal_cstr(buf_str(&harness->log), log));
    assert_true(str_equal_cstr(buf_str(&harness->dones), dones));
}

static void check_same(const struct harness *a, const struct harness *b, const char *name,
                       size_t split)
{
    if (a->sent.length != b->sent.length ||
        memcmp(a->sent.data, b->sent.data, a->sent.length) != 0 ||
        !str_equal(buf_str(&a->log), buf_str(&b->log)) ||
        !str_equal(buf_str(&a->dones), buf_str(&b->dones)) || a->link.ending != b->link.ending) {
        fail_msg("%s: split at %zu differs:\n%.*s\n--- instead of\n%.*s", name, split,
                 (int)b->sent.length, b->sent.data, (int)a->sent.length, a->sent.data);
    }
}

static void test_every_split(void **state)
{
    size_t i, split;
    (void)state;
    for (i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
        const struct conversation *conversation = &conversations[i];
        size_t length = strlen(conversation->input);
        struct harness whole;
        harness_init(&whole, h1_new, NULL);
        harness_feed(&whole, conversation->input, length);
        if (!str_equal_cstr(buf_str(&whole.log), conversation->log) ||
            !str_equal_cstr(buf_str(&whole.dones), conversation->dones)) {
            fail_msg("%s: events\n%.*s", conversation->name, (int)whole.log.length, whole.log.data);
        }
        for (split = 1; split < length; split++) {
            struct harness pieces;
            harness_init(&pieces, h1_new, NULL);
            harness_feed(&pieces, conversation->input, split);
            harness_feed(&pieces, conversation->input + split, length - split);
            check_same(&whole, &pieces, conversation->name, split);
            harness_done(&pieces);
        }
        {
            struct harness bytes;
            harness_init(&bytes, h1_new, NULL);
            for (split = 0; split < length; split++) {
                harness_feed(&bytes, conversation->input + split, 1);
            }
            check_same(&whole, &bytes, conversation->name, 0);
            harness_done(&bytes);
        }
        harness_done(&whole);
    }
}

static void test_answer_text(void **state)
{
    static const char expected[] = "HTTP/1.1 200 OK\r\ndate: Sat, 17 Jan 2026 09:30:00 GMT\r\n"
                                   "content-length: 2\r\n\r\nok"
                                   "HTTP/1.1 200 OK\r\ndate: Sat, 17 Jan 2026 09:30:00 GMT\r\n"
                                   "transfer-encoding: chunked\r\n\r\n"
                                   "5\r\npiece\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\n";
    struct harness harness;
    (void)state;
    harness_init(&harness, h1_new, NULL);
    const char *requests = "GET /a HTTP/1.1\r\n" HOST "\r\nGET /stream HTTP/1.1\r\n" HOST "\r\n";
    harness_feed(&harness, requests, strlen(requests));
    assert_int_equal(harness.sent.length, sizeof(expected) - 1);
    assert_memory_equal(harness.sent.data, expected, sizeof(expected) - 1);
    harness_done(&harness);
}

static void test_held_request(void **state)
{
    struct harness harness;
    const char *requests = "GET /hold HTTP/1.1\r\n" HOST "\r\nGET /a HTTP/1.1\r\n" HOST "\r\n";
    (void)state;
    harness_init(&harness, h1_new, NULL);
    harness_feed(&harness, requests, strlen(requests));
    assert_int_equal(harness.sent.length, 0); /* the second waits for the first */
    harness_release(&harness);
    check_events(&harness, "request /hold\nrequest /a\n", "200 200 ");
    harness_done(&harness);

    harness_init(&harness, h1_new, NULL);
    harness_feed(&harness, requests, strlen("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    harness_eof(&harness); /* a while for the answer … */
    assert_int_equal(harness.link.protocol->ops->waits_for(harness.link.protocol),
                     HTTP_WAIT_ANSWER_AFTER_EOF);
    harness_timeout(&harness); /* … and no longer */
    check_events(&harness, "request /hold\ngone /hold\n", "0 ");
    harness_done(&harness);
}

static void test_time_limits(void **state)
{
    struct harness harness;
    (void)state;
    harness_init(&harness, h1_new, NULL);
    harness_feed(&harness, "GET /a HT", 9);
    assert_int_equal(harness.link.protocol->ops->waits_for(harness.link.protocol),
                     HTTP_WAIT_HEADER);
    harness_timeout(&harness);
    assert_memory_equal(harness.sent.data, "HTTP/1.1 408 ", 13);
    assert_int_equal(harness.link.ending, HTTP_ENDS_LINGER);
    harness_done(&harness);

    harness_init(&harness, h1_new, NULL);
    const char *half = "POST /body HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe";
    harness_feed(&harness, half, strlen(half));
    assert_int_equal(harness.link.protocol->ops->waits_for(harness.link.protocol), HTTP_WAIT_BODY);
    harness_timeout(&harness);
    assert_memory_equal(harness.sent.data, "HTTP/1.1 408 ", 13);
    check_events(&harness, "request /body\ngone /body\n", "408 ");
    harness_done(&harness);
}

static void test_targets(void **state)
{
    struct target target;
    (void)state;
    assert_null(target_parse(STR_LITERAL("/a/b?c=d?e"), &target));
    assert_true(str_equal_cstr(target.path, "/a/b") && str_equal_cstr(target.query, "c=d?e"));
    assert_null(target_parse(STR_LITERAL("HTTP://h:1"), &target));
    assert_true(str_equal_cstr(target.path, "/") && str_equal_cstr(target.authority, "h:1"));
    assert_null(target_parse(STR_LITERAL("https://h?q"), &target));
    assert_true(str_equal_cstr(target.path, "/") && str_equal_cstr(target.query, "q"));
    assert_null(target_parse(STR_LITERAL("*"), &target));
    assert_true(target.asterisk);
    assert_non_null(target_parse(STR_LITERAL(""), &target));
    assert_non_null(target_parse(STR_LITERAL("a"), &target));
    assert_non_null(target_parse(STR_LITERAL("**"), &target));
    assert_non_null(target_parse(STR_LITERAL("/a#b"), &target));
    assert_non_null(target_parse(STR_LITERAL("/a b"), &target));
    assert_non_null(target_parse(STR_LITERAL("/\xc3\xbc"), &target));
    assert_non_null(target_parse(STR_LITERAL("http://u@h/"), &target));
    assert_true(target_authority_is_valid(STR_LITERAL("localhost:8000")));
    assert_true(target_authority_is_valid(STR_LITERAL("[::1]:8000")));
    assert_true(target_authority_is_valid(STR_LITERAL("[::1]")));
    assert_false(target_authority_is_valid(STR_LITERAL("[::1")));
    assert_false(target_authority_is_valid(STR_LITERAL("[::1]x")));
    assert_false(target_authority_is_valid(STR_LITERAL("a:1:2")));
    assert_false(target_authority_is_valid(STR_LITERAL(":80")));
    assert_false(target_authority_is_valid(STR_LITERAL("a,b")));
}

static void test_head_grows(void **state)
{
    struct head *head = malloc(sizeof(*head));
    char name[32], value[64];
    int i;
    (void)state;
    head_init(head);
    head_add_target(head, "/tar", 4);
    head_add_target(head, "get", 3);
    for (i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "X-Name-%d", i);
        snprintf(value, sizeof(value), "%s value %d \t", i % 2 ? " " : "", i);
        assert_true(head_add_name(head, name, 3) &&
                    head_add_name(head, name + 3, strlen(name) - 3));
        head_end_name(head);
        assert_true(head_add_value(head, value, 4) &&
                    head_add_value(head, value + 4, strlen(value) - 4));
    }
    head_end(head);
    assert_true(str_equal_cstr(head->target, "/target"));
    for (i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "x-name-%d", i);
        snprintf(value, sizeof(value), "value %d", i);
        assert_non_null(head_find(head, str_from(name)));
        assert_true(str_equal_cstr(head_find(head, str_from(name))->value, value));
    }
    head_done(head);
    free(head);
}

static void test_tokens(void **state)
{
    struct head *head = malloc(sizeof(*head));
    (void)state;
    head_init(head);
    head_add_field(head, STR_LITERAL("connection"), STR_LITERAL("keep-alive, Upgrade"));
    head_add_field(head, STR_LITERAL("connection"), STR_LITERAL("x"));
    assert_true(head_has_token(head, STR_LITERAL("connection"), STR_LITERAL("upgrade")));
    assert_true(head_has_token(head, STR_LITERAL("connection"), STR_LITERAL("x")));
    assert_false(head_has_token(head, STR_LITERAL("connection"), STR_LITERAL("keep")));
    assert_int_equal(head_count(head, STR_LITERAL("connection")), 2);
    head_done(head);
    free(head);
}

static void test_accept_key(void **state)
{
    char key[WEBSOCKET_ACCEPT_SIZE];
    (void)state;
    websocket_accept_key(STR_LITERAL("dGhlIHNhbXBsZSBub25jZQ=="), key); /* RFC 6455 §1.3 */
    assert_string_equal(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_frames(void **state)
{
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536};
    static const size_t heads[] = {2, 2, 2, 4, 4, 10};
    char *text = calloc(1, 65536);
    size_t i;
    (void)state;
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct shared_bytes *frame = websocket_encode_text((struct str){text, lengths[i]});
        assert_int_equal(frame->length, heads[i] + lengths[i]);
        assert_int_equal((unsigned char)frame->data[0], 0x81);
        shared_bytes_unref(frame);
    }
    free(text);
}

/* HTTP/2: a post with a body of two frames, a get in between, a streamed answer. Gives the length,
 * below 512. */
static size_t h2_requests(char *out)
{
    static const char start[] =
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0"; /* and SETTINGS */
    size_t length = sizeof(start);
    /* Literal header fields without indexing keep this readable: :method POST is 0x83, :scheme http
     * 0x86, GET 0x82. */
    static const char post[] = "\x83\x86\x01\x01x\x04\x05/body";
    static const char get[] = "\x82\x86\x01\x01x\x04\x02/a";
    static const char stream[] = "\x82\x86\x01\x01x\x04\x07/stream";
    memcpy(out, start, length);
#define FRAME(type, flags, id, text, size)                                                         \
    memcpy(out + length, (const char[]){0, 0, (char)(size), type, flags, 0, 0, 0, id}, 9);         \
    memcpy(out + length + 9, text, size);                                                          \
    length += 9 + (size)
    FRAME(1, 4, 1, post, sizeof(post) - 1);
    FRAME(0, 0, 1, "hello", 5);
    FRAME(1, 5, 3, get, sizeof(get) - 1);
    FRAME(0, 1, 1, " world", 6);
    FRAME(1, 5, 5, stream, sizeof(stream) - 1);
#undef FRAME
    return length;
}

/* The events in sorted order: streams of one turn may finish in another order than those of many.
 */
static int count_lines(const struct harness *harness, const char *line)
{
    int count = 0;
    size_t i, length = strlen(line);
    for (i = 0; i + length <= harness->log.length; i++) {
        count += memcmp(harness->log.data + i, line, length) == 0;
    }
    return count;
}

static void test_h2_every_split(void **state)
{
    char input[512];
    size_t length = h2_requests(input), split;
    (void)state;
    for (split = 0; split < length; split++) {
        struct harness harness;
        harness_init(&harness, h2_new, NULL);
        harness_feed(&harness, input, split);
        harness_feed(&harness, input + split, length - split);
        assert_int_equal(count_lines(&harness, "request /body\n"), 1);
        assert_int_equal(count_lines(&harness, "request /a\n"), 1);
        assert_int_equal(count_lines(&harness, "request /stream\n"), 1);
        assert_true(str_equal_cstr(buf_str(&harness.dones), "200 200 200 "));
        assert_int_equal(count_lines(&harness, "gone"), 0);
        assert_int_equal(harness.link.ending, HTTP_STAYS_OPEN);
        assert_non_null(memmem(harness.sent.data, harness.sent.length, "piecepiecepiece", 15));
        assert_non_null(memmem(harness.sent.data, harness.sent.length, "11 ", 3));
        harness_done(&harness);
    }
}

static void test_h2_byte_by_byte(void **state)
{
    char input[512];
    size_t length = h2_requests(input), i;
    struct harness harness;
    (void)state;
    harness_init(&harness, h2_new, NULL);
    for (i = 0; i < length; i++) {
        harness_feed(&harness, input + i, 1);
    }
    assert_true(str_equal_cstr(buf_str(&harness.dones), "200 200 200 "));
    harness_done(&harness);
}

static void test_h2_gone(void **state)
{
    char input[512];
    struct harness harness;
    size_t length = h2_requests(input);
    (void)state;
    harness_init(&harness, h2_new, NULL);
    harness_feed(&harness, input, length - 40); /* the body of the first is not whole */
    assert_int_equal(count_lines(&harness, "request /body\n"), 1);
    harness_eof(&harness);
    assert_int_equal(count_lines(&harness, "gone /body\n"), 1);
    harness_done(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),     cmocka_unit_test(test_answer_text),
        cmocka_unit_test(test_held_request),    cmocka_unit_test(test_time_limits),
        cmocka_unit_test(test_targets),         cmocka_unit_test(test_head_grows),
        cmocka_unit_test(test_tokens),          cmocka_unit_test(test_accept_key),
        cmocka_unit_test(test_frames),          cmocka_unit_test(test_h2_every_split),
        cmocka_unit_test(test_h2_byte_by_byte), cmocka_unit_test(test_h2_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
