/* HTTP/1 connections: one request after the other, its body as it is asked for, and what ends them.
 *
 * A good request: feed ─▶ h1_read_head ─▶ head_is_whole ─▶ on_request … read_body ─▶ on_data …
 * answer ─▶ settle ─▶ next. A bad one: h1_fail: a problem, then the end of the connection, since
 * nobody knows where the next request would start. */
#include "gateway/http/h1_internal.h"

#include <stdlib.h>
#include <string.h>

/* Ends. */

static void set_end(struct h1 *h1, enum http_ending ending)
{
    h1->state = H1_END;
    if (h1->protocol.link->ending < ending) {
        h1->protocol.link->ending = ending;
    }
}

void h1_fail(struct h1 *h1, unsigned status, const char *detail)
{
    struct exchange *exchange = h1->exchange;
    h1->protocol.link->core->stats.protocol_errors++;
    if (status == 431 || status == 414) {
        http_count_limit(h1->protocol.link->core, HTTP_LIMIT_HEADER_SIZE);
    }
    if (exchange && exchange->begun) {
        /* Too late for another answer: cut this one so that it is seen. */
        set_end(h1, exchange->http_minor == 0 ? HTTP_ENDS_RESET : HTTP_ENDS);
    } else {
        h1_put_problem(h1, status, detail);
        set_end(h1, HTTP_ENDS_LINGER);
    }
    h1->exchange = NULL;
    if (exchange) {
        exchange_gone(exchange);
    }
}

/* The head. */

static bool start_request(struct h1 *h1)
{
    h1->exchange = exchange_new(h1->protocol.link, &h1->protocol, &h1_exchange_ops);
    if (!h1->exchange) {
        h1_fail(h1, 503, "the server is out of memory");
        return false;
    }
    llhttp_reset(&h1->parser);
    h1->state = H1_HEAD;
    h1->protocol.heads_begun++;
    h1->head_bytes = 0;
    h1->last_byte = 0;
    h1->fail_status = 0;
    h1->message_complete = false;
    h1->chunked = false;
    h1->close_after = false;
    return true;
}

/* The body. */

static size_t read_sized_body(struct h1 *h1, const char *data, size_t length)
{
    struct exchange *exchange = h1->exchange;
    size_t taken = length < h1->body_left ? length : (size_t)h1->body_left;
    bool discard = h1->state == H1_DISCARD;
    h1->body_left -= taken;
    if (h1->body_left == 0) {
        h1->state = discard ? H1_IDLE : H1_ANSWER;
    }
    if (!discard) {
        exchange_deliver(exchange, (struct str){data, taken}, h1->body_left == 0);
    }
    return taken;
}

static size_t read_chunked_body(struct h1 *h1, const char *data, size_t length)
{
    struct exchange *exchange = h1->exchange;
    enum llhttp_errno code;
    size_t taken;
    struct str piece;

    h1->piece = (struct str){NULL, 0};
    code = llhttp_execute(&h1->parser, data, length);
    if (code != HPE_OK && code != HPE_PAUSED) {
        h1_fail_parse(h1, code);
        return length;
    }
    taken = code == HPE_OK ? length : (size_t)(llhttp_get_error_pos(&h1->parser) - data);
    llhttp_resume(&h1->parser);
    piece = h1->piece;
    h1->head_bytes = piece.length ? 0 : h1->head_bytes + taken;
    if (h1->head_bytes > h1->protocol.link->core->limits.header_bytes) {
        h1_fail(h1, 431, "a chunk extension or the trailers are too large");
        return length;
    }
    if (piece.length > 0) {
        exchange_deliver(exchange, piece, false);
    } else if (h1->message_complete) {
        h1->state = H1_ANSWER;
        exchange_deliver(exchange, (struct str){"", 0}, true);
    }
    return taken;
}

