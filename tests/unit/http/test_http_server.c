/* A server on the exchange interface for the tests in this directory: small endpoints, each about
 * one thing that a client can see. usage: test_http_server [limit=value …]; prints "port N"; ends
 * gracefully at SIGTERM. */
#include "gateway/http/exchange.h"
#include "gateway/http/server.h"
#include "loop/loop.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct http_server *server;
static struct {
    unsigned gone, done, requests, sockets_closed, last_close_code, last_status, drained;
    size_t most_waiting;
} counters;

/* The state of one exchange, in its arena. */
struct job {
    struct exchange *exchange;
    struct loop_timer *timer;
    size_t left, piece, bytes;
    int64_t delay_us;
    bool abort_at_end, slow_reader;
};

static long query_number(struct exchange *exchange, const char *name, long otherwise)
{
    struct str query = exchange_query(exchange);
    size_t length = strlen(name), i;
    for (i = 0; i + length < query.length; i++) {
        if ((i == 0 || query.data[i - 1] == '&') && memcmp(query.data + i, name, length) == 0 &&
            query.data[i + length] == '=') {
            char digits[24];
            snprintf(digits, sizeof(digits), "%.*s", (int)(query.length - i - length - 1),
                     query.data + i + length + 1);
            return strtol(digits, NULL, 10);
        }
    }
    return otherwise;
}

static void respond_text(struct exchange *exchange, unsigned status, const char *text)
{
    const struct header type = {STR_LITERAL("content-type"), STR_LITERAL("text/plain")};
    exchange_respond(exchange, status, &type, 1, str_from(text));
}

/* /stats */
static void respond_stats(struct exchange *exchange)
{
    struct http_stats stats;
    char text[1600];
    http_server_stats(server, &stats);
    int length = snprintf(
        text, sizeof(text),
        "{\"gone\": %u, \"done\": %u, \"requests\": %u, \"sockets_closed\": %u, "
        "\"last_close_code\": %u, \"last_status\": %u, \"most_waiting\": %zu, \"drained\": %u, "
        "\"connections\": %u, \"exchanges\": %u, \"websockets\": %u, "
        "\"protocol_errors\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"output_bytes\": %zu",
        counters.gone, counters.done, counters.requests, counters.sockets_closed,
        counters.last_close_code, counters.last_status, counters.most_waiting, counters.drained,
        stats.connections, stats.exchanges, stats.websockets, stats.protocol_errors,
        stats.bytes_out, stats.output_bytes);
    for (unsigned i = 0; i < HTTP_LIMIT_COUNT; i++) {
        length += snprintf(text + length, sizeof(text) - (size_t)length,
                           ", \"limited_%s\": %" PRIu64, http_limit_names[i], stats.limited[i]);
    }
    snprintf(text + length, sizeof(text) - (size_t)length, "}");
    respond_text(exchange, 200, text);
}

/* /headers: what arrived. */
static void respond_headers(struct exchange *exchange)
{
    const struct header *headers;
    size_t count = exchange_headers(exchange, &headers), i;
    struct buf out;
    buf_init(&out, 0);
    buf_printf(&out, "%.*s %.*s ? %.*s @ %.*s\n", (int)exchange_method(exchange).length,
               exchange_method(exchange).data, (int)exchange_path(exchange).length,
               exchange_path(exchange).data, (int)exchange_query(exchange).length,
               exchange_query(exchange).length ? exchange_query(exchange).data : "",
               (int)exchange_authority(exchange).length,
               exchange_authority(exchange).length ? exchange_authority(exchange).data : "");
    for (i = 0; i < count; i++) {
        buf_put_str(&out, headers[i].name);
        buf_put_cstr(&out, "=");
        buf_put_str(&out, headers[i].value);
        buf_put_cstr(&out, "\n");
    }
    exchange_respond(exchange, 200, NULL, 0, buf_str(&out));
    buf_done(&out);
}

static struct job *new_job(struct exchange *exchange)
{
    struct job *job = ARENA_NEW(exchange_arena(exchange), struct job);
    job->exchange = exchange;
    exchange_set_state(exchange, job);
    return job;
}

/* /collect: reads the body, at once or a piece each `ms`, and tells its length. */
static void on_next_piece(void *context)
{
    struct job *job = context;
    job->timer = NULL;
    exchange_body_next(job->exchange);
}

static void on_collected(struct exchange *exchange, struct str data, bool end)
{
    struct job *job = exchange_state(exchange);
    char text[64];
    job->bytes += data.length;
    if (!end) {
        if (job->delay_us) {
            job->timer = loop_timer_start(loop, job->delay_us, on_next_piece, job);
        } else {
            exchange_body_next(exchange);
        }
        return;
    }
    snprintf(text, sizeof(text), "%zu\n", job->bytes);
    respond_text(exchange, 200, text);
}

