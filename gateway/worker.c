#include "gateway/worker.h"

#include "gateway/call/download.h"
#include "gateway/call/request.h"
#include "gateway/call/unary.h"
#include "gateway/call/upload.h"
#include "gateway/live/hub.h"
#include "gateway/live/watch.h"
#include "gateway/pages/pages.h"
#include "gateway/policy/problem.h"
#include "gateway/secure.h"
#include "gateway/upstream/exporter.h"

#include <stdlib.h>

#define WIRE_LIMIT (64u << 20)
/* What a collector may cost at stop. */
#define TRACE_CLOSE_US (2 * TIME_US_PER_SECOND)

static void answer_preflight(struct request *request, unsigned allow)
{
    struct exchange *exchange = request->exchange;
    struct answer_headers headers = {.count = 0};
    char methods[ROUTE_ALLOW_SIZE];

    if (!cors_allow(request->worker->gateway->cors, exchange_header(exchange, "origin")).length) {
        request_fail_code(request, ERR_PERMISSION_DENIED, "ORIGIN_NOT_ALLOWED",
                          "Pages of this origin may not call here");
        return;
    }
    router_allow_text(allow, methods);
    answer_header(&headers, "access-control-allow-methods", str_from(methods));
    answer_header(&headers, "access-control-allow-headers", STR_LITERAL(CORS_ALLOWED_HEADERS));
    answer_header(&headers, "access-control-max-age", STR_LITERAL(CORS_MAX_AGE));
    request_answer(request, 204, &headers, (struct str){NULL, 0});
}

static void refuse_method(struct request *request, unsigned allow)
{
    struct answer_headers headers = {.count = 0};
    struct str method = exchange_method(request->exchange);
    char methods[ROUTE_ALLOW_SIZE];
    struct err err = {0};

    router_allow_text(allow, methods);
    answer_header(&headers, "allow", str_from(methods));
    if (str_equal_cstr(method, "OPTIONS")) {
        request_answer(request, 204, &headers, (struct str){NULL, 0});
        return;
    }
    err_set(&err, ERR_UNIMPLEMENTED, REASON_METHOD_NOT_ALLOWED, "%.*s is not possible here, but %s",
            method.length < 20 ? (int)method.length : 20, method.data, methods);
    request_fail(request, &err, &headers);
}

static void serve_route(struct request *request)
{
    struct worker *worker = request->worker;
    const struct schema_method *method = request->match.route->method;

    request->route = request->match.route;
    request->label = request->route->binding->template_text;
    request->figures = request->route->index;
    if (!limits_admit(request, limits_class(method, request->route->binding->verb)))
        return;
    if (worker->in_flight >= worker->gateway->options.max_in_flight) {
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED,
                          "Too many requests are under way");
        return;
    }
    worker->in_flight++;
    request->in_flight = true;
    if (!request_authorize(request))
        return;
    if (method->download_type)
        download_start(request);
    else if (method->server_streaming)
        watch_start(request);
    else if (method->client_streaming)
        upload_start(request);
    else
        unary_start(request);
}

static void on_request(struct exchange *exchange, void *context)
{
    struct worker *worker = context;
    struct request *request = request_new(exchange, worker);
    struct err err = {0};

    if (!request)
        return;
    struct str method = exchange_method(exchange);
    router_find(worker->gateway->router, method, exchange_path(exchange), exchange_arena(exchange),
                &request->match, &err);
    if (request->match.allow && str_equal_cstr(method, "OPTIONS") &&
        exchange_header(exchange, "access-control-request-method").length) {
        answer_preflight(request, request->match.allow);
        return;
    }
    if (!request_read_query(request))
        return;
    switch (request->match.status) {
    case 200:
        serve_route(request);
        break;
    case 400:
        request_fail(request, &err, NULL);
        break;
    case 405:
        refuse_method(request, request->match.allow);
        break;
    default:
        /* Who asks whether the process lives gets its answer, whatever others do from its address.
         */
        if (!str_equal_cstr(exchange_path(exchange), "/healthz") &&
            !limits_admit(request, RATE_READS))
            break;
        if (!pages_serve(request))
            request_fail_code(request, ERR_NOT_FOUND, NULL, "There is nothing at this path");
    }
}

