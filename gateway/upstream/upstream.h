/* upstream: gRPC calls to one service over HTTP/2, without a gRPC library. One `struct upstream`
 * per thread and service: it finds the addresses, keeps connections, spreads calls over them (least
 * in flight), gives up on those that are away and comes back. Everything runs on the loop's thread;
 * a callback never comes from inside a call into this module. */
#ifndef GATEWAY_UPSTREAM_UPSTREAM_H
#define GATEWAY_UPSTREAM_UPSTREAM_H

#include "app/trace.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct tls_context;
struct upstream;
struct upstream_call;

/* Hears from all calls, whoever makes them, who a service says is asking. */
struct upstream_observer {
    /* A service has verified this authorization, and it is that principal's. */
    void (*on_principal)(void *context, const char *authorization, struct str principal);
    void *context;
};

/* 0 takes the default in brackets. */
struct upstream_options {
    int64_t connect_timeout_us; /* [2 s] */
    int64_t ping_idle_us; /* [20 s] nothing heard while calls wait: ask whether the peer lives */
    unsigned connections; /* [1] to each address, always open */
    unsigned max_connections;  /* [16] to each address, opened when the others are full */
    unsigned max_streams;      /* [1000] calls on one connection */
    unsigned max_pending;      /* [4096] calls that wait for a connection */
    size_t max_response_bytes; /* [32 MB] one message */
    /* Where there are several addresses: watches grpc.health.v1 on each connection, and asks who
     * does not serve only when nobody else is there. */
    bool watch_health;
    const struct upstream_observer *observer; /* borrowed; NULL: nobody */
    /* Every call says that the service must verify who is asking: one that was started with
     * --auth off then refuses, instead of making everybody who passes us an administrator. */
    bool authenticates;
    /* Addresses that are not unix sockets are spoken to through TLS. Borrowed; NULL: plain. */
    struct tls_context *tls;
};

/* addresses: "127.0.0.1:7001", "skillbase:7001" (every address of the DNS name), "unix:/path", or a
 * comma list of them. Nothing is connected before the first call. name is for messages
 * ("skillbase"). NULL with err when an address is malformed. */
struct upstream *upstream_new(struct loop *loop, const char *name, const char *addresses,
                              const struct upstream_options *options, struct err *err);
/* Ends what is under way without callbacks. NULL is allowed. */
void upstream_free(struct upstream *upstream);

struct upstream_handler {
    /* One message of a server stream; valid during the call. NULL for calls with one reply: see
     * upstream_call_reply(). */
    void (*on_message)(struct upstream_call *call, struct str message);
    /* Less than 64 KB wait to be sent. May be NULL. */
    void (*on_writable)(struct upstream_call *call);
    /* The end: last callback. status->code is ERR_OK or what failed; its violations live in the
     * request's arena. */
    void (*on_done)(struct upstream_call *call, const struct err *status);
};

struct upstream_request {
    const char *path;   /* "/package.Service/Method" */
    struct str message; /* the request; must stay until on_done. Ignored when streaming */
    bool streaming;     /* messages come through upstream_call_send() */
    bool is_read; /* changes nothing: may be asked twice where it is unclear whether it was begun */
    int64_t timeout_us;        /* 0: none */
    const char *request_id;    /* NULL: none */
    const char *traceparent;   /* NULL: none; not looked at when the call has a span of its own */
    struct trace_parent trace; /* records a span for the call below this one; zero: none */
    /* "Bearer …": handed on as it came, must stay until on_done. NULL: none. */
    const char *authorization;
    bool principal_known;       /* of that authorization: the observer need not hear of it */
    const char *client_address; /* "192.0.2.1": told to the service. NULL: none */
    bool check_only;            /* the service checks the message and does nothing else */
    bool has_if_match;
    int64_t if_match_us;
    struct arena *arena; /* for violations; NULL: they are not wanted */
};

/* NULL only when memory is short. What else fails comes through on_done. */
struct upstream_call *upstream_call_start(struct upstream *upstream,
                                          const struct upstream_request *request,
                                          const struct upstream_handler *handler, void *context);
void *upstream_call_context(const struct upstream_call *call);
/* In on_done with ERR_OK: the one reply. */
struct str upstream_call_reply(const struct upstream_call *call);
/* Client streaming: appends one message; gives the bytes that wait. Stop
 * above 128 KB until on_writable. */
size_t upstream_call_send(struct upstream_call *call, struct str message);
void upstream_call_half_close(struct upstream_call *call);
size_t upstream_call_waiting(const struct upstream_call *call);
/* Back-pressure of a server stream: while paused the stream's window is not opened again, so that
 * the service stops by itself. What it may send meanwhile, at most 256 KB, still comes through
 * on_message. */
void upstream_call_pause(struct upstream_call *call, bool paused);
/* RST_STREAM CANCEL; no callback comes any more. Not from inside its own on_done. */
void upstream_call_cancel(struct upstream_call *call);

struct upstream_stats {
    uint32_t in_flight, connections;
    uint64_t calls, connects, connect_failures, connections_lost, retries;
    uint64_t failures_by_code[17];
};
void upstream_stats(const struct upstream *upstream, struct upstream_stats *ret_stats);

#endif
