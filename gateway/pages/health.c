/* /healthz: the process lives. /readyz: what it depends on answers. */
#include "gateway/pages/pages.h"

#include "base/wire.h"

#define CHECK_TIMEOUT_US (700 * INT64_C(1000)) /* and the upstream's grace: below 1 s in all */
#define SERVING 1 /* grpc.health.v1.HealthCheckResponse.ServingStatus */

struct check {
    struct readiness *readiness;
    struct upstream_call *call;
    bool serving;
    char why[128];
};

struct readiness {
    struct request *request;
    unsigned waiting;
    struct check checks[GATEWAY_BACKENDS_MAX];
};

static void answer_json(struct request *request, unsigned status, struct str body)
{
    struct answer_headers headers = {.count = 0};

    answer_header(&headers, "content-type", STR_LITERAL("application/json"));
    answer_header(&headers, "cache-control", STR_LITERAL("no-store"));
    if (status == 503)
        answer_header(&headers, "retry-after", STR_LITERAL("1"));
    request_answer(request, status, &headers, body);
}

void health_serve(struct request *request)
{
    answer_json(request, 200, STR_LITERAL("{\"status\":\"ok\"}"));
}

static void finish(struct readiness *readiness)
{
    struct request *request = readiness->request;
    const struct gateway *gateway = request->worker->gateway;
    struct buf *body = worker_scratch(&request->worker->text);
    bool ready = !request->worker->draining;

    for (unsigned i = 0; i < gateway->backend_count; i++)
        ready &= readiness->checks[i].serving;
    buf_printf(body, "{\"status\":\"%s\",\"authentication\":\"%s\",\"backends\":{",
               request->worker->draining ? "draining"
               : ready                   ? "ready"
                                         : "not_ready",
               gateway->options.authenticates ? "token" : "off");
    for (unsigned i = 0; i < gateway->backend_count; i++) {
        buf_printf(body, "%s\"%s\":", i ? "," : "", gateway->backends[i]);
        buf_put_json_string(
            body, str_from(readiness->checks[i].serving ? "serving" : readiness->checks[i].why));
    }
    buf_put_cstr(body, "}}");
    answer_json(request, ready ? 200 : 503, buf_str(body));
}

static void on_checked(struct upstream_call *call, const struct err *status)
{
    struct check *check = upstream_call_context(call);
    struct readiness *readiness = check->readiness;

    check->call = NULL;
    if (status->code == ERR_OK) {
        struct wire_reader reader;
        wire_reader_init(&reader, upstream_call_reply(call));
        while (wire_reader_next(&reader))
            if (reader.number == 1 && reader.type == 0)
                check->serving = reader.integer == SERVING;
        memcpy(check->why, "not serving", sizeof("not serving"));
    } else {
        size_t length = strnlen(status->message, sizeof(check->why) - 1);
        memcpy(check->why, status->message, length);
        check->why[length] = '\0';
    }
    if (--readiness->waiting == 0)
        finish(readiness);
}

static void on_gone(struct request *request)
{
    struct readiness *readiness = request->state;

    for (unsigned i = 0; i < GATEWAY_BACKENDS_MAX; i++)
        if (readiness->checks[i].call)
            upstream_call_cancel(readiness->checks[i].call);
}

void ready_serve(struct request *request)
{
    static const struct upstream_handler handler = {.on_done = on_checked};
    struct worker *worker = request->worker;
    struct readiness *readiness = ARENA_NEW(request_arena(request), struct readiness);

    if (!readiness) {
        request_fail_code(request, ERR_UNAVAILABLE, NULL, "Out of memory");
        return;
    }
    readiness->request = request;
    request->state = readiness;
    request->on_gone = on_gone;
    for (unsigned i = 0; i < worker->gateway->backend_count; i++) {
        struct check *check = &readiness->checks[i];
        struct upstream_request upstream = {
            .path = "/grpc.health.v1.Health/Check",
            .message = {"", 0}, /* service "": the process as a whole */
            .timeout_us = CHECK_TIMEOUT_US,
            .request_id = request->identity.request_id,
        };
        /* Recorded for those who ask for it, not for each probe. */
        if (request->identity.span.has_parent) {
            upstream.traceparent = request->identity.traceparent;
            upstream.trace = request->identity.span.self;
        }
        check->readiness = readiness;
        check->call = upstream_call_start(worker->upstreams[i], &upstream, &handler, check);
        if (check->call)
            readiness->waiting++;
    }
    if (!readiness->waiting)
        finish(readiness);
}
