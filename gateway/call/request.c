#include "gateway/call/request.h"

#include "app/challenge.h"
#include "base/log.h"
#include "gateway/call/safe_headers.h"
#include "gateway/policy/credentials.h"
#include "gateway/policy/etag.h"
#include "gateway/policy/problem.h"
#include "gateway/route/query_credentials.h"
#include "gateway/route/transcode.h"

#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_KEPT (1024 * 1024)

struct request *request_new(struct exchange *exchange, struct worker *worker)
{
    const struct clock *clock = loop_clock(worker->loop);
    struct request *request = ARENA_NEW(exchange_arena(exchange), struct request);

    if (!request) {
        exchange_set_state(exchange, NULL);
        exchange_respond(exchange, 503, NULL, 0, (struct str){NULL, 0});
        return NULL;
    }
    request->worker = worker;
    request->exchange = exchange;
    request->label = "(unknown)";
    request->figures = stats_unknown(&worker->stats);
    request->started_us = clock->monotonic_us(clock);
    identity_init(&request->identity, exchange_header(exchange, "x-request-id"),
                  exchange_header(exchange, "traceparent"), worker->tracer, clock,
                  &worker->entropy);
    exchange_set_state(exchange, request);
    limits_find_client(request);
    return request;
}

static int64_t now_us(const struct worker *worker)
{
    const struct clock *clock = loop_clock(worker->loop);

    return clock->monotonic_us(clock);
}

void request_forget_body(struct request *request)
{
    request->worker->body_bytes -= request->body.length;
    buf_done(&request->body);
}

static void end(struct request *request)
{
    if (request->in_flight) {
        request->in_flight = false;
        request->worker->in_flight--;
    }
}

void request_on_gone(struct exchange *exchange)
{
    struct request *request = exchange_state(exchange);

    if (!request)
        return;
    if (request->on_gone)
        request->on_gone(request);
    if (request->call) {
        upstream_call_cancel(request->call);
        request->call = NULL;
    }
}

/* A probe's own trace is not worth its place; one that a caller has begun is. */
static void end_span(const struct request *request, const char *verb, unsigned status,
                     int64_t now_us)
{
    const struct identity *identity = &request->identity;
    char name[128];

    if (!trace_is_recorded(&identity->span) || (request->quiet && !identity->span.has_parent))
        return;
    snprintf(name, sizeof(name), "%s %s", verb, request->label);
    const struct trace_attribute attributes[] = {
        {"http.request.method", verb, 0},
        {"http.route", request->label, 0},
        {"http.response.status_code", NULL, status},
        {"dialplane.request_id", identity->request_id, 0},
    };
    const struct trace_end end = {
        .kind = TRACE_SERVER,
        .name = name,
        .attributes = attributes,
        .attribute_count = sizeof(attributes) / sizeof(attributes[0]),
        .failed = status >= 500,
        .now_us = now_us,
    };
    trace_end(&identity->span, &end);
}

void request_on_done(struct exchange *exchange, unsigned status, uint64_t bytes_sent)
{
    struct request *request = exchange_state(exchange);

    if (!request)
        return;
    struct worker *worker = request->worker;
    const struct clock *clock = loop_clock(worker->loop);
    int64_t now_us = clock->monotonic_us(clock);
    int64_t duration_us = now_us - request->started_us;
    enum log_level level = request->quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;

    end(request);
    request_forget_body(request);
    if (!status)
        status = 499; /* gone before anything was said */
    stats_count(&worker->stats, request->figures, status, duration_us, bytes_sent);
    struct str method = exchange_method(exchange);
    char verb[16];
    size_t verb_length = method.length < sizeof(verb) ? method.length : sizeof(verb) - 1;
    memcpy(verb, method.data, verb_length);
    verb[verb_length] = '\0';
    end_span(request, verb, status, now_us);
    if (!worker->gateway->options.access_log || !log_is_enabled(level))
        return;
    /* The template, not the path: paths carry identifiers and whatever else a client puts there. */
    log_event(level, "request", log_text("method", verb), log_text("route", request->label),
              log_int("status", status), log_int("duration_us", duration_us),
              log_int("bytes", (int64_t)bytes_sent),
              log_text("request_id", request->identity.request_id),
              log_text("trace_id", request->identity.trace_id));
}