static bool start_upstreams(struct worker *worker, const struct worker_options *options,
                            struct err *err)
{
    const struct gateway *gateway = worker->gateway;
    size_t count = router_route_count(gateway->router);

    struct upstream_options upstream = options->upstream;

    worker->observer = (struct upstream_observer){limits_on_principal, worker};
    upstream.observer = &worker->observer;
    for (unsigned i = 0; i < gateway->backend_count; i++) {
        worker->upstreams[i] =
            upstream_new(worker->loop, gateway->backends[i], options->addresses[i], &upstream, err);
        if (!worker->upstreams[i])
            return false;
    }
    worker->route_upstreams = calloc(count + 1, sizeof(struct upstream *));
    if (!worker->route_upstreams)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (size_t r = 0; r < count; r++) {
        const struct route *route = router_route(gateway->router, r);
        const char *backend = route->method->service->backend;
        for (unsigned i = 0; i < gateway->backend_count; i++)
            if (strcmp(backend, gateway->backends[i]) == 0)
                worker->route_upstreams[r] = worker->upstreams[i];
        if (!worker->route_upstreams[r])
            return err_set(err, ERR_INTERNAL, NULL, "%s: no setting says where \"%s\" is",
                           route->method->path, backend);
    }
    return true;
}

static bool start_tracer(struct worker *worker, const struct worker_options *options,
                         struct err *err)
{
    if (!options->trace_address || !options->trace_address[0])
        return true;
    worker->exporter = exporter_new(worker->loop, options->trace_address, err);
    if (!worker->exporter)
        return false;
    struct trace_transport transport = exporter_transport(worker->exporter);
    const struct tracer_options settings = {
        .service = "dialplane-gateway",
        .ratio = options->trace_ratio,
    };
    worker->tracer = tracer_new(worker->loop, &settings, &transport);
    return worker->tracer || err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

bool worker_init(struct worker *worker, const struct worker_options *options, struct err *err)
{
    struct entropy system;

    worker->loop = loop_new(NULL);
    if (!worker->loop || !stats_init(&worker->stats, router_route_count(worker->gateway->router)) ||
        !(worker->live = live_new(worker)))
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    buf_init(&worker->wire, WIRE_LIMIT);
    buf_init(&worker->json, WIRE_LIMIT);
    buf_init(&worker->text, WIRE_LIMIT);
    /* Names of requests need to be unlikely to meet, not secret: one system call a thread instead
     * of two a request. */
    entropy_init_system(&system);
    entropy_init_seeded(&worker->entropy, entropy_uint64(&system));
    if (!start_tracer(worker, options, err) || !start_upstreams(worker, options, err))
        return false;
    worker->handler = (struct exchange_handler){
        .on_request = on_request,
        .on_gone = request_on_gone,
        .on_done = request_on_done,
        .context = worker,
    };
    worker->server = http_server_start(worker->loop, options->listen, options->reuse_port,
                                       &options->limits, &worker->handler, err);
    if (worker->server)
        http_server_secure(worker->server, worker->gateway->secure->server);
    return worker->server != NULL;
}

static void on_server_stopped(void *context)
{
    struct worker *worker = context;

    tracer_close(worker->tracer, worker->loop, TRACE_CLOSE_US, worker->drained,
                 worker->drained_context);
}

void worker_drain(struct worker *worker, int64_t grace_us, void (*done)(void *context),
                  void *context)
{
    struct err err = {0};

    worker->draining = true;
    err_set(&err, ERR_UNAVAILABLE, NULL, "The gateway is being restarted");
    live_end_all(worker->live, &err);
    worker->drained = done;
    worker->drained_context = context;
    http_server_stop(worker->server, grace_us, on_server_stopped, worker);
}

void worker_done(struct worker *worker)
{
    http_server_free(worker->server);
    live_free(worker->live);
    for (unsigned i = 0; i < GATEWAY_BACKENDS_MAX; i++) {
        upstream_free(worker->upstreams[i]);
        worker->upstreams[i] = NULL;
    }
    exporter_free(worker->exporter);
    tracer_free(worker->tracer); /* after all that has spans */
    worker->exporter = NULL;
    worker->tracer = NULL;
    loop_free(worker->loop);
    free(worker->route_upstreams);
    stats_done(&worker->stats);
    buf_done(&worker->wire);
    buf_done(&worker->json);
    buf_done(&worker->text);
}
