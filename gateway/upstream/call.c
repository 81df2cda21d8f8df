/* One call: its messages out and in, and how it ends. */
#include "gateway/policy/problem.h"
#include "gateway/upstream/internal.h"
#include "gateway/upstream/status.h"

#include <stdio.h>
#include <stdlib.h>

#define FREE_CALLS_MAX 256
#define KEPT_BUFFER_MAX (64 * 1024)
#define OUT_LIMIT (1024 * 1024)

struct upstream_call *call_new(struct upstream *upstream)
{
    struct upstream_call *call = TAILQ_FIRST(&upstream->free_calls);

    if (call) {
        TAILQ_REMOVE(&upstream->free_calls, call, link);
        upstream->free_count--;
        return call;
    }
    call = calloc(1, sizeof(*call));
    if (call) {
        buf_init(&call->in, upstream->options.max_response_bytes);
        buf_init(&call->out, OUT_LIMIT);
        buf_init(&call->message, 8 * 1024);
        buf_init(&call->details, 64 * 1024);
    }
    return call;
}

void call_free(struct upstream_call *call)
{
    buf_done(&call->in);
    buf_done(&call->out);
    buf_done(&call->message);
    buf_done(&call->details);
    free(call);
}

static void keep_small(struct buf *buf, size_t limit)
{
    if (buf->capacity > KEPT_BUFFER_MAX) {
        buf_done(buf);
        buf_init(buf, limit);
    } else {
        buf_reset(buf);
    }
}

void call_recycle(struct upstream_call *call)
{
    struct upstream *upstream = call->upstream;

    if (upstream->free_count >= FREE_CALLS_MAX) {
        call_free(call);
        return;
    }
    keep_small(&call->in, upstream->options.max_response_bytes);
    keep_small(&call->out, OUT_LIMIT);
    keep_small(&call->message, 8 * 1024);
    keep_small(&call->details, 64 * 1024);
    TAILQ_INSERT_HEAD(&upstream->free_calls, call, link);
    upstream->free_count++;
}

static void reset_answer(struct upstream_call *call)
{
    call->sent = 0;
    call->prefix_length = 0;
    call->message_size = 0;
    buf_reset(&call->in);
    call->has_reply = call->headers_seen = call->status_seen = call->headers_sent = false;
    call->withheld = 0;
    call->http_status = call->grpc_status = call->retry_after = 0;
    buf_reset(&call->message);
    buf_reset(&call->details);
    call->stream_id = 0;
    call->connection = NULL;
}

static void copy_text(char *out, size_t size, const char *text)
{
    size_t length = text ? strnlen(text, size - 1) : 0;

    if (length)
        memcpy(out, text, length);
    out[length] = '\0';
}

void call_init(struct upstream_call *call, struct upstream *upstream,
               const struct upstream_request *request, const struct upstream_handler *handler,
               void *context)
{
    call->upstream = upstream;
    call->handler = handler;
    call->context = context;
    call->request = *request;
    call->half_closed = !request->streaming;
    call->blocked = call->writable = call->finished = call->busy = false;
    call->retries = 0;
    call->deferred = call->is_watch = call->paused = false;
    call->deadline_us = request->timeout_us ? upstream_now(upstream) + request->timeout_us : 0;
    copy_text(call->request_id, sizeof(call->request_id), request->request_id);
    copy_text(call->client_address, sizeof(call->client_address), request->client_address);
    trace_begin_child(&call->span, &request->trace, upstream_now(upstream));
    if (trace_is_recorded(&call->span))
        trace_context_format(&call->span.self.context, call->traceparent);
    else
        copy_text(call->traceparent, sizeof(call->traceparent), request->traceparent);
    reset_answer(call);
}

struct upstream_call *upstream_call_start(struct upstream *upstream,
                                          const struct upstream_request *request,
                                          const struct upstream_handler *handler, void *context)
{
    struct upstream_call *call = call_new(upstream);

    if (!call)
        return NULL;
    call_init(call, upstream, request, handler, context);
    TAILQ_INSERT_TAIL(&upstream->calls, call, all_link);
    upstream->stats.calls++;
    upstream->stats.in_flight++;
    upstream_dispatch(call);
    return call;
}

