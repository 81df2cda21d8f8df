/* One TCP or unix connection to a service.
 *
 *   CONNECTING ──▶ (SECURING ──▶) GREETING ──▶ READY ──▶ DRAINING (GOAWAY, stream ids used up,
 * address gone) ──▶ DEAD └────────────┴───────────── anything wrong
 * ─────────────────────────────────▲
 *
 * Bytes go out once per turn of the loop: whoever submits schedules one flush. A dead connection is
 * freed after the turn, so that no frame on the stack still holds it. */
#include "gateway/upstream/internal.h"

#include "base/log.h"
#include "gateway/net/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_SIZE (32 * 1024)
#define READ_ROUNDS 8
#define OUTPUT_AT_ONCE (256 * 1024)

static void on_readable(evutil_socket_t fd, short what, void *context);
static void on_writable(evutil_socket_t fd, short what, void *context);
static void flush(void *context);

static void free_later(void *context)
{
    struct channel *connection = context;

    nghttp2_session_del(connection->session);
    tls_session_free(connection->tls);
    buf_done(&connection->output);
    free(connection);
}

/* From every list and from the kernel; the memory stays for this turn. */
static void detach(struct channel *connection)
{
    struct endpoint *endpoint = connection->endpoint;

    health_forget(connection);
    event_del(&connection->readable);
    event_del(&connection->writable);
    if (connection->tls && connection->state >= GREETING)
        tls_finish(connection->tls);
    close(connection->fd);
    if (connection->state != DRAINING)
        endpoint->connection_count--;
    connection->state = DEAD;
    TAILQ_REMOVE(&endpoint->connections, connection, link);
    connection->upstream->stats.connections--;
}

void channel_destroy(struct channel *connection)
{
    detach(connection);
    loop_defer(connection->upstream->loop, free_later, connection);
}

static void greet(struct channel *connection)
{
    if (!session_open(connection)) {
        channel_fail(connection, "no memory for a session");
        return;
    }
    connection->state = GREETING;
    connection->heard_us = upstream_now(connection->upstream);
    event_add(&connection->readable, NULL);
    channel_schedule_flush(connection);
}

/* As recv() and send(), through TLS or not. */
static ssize_t receive(struct channel *connection, void *out, size_t size)
{
    return connection->tls ? tls_receive(connection->tls, out, size)
                           : read(connection->fd, out, size);
}

static ssize_t transmit(struct channel *connection, const void *data, size_t size)
{
    return connection->tls ? tls_send(connection->tls, data, size)
                           : send(connection->fd, data, size, MSG_NOSIGNAL);
}

/* What came of it comes to on_readable and on_writable. */
static void secure(struct channel *connection)
{
    struct endpoint *endpoint = connection->endpoint;

    if (!connection->upstream->options.tls || endpoint->address.ss_family == AF_UNIX) {
        greet(connection);
        return;
    }
    connection->tls =
        tls_session_new_client(connection->upstream->options.tls, connection->fd, endpoint->host);
    if (!connection->tls) {
        channel_fail(connection, "no memory for a session of TLS");
        return;
    }
    connection->state = SECURING;
    event_add(&connection->readable, NULL);
    event_active(&connection->readable, EV_READ, 1); /* we speak first */
}

static void shake_hands(struct channel *connection)
{
    enum tls_step step = tls_shake_hands(connection->tls);

    if (step == TLS_STEP_DONE) {
        greet(connection);
        if (connection->state == GREETING) /* what came with the handshake is in OpenSSL already */
            event_active(&connection->readable, EV_READ, 1);
    } else if (step == TLS_STEP_FAILED) {
        channel_fail(connection, tls_failure(connection->tls));
    } else if (step == TLS_STEP_WRITE) {
        event_add(&connection->writable, NULL);
    }
}

void channel_greeted(struct channel *connection)
{
    if (connection->state == GREETING && !health_watch(connection))
        channel_become_ready(connection);
}

void channel_become_ready(struct channel *connection)
{
    if (connection->state != GREETING)
        return;
    connection->state = READY;
    connection->upstream->stats.connects++;
    if (connection->endpoint->gone)
        channel_drain(connection);
    upstream_dispatch_pending(connection->upstream);
}

static void on_connected(void *context)
{
    struct channel *connection = context;

    if (connection->state == CONNECTING)
        secure(connection);
}

static void connect_failed_later(void *context)
{
    struct channel *connection = context;

    if (connection->state == CONNECTING)
        channel_fail(connection, "connection refused");
}

struct channel *channel_open(struct endpoint *endpoint, struct upstream *upstream)
{
    struct channel *connection = calloc(1, sizeof(*connection));
    struct event_base *base = loop_event_base(upstream->loop);
    int on = 1;

