/* The HTTP/2 side of a connection: nghttp2's callbacks and how a call becomes a stream. */
#include "gateway/upstream/internal.h"

#include <inttypes.h>
#include <stdio.h>

#define STREAM_WINDOW (256 * 1024)
#define CONNECTION_WINDOW (4 * 1024 * 1024)

static struct upstream_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static bool name_is(const uint8_t *name, size_t length, const char *expected)
{
    return length == strlen(expected) && memcmp(name, expected, length) == 0;
}

static unsigned to_number(const uint8_t *text, size_t length, unsigned otherwise)
{
    int64_t value;

    if (!str_parse_int64((struct str){(const char *)text, length}, &value) || value < 0 ||
        value > 1000000)
        return otherwise;
    return (unsigned)value;
}

static void tell_principal(const struct upstream_call *call, struct str principal)
{
    const struct upstream_observer *observer = call->upstream->options.observer;

    if (observer && call->request.authorization && !call->request.principal_known)
        observer->on_principal(observer->context, call->request.authorization, principal);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user_data)
{
    struct upstream_call *call = call_of(session, frame->hd.stream_id);

    (void)flags;
    (void)user_data;
    if (!call || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (name_is(name, name_length, ":status")) {
        call->http_status = to_number(value, value_length, 0);
    } else if (name_is(name, name_length, "grpc-status")) {
        call->grpc_status = to_number(value, value_length, ERR_UNKNOWN);
        call->status_seen = true;
    } else if (name_is(name, name_length, "grpc-message")) {
        buf_reset(&call->message);
        buf_put(&call->message, value, value_length);
    } else if (name_is(name, name_length, "grpc-status-details-bin")) {
        buf_reset(&call->details);
        buf_put(&call->details, value, value_length);
    } else if (name_is(name, name_length, "retry-after")) {
        call->retry_after = to_number(value, value_length, 0);
    } else if (name_is(name, name_length, "dialplane-principal")) {
        tell_principal(call, (struct str){(const char *)value, value_length});
    }
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct channel *connection = user_data;

    if (frame->hd.type == NGHTTP2_HEADERS) {
        struct upstream_call *call = call_of(session, frame->hd.stream_id);
        bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
        /* grpc-status without END_STREAM is no status: trailers alone carry it. */
        if (call && !end)
            call->status_seen = false;
        if (call && !end && call->http_status == 200)
            call->headers_seen = true;
    } else if (frame->hd.type == NGHTTP2_SETTINGS) {
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
            channel_greeted(connection);
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
        /* "Too many pings": ask half as often. */
        if (frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM)
            connection->upstream->options.ping_idle_us *= 2;
        channel_drain(connection);
    } else if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK) {
        connection->ping_sent_us = 0;
    }
    return 0;
}

/* The connection's window opens again at once, so that no call holds up another; the stream's, too,
 * unless the call is paused: then the service stops after STREAM_WINDOW more. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t length, void *user_data)
{
    struct upstream_call *call = call_of(session, stream_id);

    (void)flags;
    (void)user_data;
    nghttp2_session_consume_connection(session, length);
    if (call && call->paused)
        call->withheld += length;
    else
        nghttp2_session_consume_stream(session, stream_id, length);
    if (call)
        call_feed(call, (struct str){(const char *)data, length});
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                           void *user_data)
{
    struct upstream_call *call = call_of(session, stream_id);

    (void)user_data;
    if (call) {
        nghttp2_session_set_stream_user_data(session, stream_id, NULL);
        call_on_stream_close(call, error_code);
    }
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)user_data;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        struct upstream_call *call = call_of(session, frame->hd.stream_id);
        if (call)
            call->headers_sent = true;
    }
    return 0;
}

/* A request that could not go out at all (the connection is going away): never seen by the service.
 */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error,
                             void *user_data)
{
    (void)error;
    (void)user_data;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        struct upstream_call *call = call_of(session, frame->hd.stream_id);
        if (call) {
            nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, NULL);
            call_on_stream_close(call, NGHTTP2_REFUSED_STREAM);
        }
    }
    return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t size,
                            uint32_t *data_flags, nghttp2_data_source *source, void *user_data)
{
    struct upstream_call *call = call_of(session, stream_id);
    bool end = false;

    (void)source;
    (void)user_data;
    if (!call) /* cancelled: RST_STREAM is on its way */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    long length = call_read_output(call, out, size, &end);
    if (length == -1) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (length < 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (end)
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    return length;
}

bool session_open(struct channel *connection)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option = NULL;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 64 * 1024},
    };

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return false;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
    if (nghttp2_option_new(&option) == 0) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_peer_max_concurrent_streams(option, 1000);
        if (nghttp2_session_client_new3(&connection->session, callbacks, connection, option,
                                        &connection->upstream->memory.mem) != 0)
            connection->session = NULL;
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(callbacks);
    if (!connection->session)
        return false;
    return nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof(settings) / sizeof(settings[0])) == 0 &&
           nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_WINDOW) == 0;
}