void *upstream_call_context(const struct upstream_call *call)
{
    return call->context;
}

struct str upstream_call_reply(const struct upstream_call *call)
{
    return buf_str(&call->in);
}

size_t upstream_call_waiting(const struct upstream_call *call)
{
    return call->out.length - call->sent;
}

size_t upstream_call_send(struct upstream_call *call, struct str message)
{
    uint8_t prefix[5] = {0, (uint8_t)(message.length >> 24), (uint8_t)(message.length >> 16),
                         (uint8_t)(message.length >> 8), (uint8_t)message.length};

    if (call->finished)
        return 0;
    if (call->sent && call->sent == call->out.length && call->headers_sent) {
        buf_reset(&call->out);
        call->sent = 0;
    }
    buf_put(&call->out, prefix, sizeof(prefix));
    buf_put_str(&call->out, message);
    if (call->connection && call->deferred) {
        call->deferred = false;
        nghttp2_session_resume_data(call->connection->session, call->stream_id);
        channel_schedule_flush(call->connection);
    }
    if (upstream_call_waiting(call) >= SEND_LOW_WATER)
        call->blocked = true;
    return upstream_call_waiting(call);
}

void upstream_call_half_close(struct upstream_call *call)
{
    if (call->finished || call->half_closed)
        return;
    call->half_closed = true;
    if (call->connection && call->deferred) {
        call->deferred = false;
        nghttp2_session_resume_data(call->connection->session, call->stream_id);
        channel_schedule_flush(call->connection);
    }
}

/* The framed request from where it stands. -1: nothing now, more will come. */
long call_read_output(struct upstream_call *call, uint8_t *out, size_t size, bool *ret_end)
{
    size_t written = 0;

    if (call->request.streaming) {
        size_t left = upstream_call_waiting(call);
        written = left < size ? left : size;
        if (written)
            memcpy(out, call->out.data + call->sent, written);
        call->sent += written;
        if (call->sent > KEPT_BUFFER_MAX) {
            buf_consume(&call->out, call->sent);
            call->sent = 0;
        }
        *ret_end = call->half_closed && !upstream_call_waiting(call);
        if (call->blocked && upstream_call_waiting(call) < SEND_LOW_WATER) {
            call->blocked = false;
            call->writable = true;
            call->connection->writable_waiting = true;
        }
        if (call->out.failed) /* the sender did not heed upstream_call_send()'s result */
            return -2;
        return written || *ret_end ? (long)written : -1;
    }

    struct str message = call->request.message;
    uint8_t prefix[5] = {0, (uint8_t)(message.length >> 24), (uint8_t)(message.length >> 16),
                         (uint8_t)(message.length >> 8), (uint8_t)message.length};
    while (call->sent < sizeof(prefix) && written < size)
        out[written++] = prefix[call->sent++];
    if (call->sent >= sizeof(prefix)) {
        size_t offset = call->sent - sizeof(prefix);
        size_t part = message.length - offset;
        if (part > size - written)
            part = size - written;
        if (part)
            memcpy(out + written, message.data + offset, part);
        written += part;
        call->sent += part;
    }
    *ret_end = call->sent == sizeof(prefix) + message.length;
    return (long)written;
}

void call_unlink(struct upstream_call *call)
{
    struct upstream *upstream = call->upstream;

    if (call->is_watch) {
        if (call->connection)
            call->connection->watch = NULL;
        call->connection = NULL;
    } else if (call->connection) {
        struct channel *connection = call->connection;
        TAILQ_REMOVE(&connection->calls, call, link);
        connection->call_count--;
        call->connection = NULL;
        if (connection->state == DRAINING && !connection->call_count)
            channel_schedule_flush(connection); /* which closes it */
    } else if (call->failure.code) {
        TAILQ_REMOVE(&upstream->failing, call, link);
        call->failure.code = ERR_OK;
    } else {
        TAILQ_REMOVE(&upstream->pending, call, link);
        upstream->pending_count--;
    }
}