    if (!connection)
        return NULL;
    int fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        free(connection);
        return NULL;
    }
    if (endpoint->address.ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->upstream = upstream;
    connection->endpoint = endpoint;
    connection->fd = fd;
    connection->connect_deadline_us = upstream_now(upstream) + upstream->options.connect_timeout_us;
    buf_init(&connection->output, 16 << 20);
    TAILQ_INIT(&connection->calls);
    TAILQ_INSERT_TAIL(&endpoint->connections, connection, link);
    endpoint->connection_count++;
    upstream->stats.connections++;
    event_assign(&connection->readable, base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    event_assign(&connection->writable, base, fd, EV_WRITE, on_writable, connection);

    /* Whatever comes of it is told after this turn: nobody is called from inside a call. */
    if (connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->address_length) == 0)
        loop_defer(upstream->loop, on_connected, connection);
    else if (errno == EINPROGRESS)
        event_add(&connection->writable, NULL);
    else
        loop_defer(upstream->loop, connect_failed_later, connection);
    return connection;
}

bool channel_takes_calls(const struct channel *connection)
{
    if (connection->state != READY ||
        connection->call_count >= connection->upstream->options.max_streams)
        return false;
    /* Beyond the peer's limit nghttp2 queues in silence. */
    return connection->call_count + (connection->watch != NULL) <
           nghttp2_session_get_remote_settings(connection->session,
                                               NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

void channel_start_call(struct channel *connection, struct upstream_call *call)
{
    int64_t now = upstream_now(connection->upstream);
    int32_t stream_id = nghttp2_session_check_request_allowed(connection->session)
                            ? session_submit(connection, call)
                            : -1;

    if (stream_id < 0) {
        channel_drain(connection);
        upstream_fail_later(call, ERR_UNAVAILABLE, NULL, "The %s service is going away",
                            connection->upstream->name);
        return;
    }
    call->stream_id = stream_id;
    call->connection = connection;
    TAILQ_INSERT_TAIL(&connection->calls, call, link);
    connection->call_count++;
    /* After a long silence the peer may be gone without a word: ask together with the call. */
    if (now - connection->heard_us > connection->upstream->options.ping_idle_us)
        channel_ping(connection);
    if (stream_id > STREAM_ID_LAST)
        channel_drain(connection);
    channel_schedule_flush(connection);
}

void channel_ping(struct channel *connection)
{
    if (connection->ping_sent_us)
        return;
    connection->ping_sent_us = upstream_now(connection->upstream);
    nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL);
    channel_schedule_flush(connection);
}

void channel_tick(struct channel *connection, int64_t now_us)
{
    if (connection->state <= GREETING) {
        if (now_us >= connection->connect_deadline_us)
            channel_fail(connection, "no answer to the connection attempt");
        return;
    }
    if (!connection->call_count || connection->state == DEAD)
        return;
    if (connection->ping_sent_us) {
        if (connection->heard_us > connection->ping_sent_us)
            connection->ping_sent_us = 0;
        else if (now_us - connection->ping_sent_us > PING_TIMEOUT_US)
            channel_fail(connection, "no answer to a PING");
    } else if (now_us - connection->heard_us > connection->upstream->options.ping_idle_us) {
        channel_ping(connection);
    }
}

void channel_drain(struct channel *connection)
{
    if (connection->state != READY)
        return;
    connection->state = DRAINING;
    connection->endpoint->connection_count--; /* another may be opened at once */
    channel_schedule_flush(connection);
}

void channel_fail(struct channel *connection, const char *why)
{
    struct upstream *upstream = connection->upstream;
    struct endpoint *endpoint = connection->endpoint;
    bool was_connecting = connection->state <= GREETING;
    struct upstream_call *call;

    if (connection->state == DEAD)
        return;
    bool in_order = connection->state == DRAINING && !connection->call_count;
    detach(connection);
    loop_defer(upstream->loop, free_later, connection);
    if (in_order)
        return;

    if (was_connecting)
        upstream->stats.connect_failures++;
    else
        upstream->stats.connections_lost++;
    if (!connection->heard) {
        endpoint->backoff_us = endpoint->backoff_us ? endpoint->backoff_us * 2 : BACKOFF_FIRST_US;
        if (endpoint->backoff_us > BACKOFF_LAST_US)
            endpoint->backoff_us = BACKOFF_LAST_US;
        endpoint->not_before_us = upstream_now(upstream) + endpoint->backoff_us;
    }
    /* Once per outage, not once per attempt. */
    if (connection->heard || endpoint->backoff_us == BACKOFF_FIRST_US)
        log_event(LOG_LEVEL_WARN, "upstream_lost", log_text("backend", upstream->name),
                  log_text("address", endpoint->text), log_text("why", why));
    while ((call = TAILQ_FIRST(&connection->calls))) {
        if (!call->headers_sent && call_retry(call))
            continue;
        call_fail(call, ERR_UNAVAILABLE, NULL, "The connection to the %s service was lost",
                  upstream->name);
    }
    upstream_on_connect_failed(upstream);
}

static void on_connect_event(struct channel *connection)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    if (error)
        channel_fail(connection, strerror(error));
    else
        secure(connection);
}

