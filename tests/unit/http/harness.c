#include "harness.h"

#include "base/log.h"
#include "gateway/http/exchange_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_US INT64_C(1768642200000000) /* 2026-01-17T09:30:00Z */

static struct harness *of(const struct exchange *exchange)
{
    return (struct harness *)exchange->link;
}

/* The handler. Its state is a sum of the body, in the arena. */

struct tally {
    uint64_t bytes, sum;
};

static void add_text(struct harness *harness, const char *what, struct exchange *exchange)
{
    buf_printf(&harness->log, "%s %.*s\n", what, (int)exchange->path.length, exchange->path.data);
}

static void on_body(struct exchange *exchange, struct str data, bool end)
{
    struct tally *tally = exchange_state(exchange);
    size_t i;
    char text[64];
    for (i = 0; i < data.length; i++) {
        tally->sum = tally->sum * 31 + (unsigned char)data.data[i];
    }
    tally->bytes += data.length;
    if (!end) {
        exchange_body_next(exchange);
        return;
    }
    snprintf(text, sizeof(text), "%llu %llx", (unsigned long long)tally->bytes,
             (unsigned long long)tally->sum);
    exchange_respond(exchange, 200, NULL, 0, str_from(text));
}

static void on_too_large(struct exchange *exchange)
{
    exchange_respond(exchange, 413, NULL, 0, STR_LITERAL("too large"));
}

static void on_text(struct websocket *socket, struct str text)
{
    if (str_equal_cstr(text, "close")) {
        websocket_close(socket, 4404, "Call not found");
    } else {
        websocket_send_text(socket, text);
    }
}

static void on_closed(struct websocket *socket, unsigned code)
{
    struct harness *harness = websocket_state(socket);
    buf_printf(&harness->log, "closed %u\n", code);
}

static const struct websocket_handler websocket_handler = {.on_text = on_text,
                                                           .on_closed = on_closed};

static void stream_three(struct exchange *exchange)
{
    struct shared_bytes *bytes = shared_bytes_new("piece", 5);
    if (!bytes) {
        exchange_abort(exchange);
        return;
    }
    exchange_respond_begin(exchange, 200, NULL, 0);
    exchange_write(exchange, bytes);
    exchange_write(exchange, bytes);
    exchange_write(exchange, bytes);
    shared_bytes_unref(bytes);
    exchange_respond_end(exchange);
}

static void on_request(struct exchange *exchange, void *context)
{
    struct harness *harness = of(exchange);
    struct str path = exchange_path(exchange);
    (void)context;
    add_text(harness, "request", exchange);
    exchange_set_state(exchange, ARENA_NEW(exchange_arena(exchange), struct tally));
    if (!exchange_state(exchange)) {
        exchange_respond(exchange, 503, NULL, 0, (struct str){NULL, 0});
    } else if (str_equal_cstr(path, "/body")) {
        exchange_body_start(exchange, on_body);
    } else if (str_equal_cstr(path, "/limit")) {
        exchange_body_limit(exchange, 10, on_too_large);
        exchange_body_start(exchange, on_body);
    } else if (str_equal_cstr(path, "/stream")) {
        stream_three(exchange);
    } else if (str_equal_cstr(path, "/abort")) {
        exchange_respond_begin(exchange, 200, NULL, 0);
        exchange_abort(exchange);
    } else if (str_equal_cstr(path, "/hold") && !harness->held) {
        harness->held = exchange;
    } else if (exchange_wants_websocket(exchange)) {
        exchange_accept_websocket(exchange, (struct str){NULL, 0}, &websocket_handler, harness);
    } else {
        exchange_respond(exchange, 200, NULL, 0, STR_LITERAL("ok"));
    }
}

static void on_gone(struct exchange *exchange)
{
    struct harness *harness = of(exchange);
    add_text(harness, "gone", exchange);
    if (harness->held == exchange) {
        harness->held = NULL;
    }
}

static void on_done(struct exchange *exchange, unsigned status, uint64_t bytes_sent)
{
    (void)bytes_sent;
    buf_printf(&of(exchange)->dones, "%u ", status);
}

static const struct exchange_handler handler = {
    .on_request = on_request, .on_gone = on_gone, .on_done = on_done};

/* The connection. */