void answer_header(struct answer_headers *headers, const char *name, struct str value)
{
    if (headers->count < REQUEST_HEADERS_MAX)
        headers->list[headers->count++] = (struct header){str_from(name), value};
}

/* draft-ietf-httpapi-ratelimit-headers-11: a list of policies, and one of what they have left. */
static void put_rate_headers(struct request *request, struct answer_headers *headers)
{
    const struct limits *limits = request->worker->gateway->limits;
    const struct limits_seen *seen = &request->limits;
    size_t policy = 0, rate = 0;

    if (!seen->count)
        return;
    for (unsigned i = 0; i < seen->count; i++) {
        unsigned slot = seen->slots[i];
        size_t length = strlen(limits->policies[slot]);
        if (i)
            request->rate_policy[policy++] = request->rate[rate++] = ',';
        memcpy(request->rate_policy + policy, limits->policies[slot], length);
        policy += length;
        rate += rate_format_answer(slot == RATE_ALL ? "address" : rate_class_names[slot],
                                   &seen->answers[i], request->rate + rate);
    }
    answer_header(headers, "ratelimit-policy", (struct str){request->rate_policy, policy});
    answer_header(headers, "ratelimit", (struct str){request->rate, rate});
}

void request_common_headers(struct request *request, struct answer_headers *headers)
{
    const struct cors *cors = request->worker->gateway->cors;
    struct str allowed = cors_allow(cors, exchange_header(request->exchange, "origin"));

    answer_header(headers, "x-request-id",
                  (struct str){request->identity.request_id, request->identity.request_id_length});
    if (allowed.length) {
        answer_header(headers, "access-control-allow-origin", allowed);
        answer_header(headers, "access-control-expose-headers", STR_LITERAL(CORS_EXPOSED_HEADERS));
    }
    put_rate_headers(request, headers);
    if (cors_varies(cors))
        answer_header(headers, "vary", STR_LITERAL("Origin"));
    safe_headers_add(request, headers);
}

void request_answer(struct request *request, unsigned status, struct answer_headers *headers,
                    struct str body)
{
    struct answer_headers none = {.count = 0};

    if (request->answered)
        return;
    if (!headers)
        headers = &none;
    request_common_headers(request, headers);
    request->answered = true;
    end(request);
    exchange_respond(request->exchange, status, headers->list, headers->count, body);
}

void request_begin(struct request *request, unsigned status, struct answer_headers *headers)
{
    request_common_headers(request, headers);
    request->answered = true;
    end(request);
    exchange_respond_begin(request->exchange, status, headers->list, headers->count);
}

void request_fail(struct request *request, const struct err *err, struct answer_headers *headers)
{
    struct answer_headers none = {.count = 0};
    struct buf *body = worker_scratch(&request->worker->text);
    const char *strip = request->route ? transcode_body_name(request->route) : NULL;
    unsigned status = problem_status(err);
    uint32_t retry_after = err->retry_after_seconds;
    char seconds[16], challenge[CHALLENGE_SIZE];

    if (!headers)
        headers = &none;
    problem_print(err, strip,
                  (struct str){request->identity.request_id, request->identity.request_id_length},
                  body);
    answer_header(headers, "content-type", STR_LITERAL("application/problem+json"));
    if (status == 401)
        limits_on_refused(request->worker->gateway->limits, &request->client,
                          request->authorization, now_us(request->worker));
    if (challenge_format(err, challenge))
        answer_header(headers, "www-authenticate", str_from(challenge));
    if (!retry_after && (status == 503 || status == 429))
        retry_after = 1;
    if (retry_after) {
        int length = snprintf(seconds, sizeof(seconds), "%u", retry_after);
        answer_header(headers, "retry-after", (struct str){seconds, (size_t)length});
    }
    request_answer(request, status, headers, buf_str(body));
}

void request_fail_code(struct request *request, enum err_code code, const char *reason,
                       const char *format, ...)
{
    struct err err = {.code = code};
    va_list arguments;

    if (reason)
        snprintf(err.reason, sizeof(err.reason), "%s", reason);
    va_start(arguments, format);
    vsnprintf(err.message, sizeof(err.message), format, arguments);
    va_end(arguments);
    request_fail(request, &err, NULL);
}

