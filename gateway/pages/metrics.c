/* /metrics: the figures of all threads. No thread reads another's: the question goes round as one
 * letter, from thread to thread, each adds its own, and comes back to where it was asked. */
#include "gateway/pages/pages.h"

#include "app/app.h"
#include "app/trace.h"
#include "gateway/secure.h"
#include "gateway/policy/rate_share.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct question {
    struct loop_letter letter; /* first */
    struct gateway *gateway;
    struct request *request; /* NULL: the client has gone */
    unsigned origin, at;
    struct stats sum;
    struct http_stats http;
    size_t body_bytes;
    struct upstream_stats upstreams[GATEWAY_BACKENDS_MAX];
    struct tracer_stats traces;
    struct buf certificates; /* their families, as the first thread, which watches them, says */
};
#define CERTIFICATES_LIMIT (64u << 10)

static void on_letter(struct loop_letter *letter);

static void add_traces(struct tracer_stats *sum, const struct tracer *tracer)
{
    struct tracer_stats one;

    tracer_stats(tracer, &one);
    sum->exported += one.exported;
    sum->dropped += one.dropped;
    sum->batches += one.batches;
    sum->failures += one.failures;
    sum->waiting_bytes += one.waiting_bytes;
}

static void add_worker(struct question *question, const struct worker *worker)
{
    struct http_stats http = {0};

    stats_add(&question->sum, &worker->stats);
    question->sum.in_flight += worker->in_flight;
    if (worker->server)
        http_server_stats(worker->server, &http);
    question->http.connections_accepted += http.connections_accepted;
    question->http.requests += http.requests;
    question->http.bytes_in += http.bytes_in;
    question->http.bytes_out += http.bytes_out;
    question->http.protocol_errors += http.protocol_errors;
    question->http.connections += http.connections;
    question->http.exchanges += http.exchanges;
    question->http.websockets += http.websockets;
    question->http.handshakes_full += http.handshakes_full;
    question->http.handshakes_resumed += http.handshakes_resumed;
    question->http.handshakes_failed += http.handshakes_failed;
    question->http.handshakes_late += http.handshakes_late;
    question->http.not_tls += http.not_tls;
    if (worker->index == 0)
        tls_metrics(&question->certificates, worker->gateway->secure->watches, 2);
    question->http.output_bytes += http.output_bytes;
    for (size_t i = 0; i < HTTP_LIMIT_COUNT; i++)
        question->http.limited[i] += http.limited[i];
    question->body_bytes += worker->body_bytes;
    add_traces(&question->traces, worker->tracer);
    for (unsigned i = 0; i < worker->gateway->backend_count; i++) {
        struct upstream_stats *sum = &question->upstreams[i], one = {0};
        if (!worker->upstreams[i])
            continue;
        upstream_stats(worker->upstreams[i], &one);
        sum->in_flight += one.in_flight;
        sum->connections += one.connections;
        sum->calls += one.calls;
        sum->connects += one.connects;
        sum->connect_failures += one.connect_failures;
        sum->connections_lost += one.connections_lost;
        sum->retries += one.retries;
        for (size_t code = 0; code < 17; code++)
            sum->failures_by_code[code] += one.failures_by_code[code];
    }
}

static void route_labels(const struct question *question, size_t index, char out[256])
{
    const struct router *router = question->gateway->router;

    if (index < router_route_count(router)) {
        const struct schema_binding *binding = router_route(router, index)->binding;
        snprintf(out, 256, "method=\"%s\",route=\"%s\"", binding->verb, binding->template_text);
    } else {
        snprintf(out, 256, "method=\"\",route=\"%s\"",
                 index == stats_pages(&question->sum) ? "(page)" : "(unknown)");
    }
}

static void write_counts(const struct question *question, struct buf *out)
{
    char labels[256], all[320];

    metrics_family(out, "dialplane_http_requests_total", "counter",
                   "Requests answered, by route and status (0: another one).");
    for (size_t i = 0; i < question->sum.route_count; i++) {
        route_labels(question, i, labels);
        for (size_t s = 0; s < STATS_STATUSES; s++) {
            uint64_t count = question->sum.routes[i].by_status[s];
            if (!count)
                continue;
            snprintf(all, sizeof(all), "%s,status=\"%u\"", labels, stats_status_codes[s]);
            metrics_sample(out, "dialplane_http_requests_total", all, (double)count);
        }
    }
}

