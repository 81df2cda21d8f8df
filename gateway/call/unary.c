/* The way of an ordinary request: body → wire → upstream → wire → body. */
#include "gateway/call/unary.h"

#include "gateway/policy/etag.h"
#include "gateway/policy/media.h"
#include "gateway/policy/problem.h"
#include "gateway/route/transcode.h"
#include "json/json.h"

static void on_body(struct exchange *exchange, struct str data, bool end);
static void on_done(struct upstream_call *call, const struct err *status);
static void on_checked(struct upstream_call *call, const struct err *status);

static const struct upstream_handler unary_handler = {.on_done = on_done};
static const struct upstream_handler check_handler = {.on_done = on_checked};

/* A browser may keep what has a tag, to ask with it; nobody in between may: it is personal. */
#define KEPT_BY_THE_CLIENT "private, no-cache"

/* Longest wait for what a service says of a request that is known to be wrong. */
#define CHECK_TIMEOUT_US (2 * TIME_US_PER_SECOND)

bool unary_accepts_json(struct request *request)
{
    if (accept_quality(exchange_header(request->exchange, "accept"), "application/json"))
        return true;
    request_fail_code(request, ERR_INVALID_ARGUMENT, REASON_NOT_ACCEPTABLE,
                      "The answer is application/json, which the Accept header excludes");
    return false;
}

/* The request's wire form in the arena. When only values are wrong, *ret_violations has them and
 * *ret_wire the rest; otherwise a false is answered. */
static bool transcode(struct request *request, struct str body, struct str *ret_wire,
                      struct violations **ret_violations)
{
    struct worker *worker = request->worker;
    struct buf *wire = worker_scratch(&worker->wire);
    struct err err = {0};

    if (!transcode_request(worker->gateway->schema, &request->match, request->query, body,
                           request_arena(request), worker_scratch(&worker->text), wire,
                           ret_violations, &err) &&
        !*ret_violations) {
        request_fail(request, &err, NULL);
        return false;
    }
    char *copy = arena_memdup(request_arena(request), wire->length ? wire->data : "", wire->length);
    if (!copy) {
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                          "The request is too large");
        return false;
    }
    *ret_wire = (struct str){copy, wire->length};
    return true;
}

static void fail_violations(struct request *request, const struct violations *violations)
{
    struct err err = {0};

    err_set_violations(&err, violations);
    request_fail(request, &err, NULL);
}

bool unary_transcode(struct request *request, struct str body, struct str *ret_wire)
{
    struct violations *violations;

    if (!transcode(request, body, ret_wire, &violations))
        return false;
    if (violations)
        fail_violations(request, violations);
    return !violations;
}

static void run(struct request *request, struct str body)
{
    struct upstream_request upstream;
    struct violations *violations;

    if (!request_upstream(request, &upstream) ||
        !transcode(request, body, &upstream.message, &violations))
        return;
    if (violations) {
        /* It is refused in any case, but all that is wrong is told at once: the service says what
         * its own rules find, and does nothing. */
        upstream.check_only = true;
        upstream.is_read = true;
        upstream.timeout_us = CHECK_TIMEOUT_US;
        request->state = violations;
    }
    request->call =
        upstream_call_start(request->worker->route_upstreams[request->route->index], &upstream,
                            violations ? &check_handler : &unary_handler, request);
    if (!request->call)
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
}

/* Whatever kept the service from answering, what is known already is an answer. */
static void on_checked(struct upstream_call *call, const struct err *status)
{
    struct request *request = upstream_call_context(call);
    struct violations *violations = request->state;

    request->call = NULL;
    if (status->code == ERR_UNAUTHENTICATED || status->code == ERR_PERMISSION_DENIED) {
        request_fail(request, status, NULL); /* who may not ask is not told what is wrong with it */
        return;
    }
    if (status->code == ERR_INVALID_ARGUMENT && status->violations)
        transcode_add_violations(request->route, status->violations, violations);
    fail_violations(request, violations);
}

static void on_too_large(struct exchange *exchange)
{
    struct request *request = exchange_state(exchange);

    request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                      "The body is larger than %lld bytes",
                      (long long)request->worker->gateway->options.body_limit_bytes);
}

