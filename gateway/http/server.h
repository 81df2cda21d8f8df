/* server: listens on one address and turns connections (HTTP/1.1, HTTP/2 by prior knowledge,
 * WebSocket) into exchanges. */
#ifndef GATEWAY_HTTP_SERVER_H
#define GATEWAY_HTTP_SERVER_H

#include "base/err.h"
#include "gateway/http/exchange.h"
#include "gateway/net/address.h"
#include "loop/loop.h"

/* All are limits against a hostile or broken client; 0 takes the default in brackets. */
struct http_limits {
    uint32_t connections;      /* [10000] a thread; beyond: accepted and closed with 503 */
    uint32_t header_bytes;     /* [32 KB] request line and headers together → 431 */
    uint32_t header_count;     /* [100] → 431 */
    uint32_t target_bytes;     /* [8 KB] → 414 */
    int64_t header_timeout_us; /* [10 s] from the first byte to the end of headers → 408 */
    int64_t body_idle_us;      /* [30 s] between two pieces of a body → 408 */
    int64_t keep_alive_us;     /* [75 s] between two requests */
    int64_t write_idle_us;     /* [60 s] a client that takes nothing of a waiting answer is cut */
    uint32_t
        pipeline_depth; /* [16] HTTP/1.1 requests waiting on one connection: reading stops beyond */
    uint32_t streams;   /* [128] HTTP/2 streams of one connection */
    uint32_t
        resets_per_second; /* [200] HTTP/2 RST_STREAM from the peer → GOAWAY ENHANCE_YOUR_CALM */
    size_t output_bytes;   /* [4 MB] waiting for one connection: then writers see "not drained" */
    size_t websocket_message_bytes; /* [64 KB] → close 1009 */
    size_t websocket_output_bytes;  /* [256 KB] waiting for one socket → close 1013 */
    size_t arena_bytes;             /* [1 MB] of one exchange */
    int64_t drain_idle_us;          /* [0] at stop, for a last request of idle connections */
    int64_t handshake_timeout_us;   /* [10 s] from the connection to the end of the TLS handshake */
    int64_t websocket_ping_us;      /* [30 s] between protocol pings; two unanswered: cut */
    /* Connections of one address (an IPv6 /64), a thread → 503; 0: none. Peers in `uncounted`
     * (NULL: nobody), behind which others stand, have no such limit. */
    uint32_t connections_per_address;
    const struct net_networks *uncounted;
    /* Bytes a second that a body must bring over each body_idle_us (else 408), and a client must
     * take of a waiting answer over each write_idle_us (else cut). 0: a single one is enough. */
    uint32_t least_rate_bytes;
    /* [500] HTTP/2 frames of one connection that bring nothing (PING, SETTINGS, PRIORITY, empty
     * DATA, unknown ones, WINDOW_UPDATE beyond those for what was sent) → GOAWAY ENHANCE_YOUR_CALM
     */
    uint32_t control_frames_per_second;
    uint32_t websocket_frames_per_second; /* [200] of one socket, a burst of twice as many → 1008 */
    uint32_t websocket_fragments;         /* [1024] of one message → 1008 */
    /* [256 MB] of output of all connections of a thread: above it those that take theirs slowest
     * are cut. */
    size_t all_output_bytes;
};

/* What was refused or ended for passing a limit. */
enum http_limit {
    HTTP_LIMIT_CONNECTIONS,      /* 503 */
    HTTP_LIMIT_IDLE_CONNECTIONS, /* closed to make room for others */
    HTTP_LIMIT_ADDRESS,          /* 503: too many connections of one address */
    HTTP_LIMIT_HEADER_SIZE,      /* 431, 414, or GOAWAY */
    HTTP_LIMIT_HEADER_TIME,      /* 408, or GOAWAY */
    HTTP_LIMIT_BODY_TIME,        /* 408 */
    HTTP_LIMIT_WRITE_TIME,       /* cut */
    HTTP_LIMIT_OUTPUT,           /* cut: all_output_bytes */
    HTTP_LIMIT_RESETS,           /* GOAWAY */
    HTTP_LIMIT_CONTROL_FRAMES,   /* GOAWAY */
    HTTP_LIMIT_CONTINUATIONS,    /* GOAWAY */
    HTTP_LIMIT_WEBSOCKET_FRAMES, /* 1008 */
    HTTP_LIMIT_WEBSOCKET_SIZE,   /* 1009 */
    HTTP_LIMIT_COUNT
};
extern const char *const http_limit_names[HTTP_LIMIT_COUNT]; /* for figures: "header_time" */

struct http_server;
struct tls_context;
/* address "127.0.0.1:8000", "[::1]:8000", "localhost:8000", port 0 for a free one. reuse_port:
 * several threads on one address. */
struct http_server *http_server_start(struct loop *loop, const char *address, bool reuse_port,
                                      const struct http_limits *limits,
                                      const struct exchange_handler *handler, struct err *err);
/* All its connections speak TLS from here on; before the loop runs. The context is borrowed. */
void http_server_secure(struct http_server *server, struct tls_context *tls);
int http_server_port(const struct http_server *server);
/* Takes what has been accepted by the kernel and stops accepting; tells all to go (Connection:
 * close, GOAWAY, WebSocket 1001); an idle connection may still bring a request, which its client
 * may be sending just now, for drain_idle_us; lets exchanges finish; then calls done. */
void http_server_stop(struct http_server *server, int64_t grace_us, void (*done)(void *context),
                      void *context);
/* Cuts what is left: on_gone, on_done and on_closed come from within. Itself it is freed at the end
 * of the turn. NULL is allowed. */
void http_server_free(struct http_server *server);

struct http_stats {
    uint64_t connections_accepted, requests, bytes_in, bytes_out, protocol_errors;
    uint32_t connections, exchanges, websockets;
    /* TLS: handshakes that succeeded, with a session's ticket or without; that failed, or did not
     * end in time; connections without TLS. */
    uint64_t handshakes_full, handshakes_resumed, handshakes_failed, handshakes_late, not_tls;
    uint64_t limited[HTTP_LIMIT_COUNT];
    size_t output_bytes; /* waiting in all connections */
};
void http_server_stats(const struct http_server *server, struct http_stats *ret_stats);

#endif