static void write_durations(const struct question *question, struct buf *out)
{
    double limits[STATS_BUCKETS - 1];
    char labels[256];

    for (size_t b = 0; b < STATS_BUCKETS - 1; b++)
        limits[b] = (double)stats_bucket_us[b] / 1e6;
    metrics_family(out, "dialplane_http_request_duration_seconds", "histogram",
                   "From the end of the request's headers to the end of the answer.");
    for (size_t i = 0; i < question->sum.route_count; i++) {
        const struct stats_route *route = &question->sum.routes[i];
        uint64_t count = 0;
        for (size_t b = 0; b < STATS_BUCKETS; b++)
            count += route->buckets[b];
        if (!count)
            continue;
        route_labels(question, i, labels);
        metrics_histogram(out, "dialplane_http_request_duration_seconds", labels, limits,
                          STATS_BUCKETS - 1, route->buckets, (double)route->duration_us / 1e6);
    }
}

static void write_upstream(const struct question *question, struct buf *out, const char *name,
                           const char *type, const char *help,
                           double (*value)(const struct upstream_stats *stats))
{
    char labels[64];

    metrics_family(out, name, type, help);
    for (unsigned i = 0; i < question->gateway->backend_count; i++) {
        snprintf(labels, sizeof(labels), "backend=\"%s\"", question->gateway->backends[i]);
        metrics_sample(out, name, labels, value(&question->upstreams[i]));
    }
}

static double in_flight(const struct upstream_stats *stats)
{
    return stats->in_flight;
}

static double connections(const struct upstream_stats *stats)
{
    return stats->connections;
}

static double calls(const struct upstream_stats *stats)
{
    return (double)stats->calls;
}

static double connects(const struct upstream_stats *stats)
{
    return (double)stats->connects;
}

static double lost(const struct upstream_stats *stats)
{
    return (double)(stats->connections_lost + stats->connect_failures);
}

static double retries(const struct upstream_stats *stats)
{
    return (double)stats->retries;
}

static void write_upstreams(const struct question *question, struct buf *out)
{
    char labels[96];

    write_upstream(question, out, "dialplane_upstream_in_flight", "gauge",
                   "Calls to services under way.", in_flight);
    write_upstream(question, out, "dialplane_upstream_connections", "gauge",
                   "Connections to services.", connections);
    write_upstream(question, out, "dialplane_upstream_calls_total", "counter", "Calls to services.",
                   calls);
    write_upstream(question, out, "dialplane_upstream_connects_total", "counter",
                   "Connections to services made.", connects);
    write_upstream(question, out, "dialplane_upstream_connections_lost_total", "counter",
                   "Connections to services that failed or were lost.", lost);
    write_upstream(question, out, "dialplane_upstream_retries_total", "counter",
                   "Calls sent again because no service had seen them.", retries);
    metrics_family(out, "dialplane_upstream_failures_total", "counter",
                   "Calls to services that failed, by code.");
    for (unsigned i = 0; i < question->gateway->backend_count; i++) {
        for (unsigned code = 1; code < 17; code++) {
            uint64_t count = question->upstreams[i].failures_by_code[code];
            if (!count)
                continue;
            snprintf(labels, sizeof(labels), "backend=\"%s\",code=\"%s\"",
                     question->gateway->backends[i], err_code_name((enum err_code)code));
            metrics_sample(out, "dialplane_upstream_failures_total", labels, (double)count);
        }
    }
}

static void write_tls(const struct question *question, struct buf *out)
{
    const struct http_stats *http = &question->http;
    const struct {
        const char *labels;
        uint64_t count;
    } results[] = {
        {"result=\"full\"", http->handshakes_full},
        {"result=\"resumed\"", http->handshakes_resumed},
        {"result=\"failed\"", http->handshakes_failed},
        {"result=\"late\"", http->handshakes_late},
        {"result=\"not_tls\"", http->not_tls},
    };

    metrics_family(out, "dialplane_tls_handshakes_total", "counter",
                   "TLS handshakes of clients, by how they ended.");
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        metrics_sample(out, "dialplane_tls_handshakes_total", results[i].labels,
                       (double)results[i].count);
}

static void write_limits(const struct question *question, struct buf *out)
{
    const struct limits *limits = question->gateway->limits;
    char labels[96];

    metrics_family(out, "dialplane_http_limited_total", "counter",
                   "Connections and requests refused or ended for passing a limit of HTTP.");
    for (size_t i = 0; i < HTTP_LIMIT_COUNT; i++) {
        snprintf(labels, sizeof(labels), "limit=\"%s\"", http_limit_names[i]);
        metrics_sample(out, "dialplane_http_limited_total", labels,
                       (double)question->http.limited[i]);
    }
    metrics_family(out, "dialplane_rate_limited_total", "counter",
                   "Requests answered 429, by whose bucket was empty and of which class.");
    for (size_t i = 0; i < 2; i++) {
        for (size_t slot = 0; slot < RATE_SLOTS; slot++) {
            if (i && slot == RATE_ALL) /* a bucket of addresses only */
                continue;
            snprintf(labels, sizeof(labels), "by=\"%s\",class=\"%s\"", i ? "principal" : "address",
                     slot == RATE_ALL ? "all" : rate_class_names[slot]);
            metrics_sample(out, "dialplane_rate_limited_total", labels,
                           (double)question->sum.rate_limited[i][slot]);
        }
    }
    metrics_one(out, "dialplane_rate_limits_shared", "gauge",
                "Whether this gateway hears of other gateways' counts just now.",
                limits->share && rate_share_is_up(limits->share));
    metrics_one(out, "dialplane_http_output_bytes", "gauge",
                "Memory of answers that clients have not taken yet.",
                (double)question->http.output_bytes);
    metrics_one(out, "dialplane_http_body_bytes", "gauge",
                "Memory of JSON bodies that are being received.", (double)question->body_bytes);
}