/* The answer is complete: what becomes of the connection? */
static void settle(struct h1 *h1)
{
    struct exchange *exchange = h1->exchange;
    struct link *link = h1->protocol.link;
    h1->exchange = NULL;
    if (exchange->aborted) {
        /* Without the last chunk; or, where the end of the connection is the end of the answer,
         * with a reset. */
        set_end(h1, exchange->http_minor == 0 || !exchange->begun ? HTTP_ENDS_RESET : HTTP_ENDS);
    } else if (h1->state == H1_UPGRADED) {
        ;
    } else if (h1->close_after) {
        set_end(h1, h1->state == H1_BODY ? HTTP_ENDS_LINGER : HTTP_ENDS);
    } else {
        h1->state = h1->state == H1_BODY ? H1_DISCARD : H1_IDLE;
    }
    exchange_finish(exchange);
    link->wake(link);
}

/* What needs no input. */
static void pump(struct h1 *h1)
{
    struct exchange *exchange;
    while ((exchange = h1->exchange) != NULL && h1->state != H1_HEAD) {
        if (exchange->complete) {
            settle(h1);
        } else if (exchange_body_is_due(exchange)) {
            exchange_deliver(exchange, (struct str){"", 0}, true);
        } else {
            return;
        }
    }
}

static bool has_room_for_request(const struct h1 *h1)
{
    const struct link *link = h1->protocol.link;
    return link->finishing_count < link->core->limits.pipeline_depth &&
           link->out->waiting < link->core->limits.output_bytes;
}

static bool can_take(const struct h1 *h1)
{
    switch (h1->state) {
    case H1_IDLE:
        return has_room_for_request(h1);
    case H1_BODY:
        return h1->exchange->body_ready && !h1->exchange->body_refused;
    case H1_HEAD:
    case H1_DISCARD:
    case H1_END:
        return true;
    case H1_ANSWER:
    case H1_UPGRADED:
        break;
    }
    return false;
}

static size_t step(struct h1 *h1, const char *data, size_t length)
{
    switch (h1->state) {
    case H1_IDLE:
        if (!start_request(h1)) {
            return length;
        }
        return h1_read_head(h1, data, length);
    case H1_HEAD:
        return h1_read_head(h1, data, length);
    case H1_BODY:
        return h1->chunked ? read_chunked_body(h1, data, length)
                           : read_sized_body(h1, data, length);
    case H1_DISCARD:
        return read_sized_body(h1, data, length);
    default:
        return length; /* the end: nobody listens */
    }
}

static size_t feed(struct protocol *protocol, const char *data, size_t length)
{
    struct h1 *h1 = (struct h1 *)protocol;
    size_t taken = 0;
    h1->busy = true;
    for (;;) {
        pump(h1);
        if (taken == length || !can_take(h1)) {
            break;
        }
        taken += step(h1, data + taken, length - taken);
    }
    h1->busy = false;
    return taken;
}

static void run(struct protocol *protocol)
{
    struct h1 *h1 = (struct h1 *)protocol;
    h1->busy = true;
    pump(h1);
    h1->busy = false;
}

static void on_sent(struct protocol *protocol)
{
    struct h1 *h1 = (struct h1 *)protocol;
    struct exchange *exchange = h1->exchange;
    if (exchange && exchange->drain_wanted && !exchange->complete &&
        protocol->link->out->waiting < HTTP_DRAINED_BELOW_BYTES) {
        exchange->drain_wanted = false;
        if (exchange->on_drained) {
            exchange->on_drained(exchange);
        }
    }
}

/* The end of the connection seen from the peer's side. */

static void drop_exchange(struct h1 *h1)
{
    struct exchange *exchange = h1->exchange;
    h1->exchange = NULL;
    if (exchange) {
        exchange_gone(exchange);
    }
}