static void on_body(struct exchange *exchange, struct str data, bool end)
{
    struct request *request = exchange_state(exchange);

    if (request->answered)
        return;
    if (end && !request->body.length) { /* most bodies come in one piece */
        run(request, data);
        return;
    }
    if (!request->body.limit)
        buf_init(&request->body, (size_t)request->worker->gateway->options.body_limit_bytes + 1);
    if (request->worker->body_bytes + data.length >
        (size_t)request->worker->gateway->options.body_memory_bytes) {
        request_forget_body(request);
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED,
                          "Too many bodies are being received");
        return;
    }
    buf_put_str(&request->body, data);
    if (request->body.failed) {
        on_too_large(exchange);
        return;
    }
    request->worker->body_bytes += data.length;
    if (end) {
        run(request, buf_str(&request->body));
        request_forget_body(request);
    } else {
        exchange_body_next(exchange);
    }
}

static bool content_type_is_json(struct request *request)
{
    struct str header = exchange_header(request->exchange, "content-type");
    struct media_type media;

    if (header.length && media_type_parse(header, &media) && media_type_is_json(&media))
        return true;
    if (header.length)
        request_fail_code(request, ERR_INVALID_ARGUMENT, REASON_MEDIA_TYPE,
                          "The body must be application/json in UTF-8, not \"%.*s\"",
                          header.length < 100 ? (int)header.length : 100, header.data);
    else
        request_fail_code(request, ERR_INVALID_ARGUMENT, REASON_MEDIA_TYPE,
                          "The body needs the header Content-Type: application/json");
    return false;
}

void unary_start(struct request *request)
{
    const struct schema_binding *binding = request->route->binding;
    bool takes_body =
        binding->body_field || binding->body_whole || strcmp(binding->verb, "POST") == 0;
    struct exchange *exchange = request->exchange;

    if (!unary_accepts_json(request))
        return;
    if (!takes_body || exchange_content_length(exchange) == 0) {
        run(request, (struct str){NULL, 0});
        return;
    }
    /* An empty body of unknown length has no type either. */
    if ((exchange_content_length(exchange) > 0 ||
         exchange_header(exchange, "content-type").length) &&
        !content_type_is_json(request))
        return;
    exchange_body_limit(exchange, (uint64_t)request->worker->gateway->options.body_limit_bytes,
                        on_too_large);
    exchange_body_start(exchange, on_body);
}

static void on_done(struct upstream_call *call, const struct err *status)
{
    struct request *request = upstream_call_context(call);

    request->call = NULL;
    if (status->code != ERR_OK)
        request_fail(request, status, NULL);
    else
        unary_answer(request, upstream_call_reply(call));
}

/* True when the client has it already: answered 304. */
static bool answer_not_modified(struct request *request, struct str etag)
{
    struct answer_headers headers = {.count = 0};

    if (strcmp(request->route->binding->verb, "GET") != 0 ||
        !etag_none_match(exchange_header(request->exchange, "if-none-match"), etag))
        return false;
    answer_header(&headers, "etag", etag);
    answer_header(&headers, "cache-control", STR_LITERAL(KEPT_BY_THE_CLIENT));
    request_answer(request, 304, &headers, (struct str){NULL, 0});
    return true;
}

void unary_answer(struct request *request, struct str reply)
{
    struct worker *worker = request->worker;
    const struct schema_method *method = request->route->method;
    const char *verb = request->route->binding->verb;
    struct answer_headers headers = {.count = 0};
    struct buf *json = worker_scratch(&worker->json);
    unsigned status = method->http_status ? method->http_status : 200;
    char etag[ETAG_SIZE];
    struct err err = {0};

    if (status == 204) {
        request_answer(request, status, &headers, (struct str){NULL, 0});
        return;
    }
    if (!json_print(worker->gateway->schema, method->output, reply, JSON_PRINT_CONTRACT, json,
                    &err)) {
        /* The service sent what its own .proto does not allow. */
        request_fail_code(request, ERR_INTERNAL, REASON_BAD_GATEWAY,
                          "The answer of the service could not be read");
        return;
    }
    answer_header(&headers, "content-type", STR_LITERAL("application/json"));
    if (status == 200 &&
        (strcmp(verb, "GET") == 0 || strcmp(verb, "PUT") == 0 || strcmp(verb, "PATCH") == 0)) {
        size_t length = etag_make(transcode_revision(request->route, reply), buf_str(json), etag);
        if (answer_not_modified(request, (struct str){etag, length}))
            return;
        answer_header(&headers, "etag", (struct str){etag, length});
        answer_header(&headers, "cache-control", STR_LITERAL(KEPT_BY_THE_CLIENT));
    }
    if (status == 201) {
        struct buf *location = worker_scratch(&worker->text);
        if (transcode_location(request->route, reply, location))
            answer_header(&headers, "location", buf_str(location));
    }
    request_answer(request, status, &headers, buf_str(json));
}
