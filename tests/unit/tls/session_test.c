/* Two sessions over a pair of sockets with small buffers: every byte arrives, once and in order,
 * whatever the kernel has room for. */
#include "made.h"

#include "gateway/net/outq.h"
#include "gateway/net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
/* after those above */
#include <cmocka.h>

static char folder[] = "/tmp/dialplane-tls.XXXXXX";
static char certificate[64], key[64];
static struct tls_context *server_context, *client_context;
static char scratch[TLS_RECORD_BYTES];

static void use(struct tls_context *context, bool is_server)
{
    struct tls_paths paths = {is_server ? certificate : NULL, is_server ? key : NULL,
                              is_server ? NULL : certificate};
    struct tls_material material;
    struct err err = {0};

    assert_true(tls_material_load(&paths, &material, &err));
    assert_true(tls_context_use(context, &material, &err));
    tls_material_done(&material);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(certificate, sizeof(certificate), "%s/a.pem", folder);
    snprintf(key, sizeof(key), "%s/a.key", folder);
    make_pair(certificate, key, "a.test", 86400);
    server_context = tls_context_new_server(TLS_1_3);
    client_context = tls_context_new_client("a.test");
    use(server_context, true);
    use(client_context, false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_context_free(server_context);
    tls_context_free(client_context);
    unlink(certificate);
    unlink(key);
    return rmdir(folder);
}

struct ends {
    int fds[2];
    struct tls_session *server, *client;
};

static void open_ends(struct ends *ends)
{
    int small = 4096;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends->fds), 0);
    for (int i = 0; i < 2; i++)
        setsockopt(ends->fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    ends->server = tls_session_new_server(server_context, ends->fds[0]);
    ends->client = tls_session_new_client(client_context, ends->fds[1], "127.0.0.1");
    assert_non_null(ends->server);
    assert_non_null(ends->client);
}

static void close_ends(struct ends *ends)
{
    tls_session_free(ends->server);
    tls_session_free(ends->client);
    close(ends->fds[0]);
    close(ends->fds[1]);
}

static void shake_hands(struct ends *ends)
{
    enum tls_step step = TLS_STEP_READ;
    char byte;

    for (int i = 0; i < 100 && (step != TLS_STEP_DONE || tls_state(ends->server) != TLS_SECURED);
         i++) {
        if (step != TLS_STEP_DONE)
            step = tls_shake_hands(ends->client);
        assert_int_not_equal(step, TLS_STEP_FAILED);
        assert_int_equal(tls_receive(ends->server, &byte, 1), -1);
        assert_int_equal(errno, EAGAIN);
    }
    assert_int_equal(tls_state(ends->server), TLS_SECURED);
    assert_true(tls_is_h2(ends->server));
}

static unsigned char byte_at(size_t position)
{
    return (unsigned char)(position * 31 + position / 251);
}

/* Gives how many came; checks each. */
static size_t take(struct tls_session *session, size_t from, size_t most)
{
    static unsigned char bytes[64 * 1024];
    ssize_t got = tls_receive(session, bytes, most < sizeof(bytes) ? most : sizeof(bytes));

    if (got < 0) {
        assert_int_equal(errno, EAGAIN);
        return 0;
    }
    for (ssize_t i = 0; i < got; i++)
        if (bytes[i] != byte_at(from + (size_t)i))
            fail_msg("byte %zu is another", from + (size_t)i);
    return (size_t)got;
}

static void test_every_byte_arrives(void **state)
{
    struct outq_pool pool;
    struct outq queue;
    struct ends ends;
    size_t put = 0, got = 0, blocked = 0, total = 3000000;
    (void)state;

    outq_pool_init(&pool);
    outq_init(&queue, &pool);
    open_ends(&ends);
    shake_hands(&ends);
    while (got < total) {
        for (size_t pieces = 0; pieces < 5 && put < total; pieces++) {
            static const size_t sizes[] = {1, 700, 9000, 33, 40000};
            struct shared_bytes *piece = shared_bytes_new(NULL, sizes[pieces]);
            for (size_t i = 0; i < piece->length; i++)
                piece->data[i] = (char)byte_at(put + i);
            if (pieces % 2)
                outq_put_shared(&queue, piece, 0);
            else
                outq_put(&queue, piece->data, piece->length);
            put += piece->length;
            shared_bytes_unref(piece);
            if (total < put)
                total = put;
        }
        while (queue.waiting) {
            ssize_t sent = tls_send_queue(ends.server, &queue, scratch);
            if (sent < 0) {
                assert_int_equal(errno, EAGAIN);
                assert_true(queue.pinned > 0 && queue.pinned <= queue.waiting);
                blocked++;
                break;
            }
            assert_int_equal(queue.pinned, 0);
            outq_consume(&queue, (size_t)sent);
        }
        /* A little at a time: what OpenSSL holds is seen without the socket becoming readable. */
        size_t piece = take(ends.client, got, 5000);
        got += piece;
        while (tls_has_more(ends.client) && (piece = take(ends.client, got, 5000)))
            got += piece;
    }
    assert_true(blocked > 10);
    assert_int_equal(queue.waiting, 0);
    close_ends(&ends);
    outq_done(&queue);
    outq_pool_done(&pool);
}

