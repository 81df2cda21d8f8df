/* A WebSocket in one stream of an HTTP/2 connection (RFC 8441). The protocol is websocket.c's, as
 * on a connection of its own: it sees a link whose output is the stream's queue. Here is what the
 * link promises: bytes in, "call me again", time limits, an end. */
#include "gateway/http/h2_internal.h"
#include "gateway/http/websocket.h"

#include <stdlib.h>

struct h2_socket {
    struct link link; /* first member */
    struct h2 *h2;
    struct exchange *exchange;
    size_t counted; /* of the stream's output in h2->stream_bytes */
    bool told;      /* the exchange's on_done has come: it ended with the opening handshake */
    bool is_ended;  /* END_STREAM or a reset has been asked for */
};

static struct protocol *protocol_of(const struct h2_socket *socket)
{
    return socket->link.protocol;
}

/* What the protocol has put into the queue and said about its end becomes frames. */
static void settle(struct h2_socket *socket)
{
    struct h2 *h2 = socket->h2;
    struct exchange *exchange = socket->exchange;

    h2->stream_bytes += exchange->out.waiting - socket->counted;
    socket->counted = exchange->out.waiting;
    if (h2->ended) {
        return;
    }
    if (socket->link.ending == HTTP_ENDS_RESET && !socket->is_ended) {
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, exchange->stream_id,
                                  NGHTTP2_CANCEL);
        socket->is_ended = true;
    } else if (socket->link.ending != HTTP_STAYS_OPEN) {
        exchange->data_end = socket->is_ended = true;
    }
    if (exchange->deferred && (exchange->out.waiting > 0 || exchange->data_end)) {
        exchange->deferred = false;
        nghttp2_session_resume_data(h2->session, exchange->stream_id);
    }
}

static void wake(struct link *link)
{
    struct h2_socket *socket = (struct h2_socket *)link;
    struct link *real = socket->h2->protocol.link;

    settle(socket);
    real->wake(real);
}

struct websocket *h2_socket_open(struct exchange *exchange, const struct websocket_handler *handler,
                                 void *state)
{
    struct h2 *h2 = (struct h2 *)exchange->protocol;
    const struct link *real = h2->protocol.link;
    struct h2_socket *socket = calloc(1, sizeof(*socket));
    struct websocket *websocket;

    if (!socket) {
        return NULL;
    }
    socket->link =
        (struct link){.core = real->core, .out = &exchange->out, .peer = real->peer, .wake = wake};
    socket->link.address = real->address;
    socket->h2 = h2;
    socket->exchange = exchange;
    websocket = websocket_new(&socket->link, handler, state);
    if (!websocket) {
        free(socket);
        return NULL;
    }
    socket->link.protocol = websocket_protocol(websocket);
    exchange->socket = socket;
    h2->socket_count++;
    return websocket;
}

static void feed(struct h2_socket *socket, struct str data)
{
    struct protocol *protocol = protocol_of(socket);

    if (socket->link.ending == HTTP_STAYS_OPEN && data.length > 0) {
        protocol->ops->feed(protocol, data.data, data.length);
    }
    settle(socket);
}

void h2_socket_feed(struct exchange *exchange, struct str data)
{
    struct h2_socket *socket = exchange->socket;
    struct http_core *core = exchange->link->core;

    if (!socket->told) {
        /* Not from inside exchange_accept_websocket(), but before any word of the peer. */
        socket->told = true;
        exchange->announced = false;
        if (core->handler->on_done) {
            core->handler->on_done(exchange, exchange->status, exchange->bytes_sent);
        }
        arena_free(exchange->arena);
        exchange->arena = NULL;
        exchange->state = NULL;
    }
    if (exchange->in.length > 0) {
        struct buf early = exchange->in;
        buf_init(&exchange->in, 0);
        feed(socket, buf_str(&early));
        buf_done(&early);
    }
    feed(socket, data);
    if (exchange->in_end && socket->link.ending == HTTP_STAYS_OPEN) {
        protocol_of(socket)->ops->on_eof(protocol_of(socket));
        settle(socket);
    }
}

void h2_socket_sent(struct exchange *exchange, size_t taken)
{
    exchange->socket->counted -= taken;
}

void h2_socket_on_sent(struct exchange *exchange)
{
    protocol_of(exchange->socket)->ops->on_sent(protocol_of(exchange->socket));
    settle(exchange->socket);
}

enum http_wait h2_socket_waits_for(const struct exchange *exchange)
{
    return protocol_of(exchange->socket)->ops->waits_for(protocol_of(exchange->socket));
}

void h2_socket_on_timeout(struct exchange *exchange)
{
    protocol_of(exchange->socket)->ops->on_timeout(protocol_of(exchange->socket));
    settle(exchange->socket);
}

void h2_socket_drain(struct exchange *exchange)
{
    protocol_of(exchange->socket)->ops->drain(protocol_of(exchange->socket));
}

void h2_socket_close(struct exchange *exchange)
{
    struct h2_socket *socket = exchange->socket;
    struct protocol *protocol = protocol_of(socket);

    socket->is_ended = true;
    protocol->ops->gone(protocol);
    /* unlink_stream() takes what waits from the connection's count. */
    socket->h2->stream_bytes += exchange->out.waiting - socket->counted;
    socket->h2->socket_count--;
    protocol->ops->free(protocol);
    exchange->socket = NULL;
    free(socket);
}
