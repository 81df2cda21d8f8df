/* One connection: the first bytes say which protocol it speaks; from then on it moves bytes between
 * socket and protocol, keeps the time limits, and ends it the way the protocol asked for. */
#include "gateway/http/server_internal.h"

#include "base/log.h"
#include "gateway/http/exchange_internal.h"
#include "gateway/http/h1.h"
#include "gateway/http/h2.h"
#include "gateway/net/tls.h"
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char h2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define H2_PREFACE_LENGTH (sizeof(h2_preface) - 1)

static struct connection *of_socket(struct net_socket *socket)
{
    return (struct connection *)socket;
}

static int64_t now_us(const struct connection *connection)
{
    const struct clock *clock = connection->server->core.clock;
    return clock->monotonic_us(clock);
}

/* Its end. */

void connection_cut(struct connection *connection)
{
    struct link *link = &connection->link;
    if (connection->socket.closed) {
        return;
    }
    timeout_disarm(&connection->read_limit);
    timeout_disarm(&connection->write_limit);
    net_socket_close(&connection->socket, link->ending == HTTP_ENDS_RESET);
    if (link->protocol) {
        link->protocol->ops->gone(link->protocol);
    }
    exchange_reap(link, true);
}

static bool has_unread_input(const struct connection *connection)
{
    int unread = 0;
    if (connection->socket.kept) {
        return true;
    }
    return ioctl(connection->socket.fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* The output is out, or nobody waits for it. */
static void end_connection(struct connection *connection)
{
    struct link *link = &connection->link;
    if (link->ending != HTTP_ENDS_RESET &&
        (link->ending == HTTP_ENDS_LINGER || has_unread_input(connection)) &&
        !connection->socket.eof) {
        /* Closing with input unread would be a reset, which can overtake the answer. */
        if (!connection->socket.discarding) {
            net_socket_shut_output(&connection->socket);
            timeout_disarm(&connection->write_limit);
            timeout_arm(&connection->server->lingers, &connection->read_limit, now_us(connection));
        }
        return;
    }
    connection_cut(connection);
}

/* A body that trickles is as bad as one that does not come: its time starts anew only when it has
 * brought what the least rate asks for. (HTTP/2 looks at each stream as well.) */
static bool body_moves(const struct connection *connection)
{
    const struct http_limits *limits = &connection->server->core.limits;

    return connection->received - connection->read_mark >=
           http_bytes_in(limits, limits->body_idle_us);
}

/* The time to take what waits starts now, or anew when enough was taken of it. */
static void arm_write_limit(struct connection *connection)
{
    const struct http_limits *limits = &connection->server->core.limits;
    uint64_t sent = connection->link.out->sent_total;

    if (connection->write_limit.list &&
        sent - connection->write_mark < http_bytes_in(limits, limits->write_idle_us)) {
        return;
    }
    connection->write_mark = sent;
    timeout_arm(&connection->server->writes, &connection->write_limit, now_us(connection));
}

/* Input wanted? Which limit runs? Called whenever something may have changed. */
static void update(struct connection *connection, bool input_came)
{
    struct link *link = &connection->link;
    const struct protocol *protocol = link->protocol;
    enum http_wait waiting;
    if (connection->socket.closed || connection->socket.discarding) {
        return;
    }
    if (link->ending != HTTP_STAYS_OPEN) {
        net_socket_want_input(&connection->socket, false);
        timeout_disarm(&connection->read_limit);
        net_socket_wake(&connection->socket);
        return;
    }
    net_socket_want_input(&connection->socket, !protocol || protocol->ops->wants_input(protocol));
    waiting = protocol ? protocol->ops->waits_for(protocol)
              : net_socket_is_shaking_hands(&connection->socket) ? HTTP_WAIT_HANDSHAKE
              : connection->preface_matched > 0                  ? HTTP_WAIT_HEADER
                                                                 : HTTP_WAIT_REQUEST;
    if (waiting == HTTP_WAIT_NOTHING && connection->socket.kept) {
        waiting = HTTP_WAIT_PEER_CHECK;
    }
    if (waiting == HTTP_WAIT_NOTHING) {
        timeout_disarm(&connection->read_limit);
    } else if (!connection->read_limit.list || waiting != connection->waiting ||
               (input_came && (waiting == HTTP_WAIT_REQUEST ||
                               (waiting == HTTP_WAIT_BODY && body_moves(connection)))) ||
               ((waiting == HTTP_WAIT_HEADER || waiting == HTTP_WAIT_ANSWER_AFTER_EOF) &&
                protocol && protocol->heads_begun != connection->heads_seen)) {
        timeout_arm(&connection->server->waits[waiting], &connection->read_limit,
                    now_us(connection));
        connection->heads_seen = protocol ? protocol->heads_begun : 0;
        connection->read_mark = connection->received;
    }
    if (waiting == HTTP_WAIT_BODY && connection->waiting != HTTP_WAIT_BODY)
        net_socket_acknowledge(&connection->socket);
    connection->waiting = waiting;
    connection->socket.patient = waiting == HTTP_WAIT_HEADER || !protocol;
}

/* A protocol may have named the one that follows it (WebSocket after HTTP/1). */
static void swap_protocol(struct link *link)
{
    if (link->successor) {
        struct protocol *old = link->protocol;
        link->protocol = link->successor;
        link->successor = NULL;
        old->ops->free(old);
    }
}

/* What was agreed on in the handshake (RFC 9113 §3.2: without "h2" in it, there is none). */
static void choose_protocol(struct connection *connection)
{
    struct link *link = &connection->link;
    link->protocol = tls_is_h2(connection->socket.tls) ? h2_new(link) : h1_new(link);
    if (!link->protocol) {
        link->ending = HTTP_ENDS_RESET;
    }
}

/* The first bytes. Gives how many it took; protocol stays NULL while they may still become either.
 */
static size_t detect(struct connection *connection, const char *data, size_t length)
{
    struct link *link = &connection->link;
    size_t taken = 0;
    while (taken < length && connection->preface_matched < H2_PREFACE_LENGTH &&
           data[taken] == h2_preface[connection->preface_matched]) {
        taken++;
        connection->preface_matched++;
    }
    if (connection->preface_matched < H2_PREFACE_LENGTH && taken == length) {
        return taken;
    }
    link->protocol = connection->preface_matched == H2_PREFACE_LENGTH ? h2_new(link) : h1_new(link);
    if (!link->protocol) {
        link->ending = HTTP_ENDS_RESET;
        return length;
    }
    if (connection->preface_matched > 0) {
        /* What looked like the preface belongs to whoever got the connection. */
        link->protocol->ops->feed(link->protocol, h2_preface, connection->preface_matched);
    }
    return taken;
}

/* The socket's callbacks. */

static size_t on_input(struct net_socket *socket, const char *data, size_t length)
{
    struct connection *connection = of_socket(socket);
    struct link *link = &connection->link;
    size_t taken = 0;
    if (!connection->offering) { /* not what was kept and counted */
        connection->received += length;
    }
    if (!link->protocol && socket->tls) {
        choose_protocol(connection);
    } else if (!link->protocol) {
        taken = detect(connection, data, length);
    }
    while (link->protocol && taken < length && link->ending == HTTP_STAYS_OPEN) {
        struct protocol *protocol = link->protocol;
        taken += protocol->ops->feed(protocol, data + taken, length - taken);
        if (!link->successor) {
            break;
        }
        swap_protocol(link);
    }
    if (!connection->offering) {
        net_socket_wake(socket);
        update(connection, true);
    }
    return link->ending == HTTP_STAYS_OPEN ? taken : length;
}

static void on_turn(struct net_socket *socket)
{
    struct connection *connection = of_socket(socket);
    struct link *link = &connection->link;
    if (socket->discarding) {
        return;
    }
    if (link->protocol && link->ending != HTTP_ENDS_RESET) {
        link->protocol->ops->run(link->protocol);
        swap_protocol(link);
    }
    if (socket->kept && link->ending == HTTP_STAYS_OPEN) {
        connection->offering = true;
        net_socket_offer_kept(socket);
        connection->offering = false;
        if (socket->closed) {
            return;
        }
    }
    exchange_reap(link, false);
    if (link->ending == HTTP_ENDS_RESET ||
        (link->ending != HTTP_STAYS_OPEN && link->out->waiting == 0)) {
        end_connection(connection);
        return;
    }
    if (!connection->write_limit.list &&
        (link->out->waiting > 0 ||
         (link->protocol && link->protocol->ops->is_blocked(link->protocol)))) {
        arm_write_limit(connection);
    }
    update(connection, false);
}

static void on_sent(struct net_socket *socket, size_t length)
{
    struct connection *connection = of_socket(socket);
    struct link *link = &connection->link;
    (void)length;
    exchange_reap(link, false);
    if (link->protocol) {
        link->protocol->ops->on_sent(link->protocol);
    }
    if (link->out->waiting == 0 &&
        !(link->protocol && link->protocol->ops->is_blocked(link->protocol))) {
        timeout_disarm(&connection->write_limit);
        if (link->ending != HTTP_STAYS_OPEN) {
            end_connection(connection);
            return;
        }
    } else {
        arm_write_limit(connection);
    }
    if (socket->kept) {
        net_socket_wake(socket); /* room for the next request */
    }
    update(connection, false);
}

static void on_eof(struct net_socket *socket)
{
    struct connection *connection = of_socket(socket);
    struct link *link = &connection->link;
    if (socket->discarding || !link->protocol) {
        connection_cut(connection);
        return;
    }
    link->peer_ended = true;
    link->protocol->ops->on_eof(link->protocol);
    net_socket_wake(socket);
    update(connection, false);
}

static void on_handshake_failed(struct connection *connection)
{
    connection->server->core.stats.handshakes_failed++;
    if (log_is_enabled(LOG_LEVEL_DEBUG)) {
        log_event(LOG_LEVEL_DEBUG, "tls_handshake_failed",
                  log_text("reason", tls_failure(connection->socket.tls)),
                  log_text("peer", connection->link.peer));
    }
    /* The alert that tells the peer why must not be overtaken by a reset. */
    connection->link.ending = HTTP_ENDS_LINGER;
    end_connection(connection);
}

static void on_error(struct net_socket *socket)
{
    struct connection *connection = of_socket(socket);
    if (net_socket_is_shaking_hands(socket) && tls_state(socket->tls) == TLS_BROKEN) {
        on_handshake_failed(connection);
        return;
    }
    connection_cut(connection);
}

static void on_secured(struct net_socket *socket)
{
    struct connection *connection = of_socket(socket);
    struct link *link = &connection->link;
    struct http_stats *stats = &connection->server->core.stats;
    if (socket->tls) {
        link->secure = true;
        *(tls_is_resumed(socket->tls) ? &stats->handshakes_resumed : &stats->handshakes_full) += 1;
    } else {
        stats->not_tls++;
        link->protocol = h1_new(link);
        if (link->protocol) {
            h1_refuse(link->protocol, 400,
                      "this port speaks HTTPS: write https:// where you wrote http://");
        } else {
            link->ending = HTTP_ENDS_RESET;
        }
        net_socket_wake(socket);
    }
    update(connection, false);
}

static void on_free(struct net_socket *socket)
{
    struct connection *connection = of_socket(socket);
    struct http_server *server = connection->server;
    if (connection->link.successor) {
        connection->link.successor->ops->free(connection->link.successor);
    }
    if (connection->link.protocol) {
        connection->link.protocol->ops->free(connection->link.protocol);
    }
    if (connection->previous) {
        connection->previous->next = connection->next;
    } else {
        server->connections = connection->next;
    }
    if (connection->next) {
        connection->next->previous = connection->previous;
    }
    peers_leave(&server->peers, connection->peer);
    server->refused_count -= connection->refused;
    free(connection);
    server_connection_freed(server);
}

static const struct net_socket_events socket_events = {
    .on_input = on_input,
    .on_secured = on_secured,
    .on_eof = on_eof,
    .on_error = on_error,
    .on_turn = on_turn,
    .on_sent = on_sent,
    .on_free = on_free,
};

static void wake_link(struct link *link)
{
    struct connection *connection =
        (struct connection *)((char *)link - offsetof(struct connection, link));
    net_socket_wake(&connection->socket);
}

/* The server's side. */

void connection_open(struct http_server *server, int fd, const char *peer_text,
                     const struct net_address *address, struct peer *peer, const char *refused)
{
    size_t peer_size = strlen(peer_text) + 1;
    struct connection *connection = calloc(1, sizeof(*connection) + peer_size);
    struct tls_session *session = NULL;
    struct link *link;
    if (!connection) {
        close(fd);
        peers_leave(&server->peers, peer);
        return;
    }
    if (server->tls) {
        /* A connection that is one too many is not worth a handshake. */
        session = refused ? NULL : tls_session_new_server(server->tls, fd);
        if (!session) {
            close(fd);
            free(connection);
            peers_leave(&server->peers, peer);
            return;
        }
    }
    if (!net_socket_init(&connection->socket, &server->net, fd, &socket_events)) {
        tls_session_free(session);
        free(connection);
        peers_leave(&server->peers, peer);
        return;
    }
    net_socket_secure(&connection->socket, session);
    memcpy(connection->peer_text, peer_text, peer_size);
    connection->peer = peer;
    connection->server = server;
    link = &connection->link;
    link->core = &server->core;
    link->out = &connection->socket.out;
    link->peer = connection->peer_text;
    link->address = *address;
    link->wake = wake_link;
    connection->next = server->connections;
    if (connection->next) {
        connection->next->previous = connection;
    }
    server->connections = connection;
    server->core.stats.connections++;
    if (refused) {
        connection->refused = true;
        server->refused_count++;
        link->protocol = h1_new(link);
        if (link->protocol) {
            h1_refuse(link->protocol, 503, refused);
        } else {
            link->ending = HTTP_ENDS_RESET;
        }
        net_socket_wake(&connection->socket);
    }
    update(connection, false);
}

void connection_announce_drain(struct connection *connection)
{
    struct link *link = &connection->link;
    if (connection->socket.closed || !link->protocol || !link->protocol->ops->announce) {
        return;
    }
    link->protocol->ops->announce(link->protocol);
    net_socket_wake(&connection->socket);
    update(connection, false);
}

void connection_drain(struct connection *connection)
{
    struct link *link = &connection->link;
    if (connection->socket.closed) {
        return;
    }
    if (link->protocol) {
        link->protocol->ops->drain(link->protocol);
    } else {
        link->ending = HTTP_ENDS;
    }
    net_socket_wake(&connection->socket);
    update(connection, false);
}

void connection_on_read_limit(struct connection *connection)
{
    struct link *link = &connection->link;
    if (connection->waiting == HTTP_WAIT_HANDSHAKE && !connection->socket.discarding) {
        connection->server->core.stats.handshakes_late++;
    }
    if (connection->socket.discarding || (!link->protocol && connection->preface_matched == 0)) {
        connection_cut(connection);
        return;
    }
    if (connection->waiting == HTTP_WAIT_PEER_CHECK) {
        int peer = net_socket_check_peer(&connection->socket);
        if (peer < 0) {
            connection_cut(connection);
            return;
        }
        link->peer_ended = peer > 0;
        update(connection, false);
        return;
    }
    if (!link->protocol) {
        link->protocol = h1_new(link);
        if (!link->protocol) {
            connection_cut(connection);
            return;
        }
        link->protocol->ops->feed(link->protocol, h2_preface, connection->preface_matched);
    }
    link->protocol->ops->on_timeout(link->protocol);
    swap_protocol(link);
    net_socket_wake(&connection->socket);
    update(connection, false);
}