static void put(nghttp2_nv *headers, size_t *count, const char *name, const char *value,
                uint8_t flags)
{
    headers[(*count)++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                     strlen(value), (uint8_t)(NGHTTP2_NV_FLAG_NO_COPY_NAME | flags)};
}

/* grpc-timeout: at most 8 digits and a unit. */
static void format_timeout(int64_t us, char out[16])
{
    static const struct {
        int64_t us;
        char unit;
    } units[] = {{1, 'u'}, {1000, 'm'}, {TIME_US_PER_SECOND, 'S'}};
    unsigned unit = 0;
    char *at = out + 16;

    while (unit < 2 && us / units[unit].us > 99999999)
        unit++;
    int64_t value = us / units[unit].us;
    value = value < 1 ? 1 : value > 99999999 ? 99999999 : value;
    *--at = '\0';
    *--at = units[unit].unit;
    for (; value; value /= 10)
        *--at = (char)('0' + value % 10);
    memmove(out, at, (size_t)(out + 16 - at));
}

int32_t session_submit(struct channel *connection, struct upstream_call *call)
{
    /* What differs with every call would only push the rest out of the compression table. */
    const uint8_t once = NGHTTP2_NV_FLAG_NO_INDEX;
    const uint8_t fixed = NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    nghttp2_nv headers[16];
    size_t count = 0;
    char timeout[16], if_match[24];
    nghttp2_data_provider provider = {.read_callback = read_request};

    put(headers, &count, ":method", "POST", fixed);
    put(headers, &count, ":scheme", connection->tls ? "https" : "http", fixed);
    put(headers, &count, ":path", call->request.path, fixed);
    put(headers, &count, ":authority", connection->endpoint->authority, 0);
    put(headers, &count, "te", "trailers", fixed);
    put(headers, &count, "content-type", "application/grpc", fixed);
    put(headers, &count, "user-agent", "dialplane-gateway", fixed);
    if (call->deadline_us) {
        format_timeout(call->deadline_us - upstream_now(call->upstream), timeout);
        put(headers, &count, "grpc-timeout", timeout, once);
    }
    if (call->request_id[0])
        put(headers, &count, "x-request-id", call->request_id, once);
    if (call->traceparent[0])
        put(headers, &count, "traceparent", call->traceparent, once);
    if (call->request.authorization) /* never in the table that other callers' headers share */
        put(headers, &count, "authorization", call->request.authorization, once);
    if (call->client_address[0])
        put(headers, &count, "dialplane-client-address", call->client_address, once);
    if (call->upstream->options.authenticates)
        put(headers, &count, "authentication", "required", fixed);
    if (call->request.has_if_match) {
        snprintf(if_match, sizeof(if_match), "%" PRId64, call->request.if_match_us);
        put(headers, &count, "if-match", if_match, once);
    }
    if (call->request.check_only)
        put(headers, &count, "check-only", "true", fixed);
    return nghttp2_submit_request(connection->session, NULL, headers, count, &provider, call);
}