/* /echo: the body back as it comes. */
static void on_echo_drained(struct exchange *exchange)
{
    counters.drained++;
    exchange_body_next(exchange);
}

static void on_echo(struct exchange *exchange, struct str data, bool end)
{
    struct shared_bytes *bytes = shared_bytes_new(data.data, data.length);
    size_t waiting;
    if (!bytes) {
        exchange_abort(exchange);
        return;
    }
    waiting = exchange_write(exchange, bytes);
    shared_bytes_unref(bytes);
    if (waiting > counters.most_waiting) {
        counters.most_waiting = waiting;
    }
    if (end) {
        exchange_respond_end(exchange);
    } else if (waiting < 64 * 1024) {
        exchange_body_next(exchange);
    }
}

static void on_too_large(struct exchange *exchange)
{
    respond_text(exchange, 413, "too large\n");
}

/* /stream?n=&size=&ms=&abort= */
static void stream_more(struct exchange *exchange)
{
    struct job *job = exchange_state(exchange);
    while (job->left > 0) {
        struct shared_bytes *bytes = shared_bytes_new(NULL, job->piece);
        size_t waiting;
        memset(bytes->data, 'a' + (int)(job->left % 26), job->piece);
        waiting = exchange_write(exchange, bytes);
        shared_bytes_unref(bytes);
        job->left--;
        if (waiting > counters.most_waiting) {
            counters.most_waiting = waiting;
        }
        if (job->delay_us || waiting >= 64 * 1024) {
            return;
        }
    }
    loop_timer_cancel(job->timer);
    job->timer = NULL;
    if (job->abort_at_end) {
        exchange_abort(exchange);
    } else {
        exchange_respond_end(exchange);
    }
}

static void on_stream_drained(struct exchange *exchange)
{
    counters.drained++;
    stream_more(exchange);
}

static void on_stream_tick(void *context)
{
    struct job *job = context;
    stream_more(job->exchange);
}

static void start_stream(struct exchange *exchange)
{
    const struct header type = {STR_LITERAL("content-type"), STR_LITERAL("application/x-stream")};
    struct job *job = new_job(exchange);
    job->left = (size_t)query_number(exchange, "n", 10);
    job->piece = (size_t)query_number(exchange, "size", 10);
    job->delay_us = query_number(exchange, "ms", 0) * 1000;
    job->abort_at_end = query_number(exchange, "abort", 0) != 0;
    exchange_on_drained(exchange, on_stream_drained);
    exchange_respond_begin(exchange, 200, &type, 1);
    if (job->delay_us) {
        job->timer = loop_timer_repeat(loop, job->delay_us, on_stream_tick, job);
    } else {
        stream_more(exchange);
    }
}

static void on_late(void *context)
{
    struct job *job = context;
    job->timer = NULL;
    respond_text(job->exchange, 200, "late\n");
}

/* /ws: echoes; "flood N" sends N times 10 KB; "close CODE" closes. */
static void on_ws_text(struct websocket *socket, struct str text)
{
    char command[64];
    snprintf(command, sizeof(command), "%.*s", (int)text.length, text.data);
    if (strncmp(command, "flood ", 6) == 0) {
        static char filler[10000];
        long i, count = strtol(command + 6, NULL, 10);
        memset(filler, 'f', sizeof(filler));
        for (i = 0; i < count; i++) {
            size_t waiting = websocket_send_text(socket, (struct str){filler, sizeof(filler)});
            if (waiting > counters.most_waiting) {
                counters.most_waiting = waiting;
            }
        }
    } else if (strncmp(command, "close ", 6) == 0) {
        websocket_close(socket, (unsigned)strtoul(command + 6, NULL, 10), "as you wish");
    } else {
        websocket_send_text(socket, text);
    }
}

static void on_ws_closed(struct websocket *socket, unsigned code)
{
    (void)socket;
    counters.sockets_closed++;
    counters.last_close_code = code;
}

static const struct websocket_handler ws_handler = {.on_text = on_ws_text,
                                                    .on_closed = on_ws_closed};

static void respond_big(struct exchange *exchange)
{
    size_t size = (size_t)query_number(exchange, "size", 100000);
    char *body = malloc(size + 1);
    memset(body, 'b', size);
    exchange_respond(exchange, 200, NULL, 0, (struct str){body, size});
    free(body);
}

static void start_body(struct exchange *exchange, bool limited,
                       void (*on_data)(struct exchange *, struct str, bool))
{
    struct job *job = new_job(exchange);
    job->delay_us = query_number(exchange, "ms", 0) * 1000;
    if (limited) {
        exchange_body_limit(exchange, 1000, on_too_large);
    }
    exchange_body_start(exchange, on_data);
}

