/* A socket whose handshake fails: its owner lingers, and hears of the peer's end. */
#include "made.h"

#include "gateway/net/socket.h"
#include "gateway/net/tls.h"
#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
/* after those above */
#include <cmocka.h>

#define LIMIT_US (30 * TIME_US_PER_SECOND)

static struct {
    struct loop *loop;
    int peer;
    unsigned errors, ends;
    bool late;
} seen;

static size_t on_input(struct net_socket *socket, const char *data, size_t length)
{
    (void)socket;
    (void)data;
    return length;
}

static void on_error(struct net_socket *socket)
{
    char alert[64];
    assert_true(net_socket_is_shaking_hands(socket));
    assert_int_equal(tls_state(socket->tls), TLS_BROKEN);
    seen.errors++;
    net_socket_shut_output(socket);
    /* It reads the alert and goes in order. */
    while (read(seen.peer, alert, sizeof(alert)) > 0) {
    }
    close(seen.peer);
}

static void on_eof(struct net_socket *socket)
{
    seen.ends++;
    net_socket_close(socket, false);
}

static void on_nothing(struct net_socket *socket)
{
    (void)socket;
}

static void on_sent(struct net_socket *socket, size_t length)
{
    (void)socket;
    (void)length;
}

static void on_free(struct net_socket *socket)
{
    free(socket);
    loop_stop(seen.loop);
}

static void on_late(void *context)
{
    (void)context;
    seen.late = true;
    loop_stop(seen.loop);
}

static const struct net_socket_events events = {
    .on_input = on_input,
    .on_eof = on_eof,
    .on_error = on_error,
    .on_turn = on_nothing,
    .on_sent = on_sent,
    .on_free = on_free,
};

static void test_the_end_is_heard_after_a_failed_handshake(void **state)
{
    char folder[] = "/tmp/dialplane-tls.XXXXXX", certificate[64], key[64];
    struct tls_context *context = tls_context_new_server(TLS_1_2);
    struct net_socket *socket = calloc(1, sizeof(*socket));
    struct tls_material material;
    struct err err = {0};
    struct net net;
    int fds[2];
    (void)state;

    assert_non_null(mkdtemp(folder));
    snprintf(certificate, sizeof(certificate), "%s/a.pem", folder);
    snprintf(key, sizeof(key), "%s/a.key", folder);
    make_pair(certificate, key, "a.test", 86400);
    struct tls_paths paths = {certificate, key, NULL};
    assert_true(tls_material_load(&paths, &material, &err));
    assert_true(tls_context_use(context, &material, &err));
    tls_material_done(&material);
    seen.loop = loop_new(NULL);
    assert_true(net_init(&net, seen.loop));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    seen.peer = fds[1];
    assert_true(net_socket_init(socket, &net, fds[0], &events));
    net_socket_secure(socket, tls_session_new_server(context, fds[0]));
    assert_int_equal(write(seen.peer, "\x16\x03\x01garbage that is no hello", 26), 26);
    struct loop_timer *limit = loop_timer_start(seen.loop, LIMIT_US, on_late, NULL);
    loop_run(seen.loop);
    assert_false(seen.late);
    loop_timer_cancel(limit);
    assert_int_equal(seen.errors, 1);
    assert_int_equal(seen.ends, 1);
    net_done(&net);
    loop_free(seen.loop);
    tls_context_free(context);
    unlink(certificate);
    unlink(key);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_is_heard_after_a_failed_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
