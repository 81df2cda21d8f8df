/* The head of an HTTP/1 request: the parser finds the parts; what a request must not be is decided
 * here, because a request that two programs read differently is how one client's bytes end up in
 * another's request. */
#include "gateway/http/h1_internal.h"

#include "gateway/http/target.h"
#include "gateway/http/websocket.h"

#include <string.h>

/* Callbacks of the parser: they copy and pause, nothing else. */

static struct h1 *h1_of(llhttp_t *parser)
{
    return parser->data;
}

static int refuse(struct h1 *h1, unsigned status, const char *detail)
{
    if (!h1->fail_status) {
        h1->fail_status = status;
        h1->fail_detail = detail;
    }
    return -1;
}

static int out_of_memory(struct h1 *h1)
{
    return refuse(h1, 503, "the server is out of memory");
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    struct h1 *h1 = h1_of(parser);
    struct head *head = &h1->exchange->head;
    if (head->target.length + length > h1->protocol.link->core->limits.target_bytes) {
        return refuse(h1, 414, "the request target is too long");
    }
    return head_add_target(head, at, length) ? 0 : out_of_memory(h1);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t length)
{
    struct h1 *h1 = h1_of(parser);
    struct head *head = &h1->exchange->head;
    const struct http_limits *limits = &h1->protocol.link->core->limits;
    if (h1->state != H1_HEAD) {
        return 0; /* a trailer: of no meaning here */
    }
    if (!head->name_open && head->field_count >= limits->header_count) {
        return refuse(h1, 431, "the request has too many headers");
    }
    if (head->length + length > limits->header_bytes) {
        return refuse(h1, 431, "the headers of the request are too large");
    }
    return head_add_name(head, at, length) ? 0 : out_of_memory(h1);
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct h1 *h1 = h1_of(parser);
    struct head *head;
    if (h1->state != H1_HEAD) {
        return 0;
    }
    head = &h1->exchange->head;
    if (!head->name_open || head->fields[head->field_count - 1].name.length == 0) {
        return refuse(h1, 400, "a header has no name"); /* the parser lets ": x" through */
    }
    head_end_name(head);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
    struct h1 *h1 = h1_of(parser);
    struct head *head = &h1->exchange->head;
    if (h1->state != H1_HEAD) {
        return 0;
    }
    if (head->length + length > h1->protocol.link->core->limits.header_bytes) {
        return refuse(h1, 431, "the headers of the request are too large");
    }
    return head_add_value(head, at, length) ? 0 : out_of_memory(h1);
}

static int on_headers_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    h1_of(parser)->piece = (struct str){at, length};
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
    h1_of(parser)->message_complete = true;
    return HPE_PAUSED;
}

const llhttp_settings_t h1_parser_settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* Lines end in CR LF and nothing else does, and none begins with a blank (obs-fold): the parser is
 * more patient in places, and what is read differently along a path of proxies is an attack. */
static bool lines_are_clean(struct h1 *h1, const char *data, size_t length)
{
    const char *at = data, *stop = data + length;
    char last = h1->last_byte;
    if (length == 0) {
        return true;
    }
    if (last == '\r') {
        if (*at++ != '\n') {
            return false;
        }
        last = '\n';
    }
    if (last == '\n' && at < stop && (*at == ' ' || *at == '\t')) {
        return false;
    }
    while (at < stop) {
        const char *cr = memchr(at, '\r', (size_t)(stop - at));
        if (memchr(at, '\n', (size_t)((cr ? cr : stop) - at))) {
            return false;
        }
        if (!cr || cr + 1 == stop) {
            break;
        }
        at = cr + 2;
        if (cr[1] != '\n' || (at < stop && (*at == ' ' || *at == '\t'))) {
            return false;
        }
    }
    h1->last_byte = data[length - 1];
    return true;
}

