/* The exchange: what is the same whatever protocol carries it. The life of one:
 *
 *   exchange_new ─▶ (head is read) ─▶ exchange_announce = on_request ─▶ body pieces ─▶ answer
 * complete ─▶ exchange_finish │ refused                         │ peer gone │ its last byte sent ▼
 * ▼                                  ▼ exchange_free                 on_gone, on_done, free
 * on_done, free
 */
#include "gateway/http/exchange_internal.h"

#include <stdlib.h>
#include <string.h>

#define POOLED_MAX 256u /* 1.2 MB */

struct exchange *exchange_new(struct link *link, struct protocol *protocol,
                              const struct exchange_ops *ops)
{
    struct http_core *core = link->core;
    struct exchange *exchange = core->free_exchanges;
    if (exchange) {
        core->free_exchanges = exchange->next;
        core->free_exchange_count--;
    } else {
        exchange = malloc(sizeof(*exchange));
        if (!exchange) {
            return NULL;
        }
    }
    memset(exchange, 0, offsetof(struct exchange, head));
    head_init(&exchange->head);
    exchange->link = link;
    exchange->protocol = protocol;
    exchange->ops = ops;
    exchange->body_limit = UINT64_MAX;
    exchange->content_length = -1;
    outq_init(&exchange->out, link->out->pool);
    buf_init(&exchange->in, 0);
    core->stats.exchanges++;
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    struct http_core *core;
    if (!exchange) {
        return;
    }
    core = exchange->link->core;
    core->stats.exchanges--;
    arena_free(exchange->arena);
    head_done(&exchange->head);
    outq_done(&exchange->out);
    buf_done(&exchange->in);
    if (core->free_exchange_count < POOLED_MAX) {
        exchange->next = core->free_exchanges;
        core->free_exchanges = exchange;
        core->free_exchange_count++;
    } else {
        free(exchange);
    }
}

void exchange_pool_free(struct http_core *core)
{
    while (core->free_exchanges) {
        struct exchange *exchange = core->free_exchanges;
        core->free_exchanges = exchange->next;
        free(exchange);
    }
    core->free_exchange_count = 0;
}

/* From the protocols. */

void exchange_announce(struct exchange *exchange)
{
    struct http_core *core = exchange->link->core;
    core->stats.requests++;
    exchange->announced = true;
    core->handler->on_request(exchange, core->handler->context);
}

bool exchange_body_is_due(const struct exchange *exchange)
{
    if (!exchange->body_asked || !exchange->body_ready || exchange->body_ended ||
        exchange->body_refused || exchange->complete) {
        return false;
    }
    return exchange->content_length == 0 ||
           (exchange->content_length > 0 &&
            (uint64_t)exchange->content_length > exchange->body_limit);
}

void exchange_deliver(struct exchange *exchange, struct str data, bool end)
{
    exchange->body_received += data.length;
    exchange->body_ready = false;
    if (exchange->body_received > exchange->body_limit ||
        (exchange->content_length > 0 &&
         (uint64_t)exchange->content_length > exchange->body_limit)) {
        exchange->body_refused = true;
        exchange->on_too_large(exchange);
        return;
    }
    exchange->body_ended = end;
    exchange->on_data(exchange, data, end);
}

bool exchange_is_framing(struct str name)
{
    switch (name.length) {
    case 4:
        return str_equal(name, STR_LITERAL("date"));
    case 10:
        return str_equal(name, STR_LITERAL("connection")) ||
               str_equal(name, STR_LITERAL("keep-alive"));
    case 14:
        return str_equal(name, STR_LITERAL("content-length"));
    case 17:
        return str_equal(name, STR_LITERAL("transfer-encoding"));
    default:
        return false;
    }
}

static void done(struct exchange *exchange)
{
    const struct exchange_handler *handler = exchange->link->core->handler;
    if (exchange->announced && handler->on_done) {
        handler->on_done(exchange, exchange->status, exchange->bytes_sent);
    }
    exchange_free(exchange);
}

void exchange_gone(struct exchange *exchange)
{
    if (exchange->announced && !exchange->complete) {
        exchange->complete = true;
        exchange->link->core->handler->on_gone(exchange);
    }
    done(exchange);
}

void exchange_finish(struct exchange *exchange)
{
    struct link *link = exchange->link;
    exchange->sent_mark = link->out->queued_total;
    exchange->next = NULL;
    if (link->finishing_last) {
        link->finishing_last->next = exchange;
    } else {
        link->finishing_first = exchange;
    }
    link->finishing_last = exchange;
    link->finishing_count++;
}

void exchange_reap(struct link *link, bool all)
{
    while (link->finishing_first) {
        struct exchange *exchange = link->finishing_first;
        if (!all && exchange->sent_mark > link->out->sent_total) {
            return;
        }
        link->finishing_first = exchange->next;
        if (!link->finishing_first) {
            link->finishing_last = NULL;
        }
        link->finishing_count--;
        done(exchange);
    }
}

/* From above. */

struct str exchange_method(const struct exchange *exchange)
{
    return exchange->method;
}

struct str exchange_path(const struct exchange *exchange)
{
    return exchange->path;
}

struct str exchange_query(const struct exchange *exchange)
{
    return exchange->query;
}