static void on_heard(struct channel *connection)
{
    struct endpoint *endpoint = connection->endpoint;

    connection->heard_us = upstream_now(connection->upstream);
    if (connection->heard)
        return;
    connection->heard = true;
    if (endpoint->backoff_us)
        log_event(LOG_LEVEL_INFO, "upstream_back", log_text("backend", connection->upstream->name),
                  log_text("address", endpoint->text));
    endpoint->backoff_us = 0;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    static _Thread_local uint8_t bytes[READ_SIZE];
    struct channel *connection = context;

    (void)fd;
    (void)what;
    if (connection->state == SECURING) {
        shake_hands(connection);
        return;
    }
    for (int round = 0; round < READ_ROUNDS; round++) {
        ssize_t count = receive(connection, bytes, sizeof(bytes));
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (count <= 0) {
            channel_fail(connection, !count            ? "closed by the service"
                                     : errno == EPROTO ? tls_failure(connection->tls)
                                                       : strerror(errno));
            return;
        }
        if (round == 0)
            on_heard(connection);
        ssize_t used = nghttp2_session_mem_recv(connection->session, bytes, (size_t)count);
        if (used < 0) {
            channel_fail(connection, nghttp2_strerror((int)used));
            return;
        }
        if (connection->state == DEAD)
            return;
        if ((size_t)count < sizeof(bytes) && !(connection->tls && tls_has_more(connection->tls)))
            break;
    }
    if (connection->tls && tls_has_more(connection->tls))
        event_active(&connection->readable, EV_READ, 1);
    channel_schedule_flush(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct channel *connection = context;

    (void)fd;
    (void)what;
    if (connection->state == CONNECTING)
        on_connect_event(connection);
    else if (connection->state == SECURING)
        shake_hands(connection);
    else
        flush(connection);
}

void channel_schedule_flush(struct channel *connection)
{
    if (connection->flush_scheduled || connection->state == DEAD || connection->state < GREETING)
        return;
    connection->flush_scheduled = true;
    loop_defer(connection->upstream->loop, flush, connection);
}

/* on_writable of the calls that have room again; any of them may cancel others. */
static void tell_writable(struct channel *connection)
{
    struct upstream_call *call;

    connection->writable_waiting = false;
again:
    TAILQ_FOREACH (call, &connection->calls, link) {
        if (!call->writable)
            continue;
        call->writable = false;
        if (call->handler->on_writable) {
            call->handler->on_writable(call);
            if (connection->state == DEAD)
                return;
            goto again;
        }
    }
}

/* Fills the output from the session. False when the session is broken. */
static bool collect(struct channel *connection)
{
    while (connection->output.length - connection->output_sent < OUTPUT_AT_ONCE) {
        const uint8_t *bytes;
        ssize_t count = nghttp2_session_mem_send(connection->session, &bytes);
        if (count < 0)
            return false;
        if (count == 0)
            break;
        buf_put(&connection->output, bytes, (size_t)count);
    }
    return !connection->output.failed;
}

static void flush(void *context)
{
    struct channel *connection = context;
    struct buf *output = &connection->output;

    connection->flush_scheduled = false;
    if (connection->state == DEAD)
        return;
    for (;;) {
        if (!collect(connection)) {
            channel_fail(connection, "the HTTP/2 session broke");
            return;
        }
        if (output->length == connection->output_sent)
            break;
        ssize_t count = transmit(connection, output->data + connection->output_sent,
                                 output->length - connection->output_sent);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            event_add(&connection->writable, NULL);
            break;
        }
        if (count < 0) {
            channel_fail(connection, strerror(errno));
            return;
        }
        connection->output_sent += (size_t)count;
        if (connection->output_sent == output->length) {
            buf_reset(output);
            connection->output_sent = 0;
        }
    }
    if (connection->writable_waiting)
        tell_writable(connection);
    if (connection->state == DEAD)
        return;
    bool idle = !connection->call_count && output->length == connection->output_sent;
    if ((connection->state == DRAINING && idle) ||
        (!nghttp2_session_want_read(connection->session) &&
         !nghttp2_session_want_write(connection->session)))
        channel_fail(connection, "the service said goodbye");
}
