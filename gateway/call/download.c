/* The way of a download: message → its bytes → the socket's queue. While more than WAITING_LIMIT
 * wait there the stream's window is not given back, so the service stops; when they have drained it
 * is, and the service goes on.
 *
 * The status line waits for the first message, so that what cannot be had is a 404 and not an empty
 * file. What fails later cuts the answer off: a file without its end must not look like a whole
 * one. */
#include "gateway/call/download.h"

#include "base/wire.h"
#include "gateway/call/unary.h"
#include "gateway/policy/media.h"
#include "gateway/policy/problem.h"

#include <stdio.h>

#define WAITING_LIMIT (64 * 1024)

struct download {
    struct request *request;
    bool begun;
    bool blocked; /* the client reads slower than the service sends */
};

static void on_message(struct upstream_call *call, struct str message);
static void on_done(struct upstream_call *call, const struct err *status);

static const struct upstream_handler download_handler = {.on_message = on_message,
                                                         .on_done = on_done};

static bool is_head(const struct request *request)
{
    return str_equal_cstr(exchange_method(request->exchange), "HEAD");
}

static void on_drained(struct exchange *exchange)
{
    struct request *request = exchange_state(exchange);
    struct download *download = request->state;

    if (!download->blocked)
        return;
    download->blocked = false;
    if (request->call)
        upstream_call_pause(request->call, false);
}

/* "attachment; filename=\"tasks.csv\"": the last part of the path, which is a literal. */
static struct str disposition(struct request *request)
{
    const char *slash = strrchr(request->route->binding->template_text, '/');
    char *text = arena_printf(request_arena(request), "attachment; filename=\"%s\"", slash + 1);

    return str_from(text ? text : "attachment");
}

static void begin(struct download *download)
{
    struct request *request = download->request;
    struct answer_headers headers = {.count = 0};

    download->begun = true;
    answer_header(&headers, "content-type", str_from(request->route->method->download_type));
    answer_header(&headers, "content-disposition", disposition(request));
    answer_header(&headers, "cache-control", STR_LITERAL("no-store"));
    if (is_head(request)) {
        request_answer(request, 200, &headers, (struct str){NULL, 0});
        return;
    }
    request_begin(request, 200, &headers);
    exchange_on_drained(request->exchange, on_drained);
}

/* Bytes field of the message; the last one counts, as in any message. */
static bool find_data(const struct request *request, struct str message, struct str *ret_data)
{
    uint32_t number = request->route->method->download_data->number;
    struct wire_reader reader;

    *ret_data = (struct str){NULL, 0};
    wire_reader_init(&reader, message);
    while (wire_reader_next(&reader))
        if (reader.number == number && reader.type == 2)
            *ret_data = reader.bytes;
    return !reader.malformed;
}

static void cut_off(struct download *download)
{
    struct request *request = download->request;

    if (request->call)
        upstream_call_cancel(request->call);
    request->call = NULL;
    exchange_abort(request->exchange);
}

static void on_message(struct upstream_call *call, struct str message)
{
    struct request *request = upstream_call_context(call);
    struct download *download = request->state;
    struct shared_bytes *bytes;
    struct str data;

    if (!download->begun)
        begin(download);
    if (is_head(request)) { /* that there is something has been answered */
        upstream_call_cancel(call);
        request->call = NULL;
        return;
    }
    if (!find_data(request, message, &data) ||
        (data.length && !(bytes = shared_bytes_new(data.data, data.length)))) {
        cut_off(download);
        return;
    }
    if (!data.length)
        return;
    if (exchange_write(request->exchange, bytes) > WAITING_LIMIT && !download->blocked) {
        download->blocked = true;
        upstream_call_pause(call, true);
    }
    shared_bytes_unref(bytes);
}

static void on_done(struct upstream_call *call, const struct err *status)
{
    struct request *request = upstream_call_context(call);
    struct download *download = request->state;

    request->call = NULL;
    if (!download->begun && status->code != ERR_OK) {
        request_fail(request, status, NULL);
    } else if (status->code != ERR_OK) {
        cut_off(download);
    } else {
        if (!download->begun)
            begin(download);
        exchange_respond_end(request->exchange);
    }
}

void download_start(struct request *request)
{
    const struct schema_method *method = request->route->method;
    struct download *download = ARENA_NEW(request_arena(request), struct download);
    struct upstream_request upstream;
    char type[64];

    if (!download) {
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
        return;
    }
    download->request = request;
    request->state = download;
    snprintf(type, sizeof(type), "%.*s", (int)strcspn(method->download_type, "; "),
             method->download_type);
    if (!accept_quality(exchange_header(request->exchange, "accept"), type)) {
        request_fail_code(request, ERR_INVALID_ARGUMENT, REASON_NOT_ACCEPTABLE,
                          "This is a file of type %s: ask for that", type);
        return;
    }
    if (request->worker->draining) {
        request_fail_code(request, ERR_UNAVAILABLE, NULL, "The gateway is being restarted");
        return;
    }
    if (!request_upstream(request, &upstream) ||
        !unary_transcode(request, (struct str){NULL, 0}, &upstream.message))
        return;
    upstream.timeout_us = 0; /* it lasts as long as the client reads */
    request->call = upstream_call_start(request->worker->route_upstreams[request->route->index],
                                        &upstream, &download_handler, request);
    if (!request->call)
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
}