/* A frame of which a part is on its way is not dropped, those behind it are. */
static void test_what_is_pinned_stays(void **state)
{
    struct outq_pool pool;
    struct outq queue;
    struct ends ends;
    size_t got = 0, before;
    (void)state;

    outq_pool_init(&pool);
    outq_init(&queue, &pool);
    open_ends(&ends);
    shake_hands(&ends);
    for (size_t put = 0; put < 500000;) {
        struct shared_bytes *frame = shared_bytes_new(NULL, 10000);
        for (size_t i = 0; i < frame->length; i++)
            frame->data[i] = (char)byte_at(put + i);
        outq_put_shared(&queue, frame, 0);
        put += frame->length;
        shared_bytes_unref(frame);
    }
    for (;;) {
        ssize_t sent = tls_send_queue(ends.server, &queue, scratch);
        if (sent < 0)
            break;
        outq_consume(&queue, (size_t)sent);
    }
    assert_true(queue.pinned > 0);
    before = queue.waiting;
    outq_drop_unsent_shared(&queue);
    assert_true(queue.waiting < before);
    assert_true(queue.waiting >= queue.pinned && queue.waiting < queue.pinned + 20000);
    while (queue.waiting) {
        got += take(ends.client, got, 64 * 1024);
        ssize_t sent = tls_send_queue(ends.server, &queue, scratch);
        if (sent > 0)
            outq_consume(&queue, (size_t)sent);
    }
    for (size_t more; (more = take(ends.client, got, 64 * 1024)) > 0;)
        got += more;
    assert_int_equal(got % 10000, 0); /* whole frames */
    close_ends(&ends);
    outq_done(&queue);
    outq_pool_done(&pool);
}

static void test_the_end_of_the_peer(void **state)
{
    struct ends ends;
    char bytes[100];
    (void)state;

    open_ends(&ends);
    shake_hands(&ends);
    assert_int_equal(tls_send(ends.client, "last words", 10), 10);
    tls_finish(ends.client);
    assert_int_equal(tls_receive(ends.server, bytes, sizeof(bytes)), 10);
    assert_true(
        tls_has_more(ends.server)); /* the end, although nothing makes the socket readable */
    assert_int_equal(tls_receive(ends.server, bytes, sizeof(bytes)), 0);
    assert_int_equal(tls_send(ends.server, "still here", 10), 10); /* half closed */
    assert_int_equal(tls_receive(ends.client, bytes, sizeof(bytes)), 10);
    close_ends(&ends);
}

static void test_plaintext_is_left_alone(void **state)
{
    struct ends ends;
    char bytes[100];
    (void)state;

    open_ends(&ends);
    assert_int_equal(write(ends.fds[1], "GET / HTTP/1.1\r\n", 16), 16);
    assert_int_equal(tls_receive(ends.server, bytes, sizeof(bytes)), -1);
    assert_int_equal(tls_state(ends.server), TLS_PLAINTEXT);
    assert_int_equal(read(ends.fds[0], bytes, sizeof(bytes)), 16);
    close_ends(&ends);

    open_ends(&ends);
    assert_int_equal(write(ends.fds[1], "\x16\x03\x01garbage that is no hello", 26), 26);
    assert_int_equal(tls_receive(ends.server, bytes, sizeof(bytes)), -1);
    assert_int_equal(tls_state(ends.server), TLS_BROKEN);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(tls_receive(ends.server, bytes, sizeof(bytes)), -1);
    assert_int_equal(tls_send(ends.server, "x", 1), -1);
    close_ends(&ends);
}

static void test_connections_keep_what_they_began_with(void **state)
{
    struct ends ends;
    char bytes[100];
    (void)state;

    open_ends(&ends);
    use(server_context, true); /* between two flights, and again afterwards */
    shake_hands(&ends);
    use(server_context, true);
    assert_int_equal(tls_send(ends.server, "hello", 5), 5);
    assert_int_equal(tls_receive(ends.client, bytes, sizeof(bytes)), 5);
    close_ends(&ends);
}

static void test_nothing_to_use_yet(void **state)
{
    struct tls_context *context = tls_context_new_server(TLS_1_2);
    struct tls_material none = {.pair_count = 0};
    struct err err = {0};
    (void)state;

    assert_null(tls_session_new_server(context, 0));
    assert_false(tls_context_use(context, &none, &err));
    assert_non_null(strstr(err.message, "no certificate"));
    tls_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_arrives),
        cmocka_unit_test(test_what_is_pinned_stays),
        cmocka_unit_test(test_the_end_of_the_peer),
        cmocka_unit_test(test_plaintext_is_left_alone),
        cmocka_unit_test(test_connections_keep_what_they_began_with),
        cmocka_unit_test(test_nothing_to_use_yet),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