int64_t request_timeout_us(const struct request *request)
{
    uint32_t ms = request->route->method->timeout_ms;

    return ms ? (int64_t)ms * 1000 : request->worker->gateway->options.timeout_us;
}

/* The only header of that name; a second one is refused, not chosen from. */
static bool only_header(const struct request *request, const char *name, struct str *ret_value)
{
    const struct header *headers;
    size_t count = exchange_headers(request->exchange, &headers);
    unsigned found = 0;

    *ret_value = (struct str){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        if (!str_equal_cstr(headers[i].name, name))
            continue;
        *ret_value = headers[i].value;
        found++;
    }
    return found <= 1;
}

bool request_read_query(struct request *request)
{
    struct err err = {0};

    if (query_credentials(exchange_query(request->exchange), request_arena(request),
                          &request->query, &request->ticket, &err))
        return true;
    request_fail(request, &err, NULL);
    return false;
}

/* Handed on under a scheme of its own, so that nothing but a stream takes it. */
static bool show_ticket(struct request *request, struct err *err)
{
    if (!credentials_is_ticket(request->ticket))
        return err_set(err, ERR_UNAUTHENTICATED, "TICKET_MALFORMED",
                       "the ticket has not the form of one");
    request->authorization = arena_printf(request_arena(request), "Ticket %.*s",
                                          (int)request->ticket.length, request->ticket.data);
    return request->authorization ||
           err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "out of memory");
}

static bool use_ticket(struct request *request, struct err *err)
{
    const struct schema_method *method = request->route->method;

    if (request->authorization)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_MALFORMED",
                       "there are two authorizations: a ticket in the address, and another one");
    if (!method->server_streaming || method->download_type)
        return err_set(err, ERR_UNAUTHENTICATED, "TICKET_NOT_HERE",
                       "a ticket opens a stream and nothing else: send the header Authorization");
    return show_ticket(request, err);
}

bool request_authorize(struct request *request)
{
    struct str authorization, protocols = {NULL, 0};
    bool websocket = exchange_wants_websocket(request->exchange);
    struct err err = {0};

    if (websocket)
        protocols = exchange_header(request->exchange, "sec-websocket-protocol");
    if (!only_header(request, "authorization", &authorization))
        err_set(&err, ERR_UNAUTHENTICATED, "TOKEN_MALFORMED",
                "there are two Authorization headers");
    else if (credentials_read(authorization, protocols, request_arena(request),
                              &request->authorization, &request->protocol, &err) &&
             (!request->ticket.data || use_ticket(request, &err))) {
        /* A browser's WebSocket is told in a message why it is closed: by the service. */
        if (request->authorization || websocket || !request->worker->gateway->options.authenticates)
            return true;
        err_set(&err, ERR_UNAUTHENTICATED, REASON_TOKEN_MISSING,
                "say who you are: Authorization: Bearer <token or API key>");
    }
    request_fail(request, &err, NULL);
    return false;
}

bool request_upstream(struct request *request, struct upstream_request *ret_upstream)
{
    *ret_upstream = (struct upstream_request){
        .path = request->route->method->path,
        .is_read = strcmp(request->route->binding->verb, "GET") == 0,
        .timeout_us = request_timeout_us(request),
        .request_id = request->identity.request_id,
        .traceparent = request->identity.traceparent,
        .trace = request->identity.span.self,
        .client_address = request->client_address,
        .arena = request_arena(request),
    };
    struct str if_match = exchange_header(request->exchange, "if-match");
    ret_upstream->authorization = request->authorization;
    ret_upstream->principal_known = request->principal_known;
    if (!if_match.data || strcmp(request->route->binding->verb, "GET") == 0)
        return true;
    switch (etag_match(if_match, &ret_upstream->if_match_us)) {
    case ETAG_ANY:
        break;
    case ETAG_REVISION:
        ret_upstream->has_if_match = true;
        break;
    case ETAG_AMBIGUOUS:
        request_fail_code(request, ERR_INVALID_ARGUMENT, NULL,
                          "If-Match names tags of several revisions: send the one you have edited");
        return false;
    }
    return true;
}

struct buf *worker_scratch(struct buf *buf)
{
    if (buf->capacity > SCRATCH_KEPT) {
        size_t limit = buf->limit;
        buf_done(buf);
        buf_init(buf, limit);
    } else {
        buf_reset(buf);
    }
    return buf;
}