static void on_eof(struct protocol *protocol)
{
    struct h1 *h1 = (struct h1 *)protocol;
    h1->eof = true;
    switch (h1->state) {
    case H1_HEAD:
    case H1_BODY:
        h1_fail(h1, 400, "the request was cut off");
        break;
    case H1_ANSWER:
        /* It may have ended only its own side (shutdown): a short while for an answer that has not
         * begun. */
        if (h1->exchange->begun) {
            drop_exchange(h1);
            set_end(h1, HTTP_ENDS);
        }
        break;
    case H1_IDLE:
    case H1_DISCARD:
    case H1_UPGRADED:
    case H1_END:
        set_end(h1, HTTP_ENDS);
        break;
    }
}

static enum http_wait waits_for(const struct protocol *protocol)
{
    const struct h1 *h1 = (const struct h1 *)protocol;
    switch (h1->state) {
    case H1_IDLE:
        return HTTP_WAIT_REQUEST;
    case H1_HEAD:
        return HTTP_WAIT_HEADER;
    case H1_BODY:
        return can_take(h1) ? HTTP_WAIT_BODY : HTTP_WAIT_NOTHING;
    case H1_DISCARD:
        return HTTP_WAIT_BODY;
    case H1_ANSWER:
        return h1->eof || protocol->link->peer_ended ? HTTP_WAIT_ANSWER_AFTER_EOF
                                                     : HTTP_WAIT_NOTHING;
    default:
        return HTTP_WAIT_NOTHING;
    }
}

static void on_timeout(struct protocol *protocol)
{
    struct h1 *h1 = (struct h1 *)protocol;
    switch (h1->state) {
    case H1_HEAD:
        http_count_limit(protocol->link->core, HTTP_LIMIT_HEADER_TIME);
        h1_fail(h1, 408, "the headers of the request took too long");
        break;
    case H1_BODY:
        http_count_limit(protocol->link->core, HTTP_LIMIT_BODY_TIME);
        h1_fail(h1, 408, "the body of the request took too long");
        break;
    case H1_ANSWER:
        drop_exchange(h1);
        set_end(h1, HTTP_ENDS_RESET);
        break;
    default:
        set_end(h1, HTTP_ENDS);
    }
}

static bool wants_input(const struct protocol *protocol)
{
    const struct h1 *h1 = (const struct h1 *)protocol;
    /* While an answer is made reading goes on, to notice that the peer has gone; a pipelined
     * request is kept unread. */
    return h1->state == H1_ANSWER || can_take(h1);
}

static bool is_blocked(const struct protocol *protocol)
{
    (void)protocol;
    return false;
}

static void drain(struct protocol *protocol)
{
    struct h1 *h1 = (struct h1 *)protocol;
    /* A request under way is answered: its answer says close. */
    if (h1->state == H1_IDLE || h1->state == H1_DISCARD) {
        set_end(h1, HTTP_ENDS);
    }
    h1->keep_alive = false;
    if (h1->exchange && h1->exchange->begun) {
        h1->close_after = true;
    }
}

static void gone(struct protocol *protocol)
{
    struct h1 *h1 = (struct h1 *)protocol;
    drop_exchange(h1);
    h1->state = H1_END;
}

static void free_h1(struct protocol *protocol)
{
    struct h1 *h1 = (struct h1 *)protocol;
    drop_exchange(h1);
    free(h1);
}

static const struct protocol_ops h1_ops = {
    .feed = feed,
    .run = run,
    .on_sent = on_sent,
    .on_eof = on_eof,
    .on_timeout = on_timeout,
    .is_blocked = is_blocked,
    .wants_input = wants_input,
    .waits_for = waits_for,
    .drain = drain,
    .gone = gone,
    .free = free_h1,
};

struct protocol *h1_new(struct link *link)
{
    struct h1 *h1 = calloc(1, sizeof(*h1));
    if (!h1) {
        return NULL;
    }
    h1->protocol.ops = &h1_ops;
    h1->protocol.link = link;
    llhttp_init(&h1->parser, HTTP_REQUEST, &h1_parser_settings);
    h1->parser.data = h1;
    return &h1->protocol;
}

void h1_refuse(struct protocol *protocol, unsigned status, const char *detail)
{
    h1_fail((struct h1 *)protocol, status, detail);
}
