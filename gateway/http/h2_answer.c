/* HTTP/2 answers: heads and data, framed by nghttp2 as the peer's windows allow. */
#include "gateway/http/h2_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_ON_STACK 48u
#define FIELDS_EXTRA 3u /* :status, date, content-length */

static struct h2 *h2_of(struct exchange *exchange)
{
    return (struct h2 *)exchange->protocol;
}

static void wake(struct h2 *h2)
{
    h2->protocol.link->wake(h2->protocol.link);
}

static ssize_t read_data(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
                         size_t length, uint32_t *data_flags, nghttp2_data_source *source,
                         void *user)
{
    struct exchange *exchange = source->ptr;
    struct h2 *h2 = user;
    size_t taken = outq_read(&exchange->out, buffer, length);
    (void)session;
    (void)stream_id;
    h2->stream_bytes -= taken;
    if (exchange->socket) {
        h2_socket_sent(exchange, taken);
    }
    exchange->bytes_sent += taken;
    if (exchange->out.failed) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* not whole: reset it */
    }
    if (exchange->data_end && exchange->out.waiting == 0) {
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (taken == 0) {
        exchange->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)taken;
}

static nghttp2_nv make_field(struct str name, struct str value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data,
                        name.length, value.length, NGHTTP2_NV_FLAG_NONE};
}

/* The head, and the data that exchange->out has or will have. */
static void submit(struct exchange *exchange, unsigned status, const struct header *headers,
                   size_t header_count, const uint64_t *content_length, bool has_data)
{
    struct h2 *h2 = h2_of(exchange);
    nghttp2_nv on_stack[FIELDS_ON_STACK], *fields = on_stack;
    nghttp2_data_provider provider = {.source = {.ptr = exchange}, .read_callback = read_data};
    char status_text[4], length_text[24];
    size_t count = 0, i;

    if (header_count + FIELDS_EXTRA > FIELDS_ON_STACK) {
        fields = malloc((header_count + FIELDS_EXTRA) * sizeof(*fields));
        if (!fields) {
            nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, exchange->stream_id,
                                      NGHTTP2_INTERNAL_ERROR);
            return;
        }
    }
    snprintf(status_text, sizeof(status_text), "%03u", status % 1000u);
    fields[count++] = make_field(STR_LITERAL(":status"), str_from(status_text));
    fields[count++] = make_field(STR_LITERAL("date"), http_core_date(h2->protocol.link->core));
    if (content_length) {
        snprintf(length_text, sizeof(length_text), "%llu", (unsigned long long)*content_length);
        fields[count++] = make_field(STR_LITERAL("content-length"), str_from(length_text));
    }
    for (i = 0; i < header_count; i++) {
        /* A value that could not be sent would cost the whole answer. */
        if (!exchange_is_framing(headers[i].name) &&
            nghttp2_check_header_name((const uint8_t *)headers[i].name.data,
                                      headers[i].name.length) &&
            nghttp2_check_header_value((const uint8_t *)headers[i].value.data,
                                       headers[i].value.length)) {
            fields[count++] = make_field(headers[i].name, headers[i].value);
            exchange->bytes_sent += headers[i].name.length + headers[i].value.length;
        }
    }
    if (nghttp2_submit_response(h2->session, exchange->stream_id, fields, count,
                                has_data ? &provider : NULL)) {
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, exchange->stream_id,
                                  NGHTTP2_INTERNAL_ERROR);
    }
    if (fields != on_stack) {
        free(fields);
    }
    wake(h2);
}

/* A good answer to an extended CONNECT would open it (RFC 8441 §5): only accept_websocket() may. */
static bool refuse_to_connect(struct exchange *exchange, unsigned status)
{
    const uint64_t none = 0;
    if (!exchange->wants_websocket || status >= 300) {
        return false;
    }
    exchange->status = 501;
    exchange->bodyless = exchange->data_end = true;
    if (!h2_of(exchange)->ended) {
        submit(exchange, 501, NULL, 0, &none, false);
    }
    return true;
}