/* What the parser says, in words for the client. */
void h1_fail_parse(struct h1 *h1, enum llhttp_errno code)
{
    const char *pos;
    if (h1->fail_status) {
        h1_fail(h1, h1->fail_status, h1->fail_detail);
        return;
    }
    switch (code) {
    case HPE_INVALID_METHOD:
        /* What differs from every known method decides: a letter makes another method, anything
         * else garbage. */
        pos = llhttp_get_error_pos(&h1->parser);
        if (*pos >= 'A' && *pos <= 'Z') {
            h1_fail(h1, 501, "the request method is not supported");
        } else {
            h1_fail(h1, 400, "the request line is malformed");
        }
        return;
    case HPE_INVALID_URL:
        h1_fail(h1, 400, "the request target is malformed");
        return;
    case HPE_INVALID_VERSION:
        h1_fail(h1, 505, "the HTTP version is not supported");
        return;
    case HPE_INVALID_HEADER_TOKEN:
        h1_fail(h1, 400, "a header is malformed");
        return;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
        h1_fail(h1, 400, "content-length is malformed, repeated, or next to transfer-encoding");
        return;
    case HPE_INVALID_TRANSFER_ENCODING:
        h1_fail(h1, 400, "transfer-encoding is malformed or next to content-length");
        return;
    case HPE_INVALID_CHUNK_SIZE:
        h1_fail(h1, 400, "the chunked body is malformed");
        return;
    default:
        h1_fail(h1, 400,
                h1->state == H1_BODY ? "the chunked body is malformed"
                                     : "the request is malformed");
    }
}

/* The headers that decide what a request is. */
struct special {
    unsigned hosts, lengths, encodings, expects, upgrades;
    struct str host, encoding, expect;
};

static void find_special(const struct head *head, struct special *special)
{
    unsigned i;
    memset(special, 0, sizeof(*special));
    for (i = 0; i < head->field_count; i++) {
        const struct header *field = &head->fields[i];
        switch (field->name.length) {
        case 4:
            if (str_equal(field->name, STR_LITERAL("host"))) {
                special->hosts++;
                special->host = field->value;
            }
            break;
        case 6:
            if (str_equal(field->name, STR_LITERAL("expect"))) {
                special->expects++;
                special->expect = field->value;
            }
            break;
        case 7:
            special->upgrades += str_equal(field->name, STR_LITERAL("upgrade"));
            break;
        case 14:
            special->lengths += str_equal(field->name, STR_LITERAL("content-length"));
            break;
        case 17:
            if (str_equal(field->name, STR_LITERAL("transfer-encoding"))) {
                special->encodings++;
                special->encoding = field->value;
            }
            break;
        default:
            break;
        }
    }
}

/* Method and version. False: failed. */
static bool take_request_line(struct h1 *h1, struct exchange *exchange)
{
    const llhttp_t *parser = &h1->parser;
    if (parser->http_major != 1 || parser->http_minor > 1) {
        h1_fail(h1, 505, "the HTTP version is not supported");
        return false;
    }
    /* Beyond SOURCE the parser's list is RTSP's. */
    if (parser->method == HTTP_CONNECT || parser->method > HTTP_SOURCE) {
        h1_fail(h1, 501, "the request method is not supported");
        return false;
    }
    exchange->http_major = 1;
    exchange->http_minor = parser->http_minor;
    exchange->method = str_from(llhttp_method_name((llhttp_method_t)parser->method));
    exchange->is_head = parser->method == HTTP_HEAD;
    return true;
}

/* Where the request goes: target and Host. False: failed, or answered. */
static bool take_target(struct h1 *h1, struct exchange *exchange, const struct special *special)
{
    struct target target;
    const char *wrong = target_parse(exchange->head.target, &target);
    if (wrong) {
        h1_fail(h1, 400, wrong);
        return false;
    }
    if (special->hosts > 1 || (special->hosts == 0 && exchange->http_minor > 0)) {
        h1_fail(h1, 400, "a request must have exactly one host header");
        return false;
    }
    if (special->hosts == 1 && !target_authority_is_valid(special->host)) {
        h1_fail(h1, 400, "the host header is malformed");
        return false;
    }
    if (target.asterisk && h1->parser.method != HTTP_OPTIONS) {
        h1_fail(h1, 400, "the request target must be a path or an http URL");
        return false;
    }
    exchange->path = target.path;
    exchange->query = target.query;
    exchange->authority = target.authority.length ? target.authority : special->host;
    return true;
}