static void end_span(const struct upstream_call *call, enum err_code code)
{
    const char *name = call->request.path + 1; /* behind the slash */
    const char *slash = strchr(name, '/');
    char service[128];

    snprintf(service, sizeof(service), "%.*s", slash ? (int)(slash - name) : 0, name);
    const struct trace_attribute attributes[] = {
        {"rpc.system", "grpc", 0},
        {"rpc.service", service, 0},
        {"rpc.method", slash ? slash + 1 : name, 0},
        {"rpc.grpc.status_code", NULL, (int64_t)code},
        {"dialplane.retried", NULL, call->retries},
    };
    const struct trace_end end = {
        .kind = TRACE_CLIENT,
        .name = name,
        .attributes = attributes,
        .attribute_count = sizeof(attributes) / sizeof(attributes[0]),
        .failed = code != ERR_OK,
        .now_us = upstream_now(call->upstream),
    };
    trace_end(&call->span, &end);
}

/* Takes it out of everything; its memory goes when no frame of ours is on the stack. */
static void end(struct upstream_call *call, enum err_code code)
{
    call->finished = true;
    if (call->is_watch)
        return;
    if (trace_is_recorded(&call->span))
        end_span(call, code);
    TAILQ_REMOVE(&call->upstream->calls, call, all_link);
    call->upstream->stats.in_flight--;
}

void call_finish(struct upstream_call *call, const struct err *status)
{
    if (call->finished)
        return;
    call_unlink(call);
    end(call, status->code);
    if (status->code && !call->is_watch)
        call->upstream->stats.failures_by_code[status->code <= 16 ? status->code : 2]++;
    call->handler->on_done(call, status);
    if (!call->busy)
        call_recycle(call);
}

void call_fail(struct upstream_call *call, enum err_code code, const char *reason,
               const char *format, ...)
{
    struct err status = {.code = code};
    va_list arguments;

    if (reason)
        snprintf(status.reason, sizeof(status.reason), "%s", reason);
    if (code == ERR_UNAVAILABLE)
        status.retry_after_seconds = 1;
    va_start(arguments, format);
    vsnprintf(status.message, sizeof(status.message), format, arguments);
    va_end(arguments);
    call_finish(call, &status);
}

void upstream_call_pause(struct upstream_call *call, bool paused)
{
    struct channel *connection = call->connection;

    call->paused = paused;
    if (paused || !call->withheld || !connection || connection->state == DEAD)
        return;
    nghttp2_session_consume_stream(connection->session, call->stream_id, call->withheld);
    call->withheld = 0;
    channel_schedule_flush(connection);
}

void upstream_call_cancel(struct upstream_call *call)
{
    struct channel *connection = call->connection;

    if (call->finished)
        return;
    if (connection && connection->state != DEAD) {
        nghttp2_session_set_stream_user_data(connection->session, call->stream_id, NULL);
        nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                  NGHTTP2_CANCEL);
        channel_schedule_flush(connection);
    }
    call_unlink(call);
    end(call, ERR_CANCELLED);
    if (!call->busy)
        call_recycle(call);
}

/* Two instances that are restarted one after the other may refuse the same call. */
#define RETRIES_MOST 2

bool call_retry(struct upstream_call *call)
{
    if (call->retries == RETRIES_MOST || call->headers_seen || call->request.streaming ||
        call->is_watch)
        return false;
    call_unlink(call);
    reset_answer(call);
    call->retries++;
    call->upstream->stats.retries++;
    upstream_dispatch(call);
    return true;
}

/* Resets the stream and ends the call: the service broke the protocol. */
static void break_off(struct upstream_call *call, const char *what)
{
    struct channel *connection = call->connection;

    if (connection) {
        nghttp2_session_set_stream_user_data(connection->session, call->stream_id, NULL);
        nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                  NGHTTP2_CANCEL);
        channel_schedule_flush(connection);
    }
    call_fail(call, ERR_INTERNAL, REASON_BAD_GATEWAY, "The %s service %s", call->upstream->name,
              what);
}