static void respond(struct exchange *exchange, unsigned status, const struct header *headers,
                    size_t header_count, struct str body)
{
    struct h2 *h2 = h2_of(exchange);
    uint64_t length = body.length;
    bool has_data = !exchange->bodyless && body.length > 0;
    if (refuse_to_connect(exchange, status)) {
        return;
    }
    exchange->data_end = true;
    if (h2->ended) {
        return;
    }
    if (has_data) {
        outq_put(&exchange->out, body.data, body.length);
        h2->stream_bytes += exchange->out.waiting;
    }
    submit(exchange, status, headers, header_count, status == 204 || status == 304 ? NULL : &length,
           has_data);
}

static void begin(struct exchange *exchange, unsigned status, const struct header *headers,
                  size_t header_count)
{
    if (!refuse_to_connect(exchange, status) && !h2_of(exchange)->ended) {
        submit(exchange, status, headers, header_count, NULL, !exchange->bodyless);
    }
}

static void resume(struct exchange *exchange)
{
    struct h2 *h2 = h2_of(exchange);
    if (exchange->deferred && !h2->ended) {
        exchange->deferred = false;
        nghttp2_session_resume_data(h2->session, exchange->stream_id);
    }
    wake(h2);
}

static size_t write_piece(struct exchange *exchange, struct shared_bytes *bytes)
{
    struct h2 *h2 = h2_of(exchange);
    size_t waiting;
    outq_put_shared(&exchange->out, bytes, 0);
    h2->stream_bytes += bytes->length;
    resume(exchange);
    waiting = exchange->out.waiting + h2->protocol.link->out->waiting;
    /* Over the limit of the connection nobody may add. */
    return h2->stream_bytes > h2->protocol.link->core->limits.output_bytes ? h2->stream_bytes
                                                                           : waiting;
}

static void end(struct exchange *exchange)
{
    exchange->data_end = true;
    resume(exchange);
}

static void abort_answer(struct exchange *exchange)
{
    struct h2 *h2 = h2_of(exchange);
    if (!h2->ended) {
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, exchange->stream_id,
                                  NGHTTP2_INTERNAL_ERROR);
    }
    wake(h2);
}

static void body_wanted(struct exchange *exchange)
{
    struct h2 *h2 = h2_of(exchange);
    bool too_large =
        exchange->content_length > 0 && (uint64_t)exchange->content_length > exchange->body_limit;
    if (exchange->expects_continue && !exchange->begun && !too_large && !h2->ended) {
        nghttp2_nv status = make_field(STR_LITERAL(":status"), STR_LITERAL("100"));
        exchange->expects_continue = false;
        if (exchange->in.length == 0 && !exchange->in_end) {
            nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, exchange->stream_id, NULL,
                                   &status, 1, NULL);
        }
    }
    h2->deliver_due = true;
    wake(h2);
}

static struct websocket *accept_websocket(struct exchange *exchange, struct str protocol,
                                          const struct websocket_handler *handler, void *state)
{
    struct h2 *h2 = h2_of(exchange);
    const struct header chosen = {STR_LITERAL("sec-websocket-protocol"), protocol};
    struct websocket *websocket = h2_socket_open(exchange, handler, state);
    if (!websocket) {
        return NULL;
    }
    exchange->begun = true;
    exchange->complete = true;
    exchange->status = 200;
    submit(exchange, 200, &chosen, protocol.length > 0 ? 1 : 0, NULL, true);
    h2->deliver_due = true;
    return websocket;
}

const struct exchange_ops h2_exchange_ops = {
    .body_wanted = body_wanted,
    .respond = respond,
    .begin = begin,
    .write = write_piece,
    .end = end,
    .abort = abort_answer,
    .accept_websocket = accept_websocket,
};

void h2_reject(struct exchange *exchange, unsigned status, const char *detail)
{
    struct http_core *core = exchange->link->core;
    char id[UUID_TEXT_SIZE], body[PROBLEM_TEXT_SIZE];
    size_t length;
    http_core_new_id(core, id);
    length = http_problem(status, detail, id, body);
    http_log_refused(exchange->link, status, detail, id);
    core->stats.protocol_errors++;
    const struct header headers[] = {
        {STR_LITERAL("content-type"), STR_LITERAL("application/problem+json")},
        {STR_LITERAL("x-request-id"), str_from(id)},
        {STR_LITERAL("retry-after"), STR_LITERAL("1")},
    };
    exchange_respond(exchange, status, headers, status == 503 ? 3 : 2, (struct str){body, length});
}