/* How long the body is. False: failed. */
static bool take_framing(struct h1 *h1, struct exchange *exchange, const struct special *special)
{
    if (special->lengths > 1 || (special->lengths > 0 && special->encodings > 0)) {
        h1_fail(h1, 400, "content-length is malformed, repeated, or next to transfer-encoding");
        return false;
    }
    if (special->encodings > 0) {
        if (special->encodings > 1 || exchange->http_minor == 0 ||
            !str_equal_ignore_case(special->encoding, STR_LITERAL("chunked"))) {
            h1_fail(h1, 400, "the only transfer-encoding that is understood is chunked");
            return false;
        }
        exchange->content_length = -1;
        h1->chunked = true;
        h1->head_bytes = 0;
        return true;
    }
    if (h1->parser.content_length > INT64_MAX) {
        h1_fail(h1, 400, "content-length is malformed");
        return false;
    }
    exchange->content_length = special->lengths ? (int64_t)h1->parser.content_length : 0;
    h1->body_left = (uint64_t)exchange->content_length;
    return true;
}

/* Expect and Upgrade. False: failed. */
static bool take_wishes(struct h1 *h1, struct exchange *exchange, const struct special *special)
{
    bool has_body = h1->chunked || h1->body_left > 0;
    unsigned status;
    const char *wrong;
    if (special->expects > 0 && exchange->http_minor > 0) {
        if (special->expects > 1 ||
            !str_equal_ignore_case(special->expect, STR_LITERAL("100-continue"))) {
            h1_fail(h1, 417, "the only expectation that is understood is 100-continue");
            return false;
        }
        exchange->expects_continue = has_body;
    }
    if (special->upgrades > 0 && exchange->http_minor > 0 &&
        head_has_token(&exchange->head, STR_LITERAL("upgrade"), STR_LITERAL("websocket"))) {
        wrong = websocket_check_request(&exchange->head, exchange->method, has_body, &status);
        if (wrong) {
            h1_fail(h1, status, wrong);
            return false;
        }
        exchange->wants_websocket = true;
    }
    return true;
}

/* "OPTIONS *" asks about the server, not about anything above. */
static bool is_server_options(const struct exchange *exchange)
{
    return exchange->path.length == 1 && exchange->path.data[0] == '*';
}

static void head_is_whole(struct h1 *h1)
{
    struct exchange *exchange = h1->exchange;
    struct special special;
    head_end(&exchange->head);
    find_special(&exchange->head, &special);
    if (!take_request_line(h1, exchange) || !take_framing(h1, exchange, &special) ||
        !take_target(h1, exchange, &special) || !take_wishes(h1, exchange, &special)) {
        return;
    }
    h1->keep_alive = exchange->http_minor > 0 && llhttp_should_keep_alive(&h1->parser);
    h1->parser.upgrade = 0; /* the parser is to go on with HTTP, whatever was asked for */
    h1->state = h1->chunked || h1->body_left > 0 ? H1_BODY : H1_ANSWER;
    if (h1->chunked) {
        llhttp_resume(&h1->parser);
    }
    if (is_server_options(exchange)) {
        const struct header allow = {STR_LITERAL("allow"), STR_LITERAL(HTTP_METHODS_ALLOWED)};
        exchange_respond(exchange, 204, &allow, 1, (struct str){NULL, 0});
        return;
    }
    exchange_announce(exchange);
}

size_t h1_read_head(struct h1 *h1, const char *data, size_t length)
{
    enum llhttp_errno code = llhttp_execute(&h1->parser, data, length);
    size_t taken = code == HPE_OK ? length : (size_t)(llhttp_get_error_pos(&h1->parser) - data);
    size_t limit = h1->protocol.link->core->limits.header_bytes;

    if (code != HPE_OK && code != HPE_PAUSED) {
        h1_fail_parse(h1, code);
        return length;
    }
    h1->head_bytes += taken;
    if (h1->head_bytes > limit + h1->protocol.link->core->limits.target_bytes) {
        h1_fail(h1, 431, "the headers of the request are too large");
        return length;
    }
    if (!lines_are_clean(h1, data, taken)) {
        h1_fail(h1, 400, "the lines of a request must end in CR LF and must not be folded");
        return length;
    }
    if (code == HPE_PAUSED) {
        head_is_whole(h1);
    }
    return taken;
}
