/* gateway: what all threads share (read-only once started), and what each thread has of its own. */
#ifndef GATEWAY_CALL_GATEWAY_H
#define GATEWAY_CALL_GATEWAY_H

#include "base/buf.h"
#include "base/time.h"
#include "gateway/call/limits.h"
#include "gateway/call/stats.h"
#include "gateway/http/server.h"
#include "gateway/policy/cors.h"
#include "gateway/route/router.h"
#include "gateway/upstream/upstream.h"
#include "loop/loop.h"
#include "schema/schema.h"

#define GATEWAY_BACKENDS_MAX 8

struct exporter;
struct pages;
struct live;
struct secure;

struct gateway_options {
    int64_t body_limit_bytes;   /* a JSON body */
    int64_t upload_limit_bytes; /* an uploaded file */
    int64_t timeout_us;         /* of calls whose method names none */
    int64_t max_in_flight;      /* requests under way, each thread */
    int64_t body_memory_bytes;  /* JSON bodies that are being collected, each thread */
    int64_t live_buffer_bytes;  /* events kept for each watched stream */
    int64_t live_stall_us; /* a watcher that holds up others, or fell behind, and takes nothing */
    int64_t live_behind;   /* watchers of each thread that may catch up by themselves */
    bool access_log;
    bool authenticates; /* --auth token: a request without credentials goes no further */
};

struct gateway {
    struct gateway_options options;
    const struct schema *schema;
    struct router *router;
    struct cors *cors;
    struct limits *limits;
    struct pages *pages;
    struct secure *secure;
    char hsts[32]; /* Strict-Transport-Security for those who came over TLS; empty: not said */
    const char *backends[GATEWAY_BACKENDS_MAX];
    unsigned backend_count;
    struct worker *workers;
    unsigned worker_count;
};

struct worker {
    struct gateway *gateway;
    unsigned index;
    struct loop *loop;
    struct http_server *server;
    struct exchange_handler handler;
    struct upstream *upstreams[GATEWAY_BACKENDS_MAX]; /* in the order of gateway->backends */
    struct upstream_observer observer;                /* of their answers */
    struct upstream **route_upstreams;                /* by route->index */
    struct live *live;
    struct entropy entropy;
    struct stats stats;
    struct exporter *exporter; /* of the tracer's batches */
    struct tracer *tracer;     /* NULL: tracing is off */
    void (*drained)(void *context);
    void *drained_context;
    uint32_t in_flight;
    size_t body_bytes; /* of JSON bodies that are being collected */
    bool draining;
    /* Scratch: used within one callback, never across. */
    struct buf wire, json, text;
};

#endif