static void take_message(struct upstream_call *call, struct str message)
{
    call->prefix_length = 0;
    if (call->handler->on_message) {
        call->handler->on_message(call, message);
        buf_reset(&call->in);
        return;
    }
    if (call->has_reply) {
        break_off(call, "sent more than one answer");
        return;
    }
    call->has_reply = true;
    if (message.data != call->in.data)
        buf_put_str(&call->in, message);
    if (call->in.failed)
        break_off(call, "sent an answer that is too large");
}

/* Length-prefixed messages, in pieces as they come. */
void call_feed(struct upstream_call *call, struct str data)
{
    call->busy = true;
    while (data.length && !call->finished) {
        if (call->prefix_length < sizeof(call->prefix)) {
            call->prefix[call->prefix_length++] = (uint8_t)*data.data;
            data = (struct str){data.data + 1, data.length - 1};
            if (call->prefix_length < sizeof(call->prefix))
                continue;
            call->message_size = (uint32_t)call->prefix[1] << 24 | (uint32_t)call->prefix[2] << 16 |
                                 (uint32_t)call->prefix[3] << 8 | call->prefix[4];
            if (call->prefix[0]) {
                break_off(call, "sent a compressed answer that nobody asked for");
            } else if (call->message_size > call->upstream->options.max_response_bytes) {
                break_off(call, "sent an answer that is too large");
            } else if (!call->message_size) {
                take_message(call, (struct str){"", 0});
            }
            continue;
        }
        if (call->has_reply) {
            break_off(call, "sent more than one answer");
            break;
        }
        size_t missing = call->message_size - call->in.length;
        size_t part = missing < data.length ? missing : data.length;
        struct str piece = {data.data, part};
        data = (struct str){data.data + part, data.length - part};
        if (!call->in.length && part == missing) {
            take_message(call, piece);
            continue;
        }
        buf_put_str(&call->in, piece);
        if (call->in.failed)
            break_off(call, "sent an answer that is too large");
        else if (part == missing)
            take_message(call, buf_str(&call->in));
    }
    call->busy = false;
    if (call->finished)
        call_recycle(call);
}

void call_on_stream_close(struct upstream_call *call, uint32_t error_code)
{
    struct upstream *upstream = call->upstream;
    struct err status = {0};

    /* A server that stops cancels what it had accepted but not yet begun; gRPC has no word for "not
     * begun", so only reads are asked again. */
    if (call->status_seen && call->grpc_status == ERR_CANCELLED && !call->headers_seen) {
        if (call->request.is_read && call_retry(call))
            return; /* its GOAWAY may still be on its way */
        if (call->connection->state == DRAINING) {
            call_fail(call, ERR_UNAVAILABLE, NULL, "The %s service is being restarted",
                      upstream->name);
            return;
        }
    }
    if (call->status_seen) {
        status_read(call->grpc_status, call->message.data, call->message.length,
                    buf_str(&call->details), call->retry_after, call->request.arena, &status);
        if (status.code == ERR_UNAVAILABLE && !status.retry_after_seconds)
            status.retry_after_seconds = 1;
        if (status.code == ERR_OK && !call->handler->on_message && !call->has_reply)
            call_fail(call, ERR_INTERNAL, REASON_BAD_GATEWAY, "The %s service sent no answer",
                      upstream->name);
        else
            call_finish(call, &status);
        return;
    }
    switch (error_code) {
    case NGHTTP2_REFUSED_STREAM:
        if (!call_retry(call))
            call_fail(call, ERR_UNAVAILABLE, NULL, "The %s service refused the call",
                      upstream->name);
        return;
    case NGHTTP2_CANCEL:
        call_fail(call, ERR_UNAVAILABLE, NULL, "The %s service cancelled the call", upstream->name);
        return;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        call_fail(call, ERR_UNAVAILABLE, REASON_OVERLOADED, "The %s service is overloaded",
                  upstream->name);
        return;
    default:
        break;
    }
    if (call->http_status == 503 || call->http_status == 429)
        call_fail(call, ERR_UNAVAILABLE, NULL, "The %s service is not available", upstream->name);
    else
        call_fail(call, ERR_INTERNAL, REASON_BAD_GATEWAY,
                  "The %s service ended the call without a status", upstream->name);
}