static void wake(struct link *link)
{
    ((struct harness *)link)->woken = true;
}

static void swap(struct link *link)
{
    if (link->successor) {
        struct protocol *old = link->protocol;
        link->protocol = link->successor;
        link->successor = NULL;
        old->ops->free(old);
    }
}

void harness_init(struct harness *harness, struct protocol *(*protocol_new)(struct link *link),
                  const struct http_limits *limits)
{
    /* Fuzzers refuse requests by the million. */
    log_configure("harness", LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    memset(harness, 0, sizeof(*harness));
    virtual_clock_init(&harness->clock, START_US);
    if (!http_core_init(&harness->core, limits, &handler, &harness->clock.clock)) {
        abort();
    }
    entropy_init_seeded(&harness->core.entropy, 1);
    outq_pool_init(&harness->pool);
    outq_init(&harness->out, &harness->pool);
    buf_init(&harness->kept, 0);
    buf_init(&harness->sent, 0);
    buf_init(&harness->log, 0);
    buf_init(&harness->dones, 0);
    strcpy(harness->peer, "test");
    harness->link.core = &harness->core;
    harness->link.out = &harness->out;
    harness->link.peer = harness->peer;
    harness->link.wake = wake;
    harness->link.protocol = protocol_new(&harness->link);
    if (!harness->link.protocol) {
        abort();
    }
}

static void offer_kept(struct harness *harness)
{
    struct link *link = &harness->link;
    while (harness->kept.length > 0 && link->ending == HTTP_STAYS_OPEN) {
        size_t taken =
            link->protocol->ops->feed(link->protocol, harness->kept.data, harness->kept.length);
        buf_consume(&harness->kept, taken);
        if (!link->successor && taken == 0) {
            return;
        }
        swap(link);
    }
}

static void send_all(struct harness *harness)
{
    char piece[4096];
    size_t length;
    while ((length = outq_read(&harness->out, piece, sizeof(piece))) > 0) {
        buf_put(&harness->sent, piece, length);
    }
    exchange_reap(&harness->link, false);
    harness->link.protocol->ops->on_sent(harness->link.protocol);
}

/* Turns of the loop until nothing more happens. */
static void turn(struct harness *harness)
{
    int limit = 10000;
    do {
        harness->woken = false;
        harness->link.protocol->ops->run(harness->link.protocol);
        swap(&harness->link);
        offer_kept(harness);
        send_all(harness);
    } while (harness->woken && !harness->out.failed && --limit > 0);
    if (limit == 0) {
        abort(); /* it wakes itself for ever */
    }
}

void harness_feed(struct harness *harness, const void *data, size_t length)
{
    buf_put(&harness->kept, data, length);
    offer_kept(harness);
    turn(harness);
}

void harness_eof(struct harness *harness)
{
    if (harness->link.ending == HTTP_STAYS_OPEN && harness->kept.length == 0) {
        harness->link.protocol->ops->on_eof(harness->link.protocol);
        turn(harness);
    }
}

void harness_timeout(struct harness *harness)
{
    virtual_clock_advance(&harness->clock, 100 * TIME_US_PER_SECOND);
    if (harness->link.protocol->ops->waits_for(harness->link.protocol) != HTTP_WAIT_NOTHING) {
        harness->link.protocol->ops->on_timeout(harness->link.protocol);
        turn(harness);
    }
}

void harness_release(struct harness *harness)
{
    struct exchange *held = harness->held;
    harness->held = NULL;
    if (held) {
        exchange_respond(held, 200, NULL, 0, STR_LITERAL("released"));
        turn(harness);
    }
}

void harness_done(struct harness *harness)
{
    struct link *link = &harness->link;
    link->protocol->ops->gone(link->protocol);
    exchange_reap(link, true);
    if (link->successor) {
        link->successor->ops->free(link->successor);
    }
    link->protocol->ops->free(link->protocol);
    if (harness->core.stats.exchanges || harness->core.stats.websockets) {
        abort(); /* one was forgotten */
    }
    outq_done(&harness->out);
    outq_pool_done(&harness->pool);
    http_core_done(&harness->core);
    buf_done(&harness->kept);
    buf_done(&harness->sent);
    buf_done(&harness->log);
    buf_done(&harness->dones);
}
