/* What is asked for: which form, from where on, and whether it may be asked at all. The answer
 * itself is stream.c's and socket.c's. */
#include "gateway/live/watch.h"

#include "base/wire.h"
#include "gateway/call/unary.h"
#include "gateway/live/forms.h"
#include "gateway/policy/media.h"
#include "gateway/policy/problem.h"
#include "gateway/route/transcode.h"

#define VIOLATIONS_MAX 100

/* Server-sent events resume through a header: the newest that the browser has seen beats what the
 * address said at first. */
static bool apply_last_event_id(struct request *request, struct str *wire)
{
    const struct schema_field *cursor = request->route->method->stream_cursor;
    struct str header = exchange_header(request->exchange, "last-event-id");
    struct worker *worker = request->worker;
    uint64_t asked, seen;

    if (!cursor || !header.length)
        return true;
    if (!str_parse_uint64(header, &seen)) {
        request_fail_code(request, ERR_INVALID_ARGUMENT, NULL, "Last-Event-ID must be a number");
        return false;
    }
    struct buf *out = worker_scratch(&worker->wire);
    transcode_split_integer(cursor, *wire, &asked, out);
    wire_put_tag(out, cursor->number, 0);
    wire_put_varint(out, seen);
    char *copy = arena_memdup(request_arena(request), out->data, out->length);
    if (!copy) {
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
        return false;
    }
    *wire = (struct str){copy, out->length};
    return true;
}

/* The service would say the same, but only after the upgrade, where a client can no longer be told
 * by status. */
static bool check_rules(struct request *request, struct str wire)
{
    struct violations violations;
    struct err err = {0};

    violations_init(&violations, request_arena(request), VIOLATIONS_MAX);
    if (schema_check(request->route->method->input, wire, NULL, &violations, &err) &&
        (!violations.count || err_set_violations(&err, &violations)))
        return true;
    request_fail(request, &err, NULL);
    return false;
}

/* A page of another site may open a WebSocket to us without any pre-flight: CORS does not guard it,
 * so we do. */
static bool check_origin(struct request *request)
{
    struct str origin = exchange_header(request->exchange, "origin");

    if (!origin.length || origin_is_same(origin, exchange_authority(request->exchange)) ||
        cors_allow(request->worker->gateway->cors, origin).length)
        return true;
    request_fail_code(request, ERR_PERMISSION_DENIED, "ORIGIN_NOT_ALLOWED",
                      "Pages of this origin may not open a WebSocket here");
    return false;
}

/* What a GET would begin with; nothing is watched for it. */
static void answer_head(struct request *request, const char *type)
{
    struct answer_headers headers = {.count = 0};

    answer_header(&headers, "content-type", str_from(type));
    answer_header(&headers, "cache-control", STR_LITERAL("no-store"));
    request_answer(request, 200, &headers, (struct str){NULL, 0});
}

void watch_start(struct request *request)
{
    static const char *const types[] = {"application/x-ndjson", "text/event-stream"};
    const struct schema_method *method = request->route->method;
    bool websocket = exchange_wants_websocket(request->exchange);
    struct str wire;

    if (request->worker->draining) {
        request_fail_code(request, ERR_UNAVAILABLE, NULL, "The gateway is being restarted");
        return;
    }
    if (websocket && !method->websocket) {
        request_fail_code(request, ERR_INVALID_ARGUMENT, NULL,
                          "This stream is not served as a WebSocket");
        return;
    }
    if (websocket && !check_origin(request))
        return;
    int form = websocket ? 0
                         : accept_choose(exchange_header(request->exchange, "accept"), types,
                                         sizeof(types) / sizeof(types[0]));
    if (form < 0) {
        request_fail_code(request, ERR_INVALID_ARGUMENT, REASON_NOT_ACCEPTABLE,
                          "This is a stream: ask for text/event-stream or application/x-ndjson%s",
                          method->websocket ? ", or upgrade to a WebSocket" : "");
        return;
    }
    if (!unary_transcode(request, (struct str){NULL, 0}, &wire) ||
        !apply_last_event_id(request, &wire) || !check_rules(request, wire))
        return;
    if (websocket)
        socket_start(request, wire);
    else if (str_equal_cstr(exchange_method(request->exchange), "HEAD"))
        answer_head(request, types[form]);
    else
        stream_start(request, wire, form == 1 ? LIVE_EVENT_STREAM : LIVE_LINES);
}