struct str exchange_authority(const struct exchange *exchange)
{
    return exchange->authority;
}

int exchange_http_major(const struct exchange *exchange)
{
    return exchange->http_major;
}

struct str exchange_header(const struct exchange *exchange, const char *lower_case_name)
{
    const struct header *field = head_find(&exchange->head, str_from(lower_case_name));
    return field ? field->value : (struct str){NULL, 0};
}

size_t exchange_headers(const struct exchange *exchange, const struct header **ret_headers)
{
    *ret_headers = exchange->head.fields;
    return exchange->head.field_count;
}

bool exchange_is_secure(const struct exchange *exchange)
{
    return exchange->link->secure;
}

const char *exchange_peer(const struct exchange *exchange)
{
    return exchange->link->peer;
}

const struct net_address *exchange_peer_address(const struct exchange *exchange)
{
    return &exchange->link->address;
}

struct arena *exchange_arena(struct exchange *exchange)
{
    struct http_core *core = exchange->link->core;
    if (!exchange->arena) {
        exchange->arena = arena_new(core->limits.arena_bytes);
        if (!exchange->arena) {
            return core
                ->exhausted_arena; /* from which nothing comes: the caller checks for that anyway */
        }
    }
    return exchange->arena;
}

int64_t exchange_content_length(const struct exchange *exchange)
{
    return exchange->content_length;
}

void exchange_set_state(struct exchange *exchange, void *state)
{
    exchange->state = state;
}

void *exchange_state(const struct exchange *exchange)
{
    return exchange->state;
}

void exchange_body_limit(struct exchange *exchange, uint64_t limit_bytes,
                         void (*on_too_large)(struct exchange *exchange))
{
    exchange->body_limit = limit_bytes;
    exchange->on_too_large = on_too_large;
}

void exchange_body_start(struct exchange *exchange,
                         void (*on_data)(struct exchange *exchange, struct str data, bool end))
{
    if (exchange->complete || exchange->body_asked) {
        return;
    }
    exchange->on_data = on_data;
    exchange->body_asked = true;
    exchange->body_ready = true;
    exchange->ops->body_wanted(exchange);
}

void exchange_body_next(struct exchange *exchange)
{
    if (exchange->complete || !exchange->body_asked || exchange->body_ended) {
        return;
    }
    exchange->body_ready = true;
    exchange->ops->body_wanted(exchange);
}

/* A status that cannot be a final answer is a bug above; the client must not wait for ever. */
static unsigned final_status(unsigned status)
{
    return status >= 200 && status <= 999 ? status : 500;
}

static void begin_answer(struct exchange *exchange, unsigned status)
{
    exchange->begun = true;
    exchange->status = status;
    exchange->bodyless = exchange->is_head || status == 204 || status == 304;
}

void exchange_respond(struct exchange *exchange, unsigned status, const struct header *headers,
                      size_t header_count, struct str body)
{
    if (exchange->begun || exchange->complete) {
        return;
    }
    status = final_status(status);
    begin_answer(exchange, status);
    exchange->complete = true;
    exchange->ops->respond(exchange, status, headers, header_count, body);
}

void exchange_respond_begin(struct exchange *exchange, unsigned status,
                            const struct header *headers, size_t header_count)
{
    if (exchange->begun || exchange->complete) {
        return;
    }
    status = final_status(status);
    begin_answer(exchange, status);
    exchange->ops->begin(exchange, status, headers, header_count);
}

size_t exchange_write(struct exchange *exchange, struct shared_bytes *bytes)
{
    size_t waiting;
    if (!exchange->begun || exchange->complete || exchange->bodyless || bytes->length == 0) {
        return 0;
    }
    waiting = exchange->ops->write(exchange, bytes);
    if (waiting >= HTTP_DRAINED_BELOW_BYTES) {
        exchange->drain_wanted = true;
    }
    return waiting;
}

size_t exchange_waiting(const struct exchange *exchange)
{
    /* HTTP/2 has a queue for each stream, whose windows differ; HTTP/1 only the connection's. */
    return exchange->http_major == 2 ? exchange->out.waiting : exchange->link->out->waiting;
}

void exchange_on_drained(struct exchange *exchange, void (*fn)(struct exchange *exchange))
{
    exchange->on_drained = fn;
}

void exchange_respond_end(struct exchange *exchange)
{
    if (!exchange->begun || exchange->complete) {
        return;
    }
    exchange->complete = true;
    exchange->ops->end(exchange);
}

void exchange_abort(struct exchange *exchange)
{
    if (exchange->complete) {
        return;
    }
    exchange->complete = true;
    exchange->aborted = true;
    exchange->ops->abort(exchange);
}

bool exchange_wants_websocket(const struct exchange *exchange)
{
    return exchange->wants_websocket;
}

struct websocket *exchange_accept_websocket(struct exchange *exchange, struct str protocol,
                                            const struct websocket_handler *handler, void *state)
{
    struct websocket *socket;
    if (!exchange->wants_websocket || exchange->begun || exchange->complete) {
        return NULL;
    }
    socket = exchange->ops->accept_websocket(exchange, protocol, handler, state);
    if (!socket) {
        exchange_abort(exchange);
    }
    return socket;
}