static void on_request(struct exchange *exchange, void *context)
{
    struct str path = exchange_path(exchange);
    (void)context;
    counters.requests++;
    if (str_equal_cstr(path, "/hello")) {
        respond_text(exchange, 200, "hello\n");
    } else if (str_equal_cstr(path, "/stats")) {
        respond_stats(exchange);
    } else if (str_equal_cstr(path, "/headers")) {
        respond_headers(exchange);
    } else if (str_equal_cstr(path, "/big")) {
        respond_big(exchange);
    } else if (str_equal_cstr(path, "/collect")) {
        start_body(exchange, false, on_collected);
    } else if (str_equal_cstr(path, "/limited")) {
        start_body(exchange, true, on_collected);
    } else if (str_equal_cstr(path, "/echo")) {
        exchange_on_drained(exchange, on_echo_drained);
        exchange_respond_begin(exchange, 200, NULL, 0);
        start_body(exchange, false, on_echo);
    } else if (str_equal_cstr(path, "/stream")) {
        start_stream(exchange);
    } else if (str_equal_cstr(path, "/early")) {
        respond_text(exchange, 422, "not reading that\n");
    } else if (str_equal_cstr(path, "/none")) {
        exchange_respond(exchange, 204, NULL, 0, (struct str){NULL, 0});
    } else if (str_equal_cstr(path, "/evil")) {
        const struct header evil = {STR_LITERAL("x-evil"), STR_LITERAL("a\r\nx-injected: 1")};
        exchange_respond(exchange, 200, &evil, 1, STR_LITERAL("ok"));
    } else if (str_equal_cstr(path, "/late")) {
        struct job *job = new_job(exchange);
        job->timer = loop_timer_start(loop, query_number(exchange, "ms", 100) * 1000, on_late, job);
    } else if (str_equal_cstr(path, "/ws") && exchange_wants_websocket(exchange)) {
        exchange_accept_websocket(exchange, (struct str){NULL, 0}, &ws_handler, NULL);
    } else {
        respond_text(exchange, 404, "no such path\n");
    }
}

static void on_gone(struct exchange *exchange)
{
    struct job *job = exchange_state(exchange);
    counters.gone++;
    if (job) {
        loop_timer_cancel(job->timer);
        job->timer = NULL;
    }
}

static void on_done(struct exchange *exchange, unsigned status, uint64_t bytes_sent)
{
    (void)exchange;
    (void)bytes_sent;
    counters.done++;
    counters.last_status = status;
}

static void on_stopped(void *context)
{
    (void)context;
    http_server_free(server);
    loop_stop(loop);
}

static void on_signal(void *context)
{
    (void)context;
    http_server_stop(server, 2 * TIME_US_PER_SECOND, on_stopped, NULL);
}

static void set_limit(struct http_limits *limits, const char *argument)
{
#define LIMIT(name)                                                                                \
    if (strncmp(argument, #name "=", sizeof(#name)) == 0) {                                        \
        limits->name = (__typeof__(limits->name))strtoll(argument + sizeof(#name), NULL, 10);      \
    }
    LIMIT(connections)
    LIMIT(header_bytes)
    LIMIT(header_count)
    LIMIT(target_bytes)
    LIMIT(header_timeout_us)
    LIMIT(body_idle_us)
    LIMIT(keep_alive_us)
    LIMIT(write_idle_us)
    LIMIT(pipeline_depth)
    LIMIT(streams)
    LIMIT(resets_per_second)
    LIMIT(output_bytes)
    LIMIT(websocket_message_bytes)
    LIMIT(websocket_output_bytes)
    LIMIT(websocket_ping_us)
    LIMIT(connections_per_address)
    LIMIT(least_rate_bytes)
    LIMIT(control_frames_per_second)
    LIMIT(websocket_frames_per_second)
    LIMIT(websocket_fragments)
    LIMIT(all_output_bytes)
#undef LIMIT
}

int main(int argc, char **argv)
{
    static const struct exchange_handler handler = {
        .on_request = on_request, .on_gone = on_gone, .on_done = on_done};
    struct http_limits limits = {0};
    struct err err = {0};
    int i;
    for (i = 1; i < argc; i++) {
        set_limit(&limits, argv[i]);
    }
    loop = loop_new(NULL);
    server = loop ? http_server_start(loop, "127.0.0.1:0", false, &limits, &handler, &err) : NULL;
    if (!server) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    loop_on_signal(loop, SIGTERM, on_signal, NULL);
    printf("port %d\n", http_server_port(server));
    fflush(stdout);
    loop_run(loop);
    loop_free(loop);
    return 0;
}