static void write_all(const struct question *question, struct buf *out)
{
    const struct stats *sum = &question->sum;
    const struct http_stats *http = &question->http;

    write_counts(question, out);
    write_durations(question, out);
    metrics_one(out, "dialplane_http_in_flight", "gauge", "Requests under way.",
                (double)sum->in_flight);
    metrics_one(out, "dialplane_http_connections", "gauge", "Open connections.", http->connections);
    metrics_one(out, "dialplane_http_connections_total", "counter", "Connections accepted.",
                (double)http->connections_accepted);
    metrics_one(out, "dialplane_http_received_bytes_total", "counter", "Bytes received.",
                (double)http->bytes_in);
    metrics_one(out, "dialplane_http_sent_bytes_total", "counter", "Bytes sent.",
                (double)http->bytes_out);
    metrics_one(out, "dialplane_http_protocol_errors_total", "counter",
                "Connections that broke the rules.", (double)http->protocol_errors);
    metrics_one(out, "dialplane_websockets", "gauge", "Open WebSockets.", http->websockets);
    metrics_one(out, "dialplane_watchers", "gauge",
                "Watchers of live streams, whatever their form.", (double)sum->live_watchers);
    metrics_one(out, "dialplane_live_streams", "gauge",
                "Streams from services that are being watched.", (double)sum->live_streams);
    metrics_one(out, "dialplane_live_events_total", "counter", "Live events received.",
                (double)sum->live_events);
    metrics_one(out, "dialplane_watchers_cut_total", "counter", "Watchers that could not keep up.",
                (double)sum->live_cut);
    metrics_one(out, "dialplane_watchers_behind", "gauge",
                "Watchers further behind than the history, which catch up by themselves.",
                (double)sum->live_behind);
    metrics_one(out, "dialplane_watchers_resumed_total", "counter",
                "Streams opened for watchers that had fallen behind.", (double)sum->live_resumed);
    write_limits(question, out);
    write_upstreams(question, out);
    write_tls(question, out);
    buf_put(out, question->certificates.data, question->certificates.length);
    metrics_tracer(out, &question->traces);
    metrics_process(out);
}

static void free_question(struct question *question)
{
    stats_done(&question->sum);
    buf_done(&question->certificates);
    free(question);
}

static void answer(struct question *question)
{
    struct request *request = question->request;

    if (request) {
        struct buf *out = worker_scratch(&request->worker->text);
        struct answer_headers headers = {.count = 0};
        request->on_gone = NULL;
        write_all(question, out);
        answer_header(&headers, "content-type",
                      STR_LITERAL("text/plain; version=0.0.4; charset=utf-8"));
        answer_header(&headers, "cache-control", STR_LITERAL("no-store"));
        request_answer(request, 200, &headers, buf_str(out));
    }
    free_question(question);
}

/* On to the next thread, or back home. */
static void pass_on(struct question *question)
{
    unsigned next = (question->at + 1) % question->gateway->worker_count;

    add_worker(question, &question->gateway->workers[question->at]);
    if (next == question->origin && question->at == question->origin) {
        answer(question); /* the only thread */
        return;
    }
    question->at = next;
    question->letter.deliver = on_letter;
    loop_post(question->gateway->workers[next].loop, &question->letter);
}

static void on_letter(struct loop_letter *letter)
{
    struct question *question = (struct question *)letter;

    if (question->at == question->origin)
        answer(question);
    else
        pass_on(question);
}

static void on_gone(struct request *request)
{
    struct question *question = request->state;

    question->request = NULL;
}

void metrics_serve(struct request *request)
{
    struct gateway *gateway = request->worker->gateway;
    struct question *question = calloc(1, sizeof(*question));

    if (!question || !stats_init(&question->sum, router_route_count(gateway->router))) {
        free(question);
        request_fail_code(request, ERR_UNAVAILABLE, NULL, "Out of memory");
        return;
    }
    buf_init(&question->certificates, CERTIFICATES_LIMIT);
    question->gateway = gateway;
    question->request = request;
    question->origin = question->at = request->worker->index;
    request->state = question;
    request->on_gone = on_gone;
    pass_on(question);
}
