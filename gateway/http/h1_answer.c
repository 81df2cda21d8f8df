/* HTTP/1 answers: heads, whole and chunked bodies, problems, the switch to WebSocket. */
#include "gateway/http/h1_internal.h"
#include "gateway/http/websocket.h"

#include <stdio.h>
#include <string.h>

/* So much of an unread body is worth reading to keep the connection. */
#define DISCARD_MAX_BYTES 65536u
/* Pieces smaller than this are copied next to their chunk header: one block instead of three. */
#define COPY_BELOW_BYTES 2048u
/* Status line, Date, length, Connection and the blank line, generously. */
#define HEAD_EXTRA_BYTES 256u

static struct h1 *h1_of(struct exchange *exchange)
{
    return (struct h1 *)exchange->protocol;
}

static void notice(struct h1 *h1)
{
    if (!h1->busy) {
        h1->protocol.link->wake(h1->protocol.link);
    }
}

static char *put(char *at, const char *data, size_t length)
{
    memcpy(at, data, length);
    return at + length;
}

#define PUT_LITERAL(at, text) put((at), (text), sizeof(text) - 1)

static char *put_number(char *at, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

/* A line end in a value would start a header of its choice. */
static char *put_value(char *at, struct str value)
{
    size_t i;
    for (i = 0; i < value.length; i++) {
        char byte = value.data[i];
        *at++ = byte == '\r' || byte == '\n' || byte == '\0' ? ' ' : byte;
    }
    return at;
}

static size_t head_bound(const struct header *headers, size_t header_count)
{
    size_t bound = HEAD_EXTRA_BYTES, i;
    for (i = 0; i < header_count; i++) {
        bound += headers[i].name.length + headers[i].value.length + 4;
    }
    return bound;
}

static char *put_start(struct h1 *h1, char *at, unsigned status, const struct header *headers,
                       size_t header_count)
{
    const char *reason = http_reason(status);
    struct str date = http_core_date(h1->protocol.link->core);
    size_t i;
    at = PUT_LITERAL(at, "HTTP/1.1 ");
    at = put_number(at, status);
    *at++ = ' ';
    at = put(at, reason, strlen(reason));
    at = PUT_LITERAL(at, "\r\ndate: ");
    at = put(at, date.data, date.length);
    at = PUT_LITERAL(at, "\r\n");
    for (i = 0; i < header_count; i++) {
        if (exchange_is_framing(headers[i].name)) {
            continue;
        }
        at = put_value(at, headers[i].name);
        at = PUT_LITERAL(at, ": ");
        at = put_value(at, headers[i].value);
        at = PUT_LITERAL(at, "\r\n");
    }
    return at;
}

/* Can the connection go on after this answer? Decided when its head is written, because the head
 * says so. */
static void decide_close(struct h1 *h1)
{
    const struct exchange *exchange = h1->exchange;
    bool unread = h1->state == H1_BODY;
    h1->close_after = !h1->keep_alive || h1->eof || h1->protocol.link->core->draining ||
                      (unread && (h1->chunked || exchange->expects_continue ||
                                  h1->body_left > DISCARD_MAX_BYTES));
}

static void respond(struct exchange *exchange, unsigned status, const struct header *headers,
                    size_t header_count, struct str body)
{
    struct h1 *h1 = h1_of(exchange);
    struct outq *out = h1->protocol.link->out;
    size_t bound = head_bound(headers, header_count);
    size_t body_length = exchange->bodyless ? 0 : body.length;
    bool together = bound + body_length <= OUTQ_BLOCK_BYTES;
    char *start, *at;

    decide_close(h1);
    start = outq_reserve(out, together ? bound + body_length : bound);
    if (start) {
        at = put_start(h1, start, status, headers, header_count);
        if (status != 204 && status != 304) {
            at = PUT_LITERAL(at, "content-length: ");
            at = put_number(at, body.length);
            at = PUT_LITERAL(at, "\r\n");
        }
        if (h1->close_after) {
            at = PUT_LITERAL(at, "connection: close\r\n");
        }
        at = PUT_LITERAL(at, "\r\n");
        if (together && body_length > 0) {
            at = put(at, body.data, body_length);
        }
        exchange->bytes_sent += (uint64_t)(at - start);
        outq_commit(out, (size_t)(at - start));
        if (!together) {
            outq_put(out, body.data, body_length);
            exchange->bytes_sent += body_length;
        }
    }
    notice(h1);
}

static void begin(struct exchange *exchange, unsigned status, const struct header *headers,
                  size_t header_count)
{
    struct h1 *h1 = h1_of(exchange);
    struct outq *out = h1->protocol.link->out;
    char *start = outq_reserve(out, head_bound(headers, header_count)), *at;

    decide_close(h1);
    if (exchange->http_minor == 0 && !exchange->bodyless) {
        h1->close_after = true; /* its end is the end of the connection */
    }
    if (start) {
        at = put_start(h1, start, status, headers, header_count);
        if (!exchange->bodyless && exchange->http_minor > 0) {
            at = PUT_LITERAL(at, "transfer-encoding: chunked\r\n");
        }
        if (h1->close_after) {
            at = PUT_LITERAL(at, "connection: close\r\n");
        }
        at = PUT_LITERAL(at, "\r\n");
        exchange->bytes_sent += (uint64_t)(at - start);
        outq_commit(out, (size_t)(at - start));
    }
    h1->protocol.link->wake(h1->protocol.link);
}

static size_t write_piece(struct exchange *exchange, struct shared_bytes *bytes)
{
    struct h1 *h1 = h1_of(exchange);
    struct outq *out = h1->protocol.link->out;
    uint64_t before = out->queued_total;
    bool chunked = exchange->http_minor > 0;

    if (chunked) {
        char size[24];
        outq_put(out, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", bytes->length));
    }
    if (bytes->length < COPY_BELOW_BYTES) {
        outq_put(out, bytes->data, bytes->length);
    } else {
        outq_put_shared(out, bytes, 0);
    }
    if (chunked) {
        outq_put(out, "\r\n", 2);
    }
    exchange->bytes_sent += out->queued_total - before;
    h1->protocol.link->wake(h1->protocol.link);
    return out->waiting;
}

static void end(struct exchange *exchange)
{
    struct h1 *h1 = h1_of(exchange);
    if (!exchange->bodyless && exchange->http_minor > 0) {
        outq_put(h1->protocol.link->out, "0\r\n\r\n", 5);
        exchange->bytes_sent += 5;
    }
    notice(h1);
}

static void abort_answer(struct exchange *exchange)
{
    notice(h1_of(exchange));
}

static void body_wanted(struct exchange *exchange)
{
    struct h1 *h1 = h1_of(exchange);
    bool too_large =
        exchange->content_length > 0 && (uint64_t)exchange->content_length > exchange->body_limit;
    if (exchange->expects_continue && !exchange->begun && !too_large) {
        /* Now the client may send it. */
        if (h1->state == H1_BODY && exchange->body_received == 0) {
            outq_put(h1->protocol.link->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        }
        exchange->expects_continue = false;
    }
    notice(h1);
}

static struct websocket *accept_websocket(struct exchange *exchange, struct str protocol,
                                          const struct websocket_handler *handler, void *state)
{
    struct h1 *h1 = h1_of(exchange);
    struct link *link = h1->protocol.link;
    struct websocket *websocket = websocket_new(link, handler, state);
    struct header headers[4];
    char key[WEBSOCKET_ACCEPT_SIZE];
    size_t count = 0;
    char *start, *at;

    if (!websocket) {
        return NULL;
    }
    websocket_accept_key(exchange_header(exchange, "sec-websocket-key"), key);
    headers[count++] = (struct header){STR_LITERAL("upgrade"), STR_LITERAL("websocket")};
    headers[count++] = (struct header){STR_LITERAL("sec-websocket-accept"), str_from(key)};
    if (protocol.length > 0) {
        headers[count++] = (struct header){STR_LITERAL("sec-websocket-protocol"), protocol};
    }
    start = outq_reserve(link->out, head_bound(headers, count));
    if (start) {
        at = put_start(h1, start, 101, headers, count);
        at = PUT_LITERAL(at, "connection: Upgrade\r\n\r\n");
        outq_commit(link->out, (size_t)(at - start));
        exchange->bytes_sent += (uint64_t)(at - start);
    }
    exchange->begun = true;
    exchange->complete = true;
    exchange->status = 101;
    h1->state = H1_UPGRADED;
    link->successor = websocket_protocol(websocket);
    link->wake(link);
    return websocket;
}

const struct exchange_ops h1_exchange_ops = {
    .body_wanted = body_wanted,
    .respond = respond,
    .begin = begin,
    .write = write_piece,
    .end = end,
    .abort = abort_answer,
    .accept_websocket = accept_websocket,
};

void h1_put_problem(struct h1 *h1, unsigned status, const char *detail)
{
    struct http_core *core = h1->protocol.link->core;
    struct outq *out = h1->protocol.link->out;
    bool bodyless = h1->exchange && h1->exchange->is_head;
    char id[UUID_TEXT_SIZE], body[PROBLEM_TEXT_SIZE];
    struct header headers[3];
    size_t count = 0, length;
    char *start, *at;

    http_core_new_id(core, id);
    length = http_problem(status, detail, id, body);
    http_log_refused(h1->protocol.link, status, detail, id);
    headers[count++] =
        (struct header){STR_LITERAL("content-type"), STR_LITERAL("application/problem+json")};
    headers[count++] = (struct header){STR_LITERAL("x-request-id"), str_from(id)};
    if (status == 503) {
        headers[count++] = (struct header){STR_LITERAL("retry-after"), STR_LITERAL("1")};
    } else if (status == 426) {
        headers[count++] = (struct header){STR_LITERAL("sec-websocket-version"), STR_LITERAL("13")};
    }
    start = outq_reserve(out, head_bound(headers, count) + length);
    if (!start) {
        return;
    }
    at = put_start(h1, start, status, headers, count);
    at = PUT_LITERAL(at, "content-length: ");
    at = put_number(at, length);
    at = PUT_LITERAL(at, "\r\nconnection: close\r\n\r\n");
    if (!bodyless) {
        at = put(at, body, length);
    }
    outq_commit(out, (size_t)(at - start));
    if (h1->exchange) {
        h1->exchange->status = status;
        h1->exchange->bytes_sent += (uint64_t)(at - start);
    }
}
