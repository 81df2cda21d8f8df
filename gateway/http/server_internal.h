/* server_internal: the server and its connections: which protocol a connection speaks, its time
 * limits, its end. */
#ifndef GATEWAY_HTTP_SERVER_INTERNAL_H
#define GATEWAY_HTTP_SERVER_INTERNAL_H

#include "gateway/http/link.h"
#include "gateway/http/peers.h"
#include "gateway/net/listener.h"
#include "gateway/net/socket.h"
#include "gateway/net/timeouts.h"

struct connection {
    struct net_socket socket; /* first member */
    struct link link;
    struct http_server *server;
    struct connection *previous, *next;
    struct timeout read_limit, write_limit;
    enum http_wait waiting; /* what read_limit stands for */
    unsigned heads_seen;    /* protocol->heads_begun when read_limit was armed */
    struct peer *peer;      /* NULL: not counted */
    bool refused;
    uint64_t received;       /* bytes, ever */
    uint64_t read_mark;      /* of them when read_limit was armed */
    uint64_t write_mark;     /* bytes sent when write_limit was armed */
    bool offering;           /* in on_turn(): kept input is offered again, and the turn goes on */
    uint8_t preface_matched; /* bytes of the HTTP/2 preface, before the protocol is known */
    char peer_text[];
};

struct http_server {
    struct http_core core;
    struct net net;
    struct loop *loop;
    struct net_listener *listener;
    struct tls_context *tls; /* borrowed; NULL: plain */
    int port;
    struct connection *connections;
    uint32_t refused_count; /* of them */
    struct peers peers;
    struct timeout_list waits[HTTP_WAIT_COUNT];
    struct timeout_list writes, lingers;
    struct loop_timer *sweeper, *sweep_again, *grace, *idle;
    void (*on_stopped)(void *context);
    void *stopped_context;
    bool stopping;
};

/* Owns fd. peer: counted there already, left when it is freed; NULL: not counted. refused: answer
 * 503 with this sentence and end; NULL: not so. */
void connection_open(struct http_server *server, int fd, const char *peer_text,
                     const struct net_address *address, struct peer *peer, const char *refused);
/* Ends it now; what is under way above hears that it has gone. */
void connection_cut(struct connection *connection);
void connection_announce_drain(struct connection *connection);
void connection_drain(struct connection *connection);
void connection_on_read_limit(struct connection *connection);
/* A connection has been freed. */
void server_connection_freed(struct http_server *server);

#endif
