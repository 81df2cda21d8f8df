/* The heads of HTTP/2 requests: collected field by field, checked when whole. nghttp2 has checked
 * what RFC 9113 §8 says about names, values, pseudo-headers and content-length before. */
#include "gateway/http/h2_internal.h"

#include "gateway/http/target.h"
#include "gateway/http/websocket.h"

#include <string.h>

struct exchange *h2_stream_exchange(struct h2 *h2, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(h2->session, stream_id);
}

struct exchange *h2_open_stream(struct h2 *h2, int32_t stream_id)
{
    struct exchange *exchange = exchange_new(h2->protocol.link, &h2->protocol, &h2_exchange_ops);
    if (!exchange) {
        return NULL;
    }
    exchange->stream_id = stream_id;
    exchange->http_major = 2;
    exchange->next_stream = h2->streams;
    if (h2->streams) {
        h2->streams->previous_stream = exchange;
    }
    h2->streams = exchange;
    h2->stream_count++;
    nghttp2_session_set_stream_user_data(h2->session, stream_id, exchange);
    return exchange;
}

/* Heads. */

/* So many times the limit of a head may be decoded before the connection ends. */
#define HEAD_BOMB 8

static void mark_rejected(struct exchange *exchange, unsigned status, const char *detail)
{
    if (!exchange->reject_status) {
        if (status == 431 || status == 414) {
            http_count_limit(exchange->link->core, HTTP_LIMIT_HEADER_SIZE);
        }
        exchange->reject_status = status;
        exchange->reject_detail = detail;
    }
}

int h2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    (void)session;
    h2->head_bytes = 0;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    h2->protocol.heads_begun++;
    h2->open_head = frame->hd.stream_id;
    return h2_open_stream(h2, frame->hd.stream_id) ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static bool take_pseudo(struct exchange *exchange, struct str name, struct str value)
{
    struct head *head = &exchange->head;
    if (str_equal(name, STR_LITERAL(":path"))) {
        if (value.length > exchange->link->core->limits.target_bytes) {
            mark_rejected(exchange, 414, "the request target is too long");
            return true;
        }
        return head_set_text(head, &head->target, value.data, value.length);
    }
    if (str_equal(name, STR_LITERAL(":method"))) {
        return head_set_text(head, &head->method, value.data, value.length);
    }
    if (str_equal(name, STR_LITERAL(":authority"))) {
        return head_set_text(head, &head->authority, value.data, value.length);
    }
    if (str_equal(name, STR_LITERAL(":protocol"))) {
        return head_set_text(head, &head->protocol, value.data, value.length);
    }
    return true; /* :scheme */
}

int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                 size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                 void *user)
{
    struct h2 *h2 = user;
    struct exchange *exchange;
    const struct http_limits *limits = &h2->protocol.link->core->limits;
    struct str key = {(const char *)name, name_length}, text = {(const char *)value, value_length};
    bool kept;
    (void)session;
    (void)flags;
    /* HPACK lets one byte stand for kilobytes again and again: what is refused, or of no meaning,
     * is still decoded, but not for ever. Only this result ends it within a frame, whose references
     * can be good for twenty milliseconds. */
    h2->head_bytes += name_length + value_length;
    if (h2->head_bytes > (size_t)limits->header_bytes * HEAD_BOMB) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* trailers: of no meaning here */
    }
    exchange = h2_stream_exchange(h2, frame->hd.stream_id);
    if (!exchange) {
        return 0;
    }
    if (exchange->reject_status) {
        return 0;
    }
    if (exchange->head.field_count >= limits->header_count) {
        mark_rejected(exchange, 431, "the request has too many headers");
        return 0;
    }
    if (exchange->head.length + name_length + value_length > limits->header_bytes) {
        mark_rejected(exchange, 431, "the headers of the request are too large");
        return 0;
    }
    kept = name[0] == ':' ? take_pseudo(exchange, key, text)
                          : head_add_field(&exchange->head, key, text);
    if (!kept) {
        mark_rejected(exchange, 503, "the server is out of memory");
    }
    return 0;
}

/* Target and authority. NULL, or what is wrong. */
static const char *take_target(struct exchange *exchange)
{
    const struct header *host = head_find(&exchange->head, STR_LITERAL("host"));
    struct target target;
    const char *wrong = target_parse(exchange->head.target, &target);
    if (wrong) {
        return wrong;
    }
    if (target.authority.length > 0) {
        return "the request target must be a path";
    }
    if (target.asterisk && !str_equal_cstr(exchange->method, "OPTIONS")) {
        return "the request target must be a path";
    }
    if (head_count(&exchange->head, STR_LITERAL("host")) > 1) {
        return "a request must have exactly one host header";
    }
    exchange->authority = exchange->head.authority;
    if (host && exchange->authority.length == 0) {
        exchange->authority = host->value;
    } else if (host && !str_equal_ignore_case(host->value, exchange->authority)) {
        return "host and :authority differ";
    }
    if (!target_authority_is_valid(exchange->authority)) {
        return "the authority is missing or malformed";
    }
    exchange->path = target.path;
    exchange->query = target.query;
    return NULL;
}

static void take_content_length(struct exchange *exchange)
{
    const struct header *field = head_find(&exchange->head, STR_LITERAL("content-length"));
    /* nghttp2 has refused malformed and repeated ones, and checks it against the data. */
    if (!field || !str_parse_int64(field->value, &exchange->content_length)) {
        exchange->content_length = exchange->in_end ? 0 : -1;
    }
}

void h2_head_is_whole(struct exchange *exchange)
{
    const struct header *expect;
    const char *wrong;
    unsigned status;
    exchange->method = exchange->head.method;
    exchange->is_head = str_equal_cstr(exchange->method, "HEAD");
    if (exchange->reject_status) {
        h2_reject(exchange, exchange->reject_status, exchange->reject_detail);
        return;
    }
    if (str_equal_cstr(exchange->method, "CONNECT")) {
        if (!exchange->head.protocol.length) {
            h2_reject(exchange, 501, "the request method is not supported");
            return;
        }
        wrong = websocket_check_connect(&exchange->head, exchange->in_end, &status);
        if (wrong) {
            h2_reject(exchange, status, wrong);
            return;
        }
        /* To the one above it is what it is in HTTP/1: a GET that may become a WebSocket. */
        exchange->method = STR_LITERAL("GET");
        exchange->wants_websocket = true;
    }
    wrong = take_target(exchange);
    if (wrong) {
        h2_reject(exchange, 400, wrong);
        return;
    }
    take_content_length(exchange);
    expect = head_find(&exchange->head, STR_LITERAL("expect"));
    if (expect) {
        if (!str_equal_ignore_case(expect->value, STR_LITERAL("100-continue"))) {
            h2_reject(exchange, 417, "the only expectation that is understood is 100-continue");
            return;
        }
        exchange->expects_continue = !exchange->in_end;
    }
    if (exchange->path.data[0] == '*') {
        const struct header allow = {STR_LITERAL("allow"), STR_LITERAL(HTTP_METHODS_ALLOWED)};
        exchange_respond(exchange, 204, &allow, 1, (struct str){NULL, 0});
        return;
    }
    exchange_announce(exchange);
}
