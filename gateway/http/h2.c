/* HTTP/2: nghttp2 does the frames; here are the requests in them, the bodies as they are asked for,
 * and the floods.
 *
 * A request: on_begin_headers ─▶ on_header … ─▶ on_frame_recv: head_is_whole ─▶ on_request;
 *            on_data_chunk ─▶ deliver (or kept in exchange->in: at most one stream window) ─▶
 * on_data … exchange_body_next ─▶ deliver; the answer is submitted (h2_answer.c), pulled out by
 * pull_frames; on_stream_close ─▶ on_done when it has been sent. The connection's window is given
 * back at once and a stream's only when its body was taken, so that one slow body holds up nobody
 * else. */
#include "gateway/http/h2_internal.h"

#include <stdlib.h>
#include <string.h>

#define PULL_BYTES ((size_t)64 * 1024)
#define CONNECTION_WINDOW_BYTES (1024 * 1024)

static void end_connection(struct h2 *h2, enum http_ending ending)
{
    struct link *link = h2->protocol.link;
    if (link->ending < ending) {
        link->ending = ending;
    }
    link->wake(link);
}

static void unlink_stream(struct h2 *h2, struct exchange *exchange)
{
    if (exchange->previous_stream) {
        exchange->previous_stream->next_stream = exchange->next_stream;
    } else {
        h2->streams = exchange->next_stream;
    }
    if (exchange->next_stream) {
        exchange->next_stream->previous_stream = exchange->previous_stream;
    }
    h2->stream_count--;
    h2->stream_bytes -= exchange->out.waiting;
}

/* Bodies. */

static bool can_deliver(const struct exchange *exchange)
{
    return exchange->body_asked && exchange->body_ready && !exchange->body_ended &&
           !exchange->body_refused && !exchange->complete;
}

static int64_t now_us(const struct h2 *h2)
{
    const struct http_core *core = h2->protocol.link->core;
    return core->clock->monotonic_us(core->clock);
}

/* A body has its time, which starts anew when it has brought what the least rate asks for. Each
 * stream its own: the others' bytes do not count. */
static void wait_for_more(struct h2 *h2, struct exchange *exchange)
{
    const struct http_limits *limits = &h2->protocol.link->core->limits;
    if (exchange->body_due_us && exchange->body_received - exchange->body_mark <
                                     http_bytes_in(limits, limits->body_idle_us)) {
        return;
    }
    exchange->body_mark = exchange->body_received;
    exchange->body_due_us = now_us(h2) + limits->body_idle_us;
}

static void deliver(struct h2 *h2, struct exchange *exchange)
{
    while (can_deliver(exchange)) {
        bool due = exchange_body_is_due(exchange);
        if (exchange->in.length > 0) {
            struct buf piece = exchange->in;
            buf_init(&exchange->in, 0);
            exchange_deliver(exchange, buf_str(&piece), exchange->in_end);
            nghttp2_session_consume_stream(h2->session, exchange->stream_id, piece.length);
            buf_done(&piece);
        } else if (exchange->in_end || due) {
            exchange_deliver(exchange, (struct str){"", 0}, true);
        } else {
            wait_for_more(h2, exchange);
            return;
        }
    }
    exchange->body_due_us = 0; /* it waits for us, not we for it */
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *data, size_t length, void *user)
{
    struct h2 *h2 = user;
    struct exchange *exchange = h2_stream_exchange(h2, stream_id);
    (void)flags;
    nghttp2_session_consume_connection(session, length);
    if (exchange && exchange->socket) {
        nghttp2_session_consume_stream(session, stream_id, length);
        h2_socket_feed(exchange, (struct str){(const char *)data, length});
        return 0;
    }
    if (!exchange || exchange->complete || exchange->body_refused) {
        return 0; /* nobody wants it; the stream's window stays shut */
    }
    buf_put(&exchange->in, data, length);
    if (exchange->in.failed) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_INTERNAL_ERROR);
        return 0;
    }
    deliver(h2, exchange);
    return 0;
}

/* Frames. */

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    struct exchange *exchange;
    (void)session;
    h2_count_received(h2, frame);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    exchange = h2_stream_exchange(h2, frame->hd.stream_id);
    if (!exchange) {
        return 0;
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        exchange->in_end = true;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        h2->open_head = 0;
        h2_head_is_whole(exchange);
    }
    if (exchange->in_end && exchange->socket) {
        h2_socket_feed(exchange, (struct str){"", 0});
    } else if (exchange->in_end) {
        deliver(h2, exchange);
    }
    return 0;
}

static void drop_orphans(struct h2 *h2)
{
    unsigned i;
    for (i = 0; i < h2->orphan_count; i++) {
        /* Answered before the body was read: the peer may stop sending it (RFC 9113 §8.1). */
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, h2->orphans[i], NGHTTP2_NO_ERROR);
    }
    h2->orphan_count = 0;
    h2->protocol.link->wake(h2->protocol.link);
}

static void forget_orphan(struct h2 *h2, int32_t stream_id)
{
    unsigned i;
    for (i = 0; i < h2->orphan_count; i++) {
        if (h2->orphans[i] == stream_id) {
            h2->orphans[i] = h2->orphans[--h2->orphan_count];
            return;
        }
    }
}

static void detach(struct h2 *h2, struct exchange *exchange)
{
    if (exchange->socket) {
        h2_socket_close(exchange);
    }
    unlink_stream(h2, exchange);
    nghttp2_session_set_stream_user_data(h2->session, exchange->stream_id, NULL);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    struct exchange *exchange;
    (void)session;
    h2_count_sent(h2, frame);
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        return 0;
    }
    exchange = h2_stream_exchange(h2, frame->hd.stream_id);
    if (exchange && !exchange->in_end && exchange->complete) {
        if (h2->orphan_count == H2_ORPHANS_MAX) {
            drop_orphans(h2);
        }
        h2->orphans[h2->orphan_count++] = frame->hd.stream_id;
        detach(h2, exchange);
        exchange_finish(exchange);
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                           void *user)
{
    struct h2 *h2 = user;
    struct exchange *exchange = h2_stream_exchange(h2, stream_id);
    (void)session;
    (void)error_code;
    if (h2->open_head == stream_id) {
        h2->open_head = 0;
    }
    if (!exchange) {
        forget_orphan(h2, stream_id);
        return 0;
    }
    detach(h2, exchange);
    if (exchange->complete) {
        exchange_finish(exchange);
    } else {
        exchange_gone(exchange);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *user)
{
    struct h2 *h2 = user;
    (void)session;
    (void)frame;
    (void)code;
    h2->protocol.link->core->stats.protocol_errors++;
    return 0;
}

/* What the connection asks for. */

static void pull_frames(struct h2 *h2)
{
    struct outq *out = h2->protocol.link->out;
    while (!h2->ended && out->waiting < PULL_BYTES) {
        const uint8_t *data;
        ssize_t length = nghttp2_session_mem_send(h2->session, &data);
        if (length < 0) {
            h2->ended = true;
            end_connection(h2, HTTP_ENDS_RESET);
            return;
        }
        if (length == 0) {
            break;
        }
        outq_put(out, data, (size_t)length);
    }
    if (!h2->ended && !nghttp2_session_want_read(h2->session) &&
        !nghttp2_session_want_write(h2->session)) {
        h2->ended = true;
        end_connection(h2, HTTP_ENDS_LINGER);
    }
}

static bool waits_for_body(const struct exchange *exchange)
{
    return can_deliver(exchange) && !exchange->in_end;
}

/* The body of a stream does not come: the one above hears that it is gone, the peer gets 408 from a
 * stand-in. */
static void give_up_body(struct h2 *h2, struct exchange *exchange)
{
    int32_t stream_id = exchange->stream_id;
    if (exchange->begun) {
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
        return; /* and on_stream_close */
    }
    detach(h2, exchange);
    exchange_gone(exchange);
    exchange = h2_open_stream(h2, stream_id);
    if (exchange) {
        h2_reject(exchange, 408, "the body of the request took too long");
    } else {
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
    }
}

/* Those whose time is over. With input not more often than every second, so that a peer cannot keep
 * slow streams by being quick in others. */
static void look_at_bodies(struct h2 *h2, bool at_once)
{
    struct exchange *exchange, *next;
    int64_t now;
    if (!h2->streams) {
        return;
    }
    now = now_us(h2);
    if (!at_once && now - h2->bodies_looked_at_us < TIME_US_PER_SECOND) {
        return;
    }
    h2->bodies_looked_at_us = now;
    for (exchange = h2->streams; exchange; exchange = next) {
        next = exchange->next_stream;
        if (exchange->body_due_us && exchange->body_due_us <= now && waits_for_body(exchange)) {
            http_count_limit(h2->protocol.link->core, HTTP_LIMIT_BODY_TIME);
            give_up_body(h2, exchange);
        }
    }
}

static size_t feed(struct protocol *protocol, const char *data, size_t length)
{
    struct h2 *h2 = (struct h2 *)protocol;
    ssize_t taken;
    if (h2->ended) {
        return length;
    }
    look_at_bodies(h2, false);
    taken = nghttp2_session_mem_recv(h2->session, (const uint8_t *)data, length);
    if (taken < 0) {
        /* Not even HTTP/2, a flood, or out of memory. What can be said is said. */
        enum http_limit limit;
        bool flood = h2_flood_of((int)taken, &limit);
        protocol->link->core->stats.protocol_errors++;
        if (flood) {
            http_count_limit(protocol->link->core, limit);
        }
        nghttp2_session_terminate_session(h2->session, flood ? NGHTTP2_ENHANCE_YOUR_CALM
                                                             : NGHTTP2_PROTOCOL_ERROR);
        pull_frames(h2);
        h2->ended = true;
        end_connection(h2, HTTP_ENDS_LINGER);
        return length;
    }
    return (size_t)taken;
}

static void run(struct protocol *protocol)
{
    struct h2 *h2 = (struct h2 *)protocol;
    if (h2->ended) {
        return;
    }
    if (h2->deliver_due) {
        struct exchange *exchange, *next;
        h2->deliver_due = false;
        for (exchange = h2->streams; exchange; exchange = next) {
            next = exchange->next_stream; /* streams close in pull_frames() and feed(), not here */
            if (exchange->socket) {
                size_t early = exchange->in.length;
                h2_socket_feed(exchange, (struct str){"", 0});
                nghttp2_session_consume_stream(h2->session, exchange->stream_id, early);
            } else {
                deliver(h2, exchange);
            }
        }
    }
    pull_frames(h2);
}

static void on_sent(struct protocol *protocol)
{
    struct h2 *h2 = (struct h2 *)protocol;
    struct exchange *exchange, *next;
    size_t out_waiting = protocol->link->out->waiting;
    if (h2->ended) {
        return;
    }
    if (h2->stream_bytes < protocol->link->core->limits.output_bytes) {
        for (exchange = h2->streams; exchange; exchange = next) {
            next = exchange->next_stream;
            if (exchange->socket) {
                h2_socket_on_sent(exchange);
                continue;
            }
            if (exchange->drain_wanted && !exchange->complete &&
                exchange->out.waiting + out_waiting < HTTP_DRAINED_BELOW_BYTES) {
                exchange->drain_wanted = false;
                if (exchange->on_drained) {
                    exchange->on_drained(exchange);
                }
            }
        }
    }
    if (nghttp2_session_want_write(h2->session)) {
        protocol->link->wake(protocol->link);
    }
}

static void end_all(struct h2 *h2)
{
    while (h2->streams) {
        struct exchange *exchange = h2->streams;
        detach(h2, exchange);
        exchange_gone(exchange);
    }
}

static void on_eof(struct protocol *protocol)
{
    struct h2 *h2 = (struct h2 *)protocol;
    end_all(h2);
    h2->ended = true;
    end_connection(h2, HTTP_ENDS);
}

static enum http_wait waits_for(const struct protocol *protocol)
{
    const struct h2 *h2 = (const struct h2 *)protocol;
    const struct exchange *exchange;
    if (h2->orphan_count > 0) {
        return HTTP_WAIT_UPLOAD_END;
    }
    if (h2->open_head) {
        return HTTP_WAIT_HEADER;
    }
    for (exchange = h2->streams; exchange; exchange = exchange->next_stream) {
        if (waits_for_body(exchange)) {
            return HTTP_WAIT_BODY;
        }
    }
    for (exchange = h2->streams; exchange && h2->socket_count; exchange = exchange->next_stream) {
        if (exchange->socket && h2_socket_waits_for(exchange) == HTTP_WAIT_CLOSE) {
            return HTTP_WAIT_CLOSE;
        }
    }
    return h2->socket_count ? HTTP_WAIT_PONG : h2->streams ? HTTP_WAIT_NOTHING : HTTP_WAIT_REQUEST;
}

static void on_timeout(struct protocol *protocol)
{
    struct h2 *h2 = (struct h2 *)protocol;
    struct exchange *exchange, *next;
    enum http_wait waiting = waits_for(protocol);
    if (h2->ended) {
        return;
    }
    if (h2->orphan_count > 0) {
        drop_orphans(h2);
    } else if (waiting == HTTP_WAIT_CLOSE || waiting == HTTP_WAIT_PONG) {
        for (exchange = h2->streams; exchange; exchange = next) {
            next = exchange->next_stream;
            if (exchange->socket && h2_socket_waits_for(exchange) == waiting) {
                h2_socket_on_timeout(exchange);
            }
        }
    } else if (!h2->open_head && h2->streams) {
        look_at_bodies(h2, true);
    } else {
        if (h2->open_head) {
            http_count_limit(protocol->link->core, HTTP_LIMIT_HEADER_TIME);
        }
        nghttp2_session_terminate_session(h2->session, NGHTTP2_NO_ERROR);
    }
    protocol->link->wake(protocol->link);
}

static bool wants_input(const struct protocol *protocol)
{
    /* A peer that sends but does not read what it causes. */
    return protocol->link->out->waiting < protocol->link->core->limits.output_bytes;
}

static bool is_blocked(const struct protocol *protocol)
{
    return ((const struct h2 *)protocol)->stream_bytes > 0;
}

static void drain(struct protocol *protocol)
{
    struct h2 *h2 = (struct h2 *)protocol;
    if (h2->ended) {
        return;
    }
    for (struct exchange *exchange = h2->streams; exchange; exchange = exchange->next_stream) {
        if (exchange->socket) {
            h2_socket_drain(exchange);
        }
    }
    /* Streams up to the last one seen are finished; then the session wants nothing more and ends.
     */
    nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    protocol->link->wake(protocol->link);
}

/* RFC 9113, 6.8: first a GOAWAY that refuses nothing yet. */
static void announce(struct protocol *protocol)
{
    struct h2 *h2 = (struct h2 *)protocol;
    if (!h2->ended) {
        nghttp2_submit_shutdown_notice(h2->session);
        protocol->link->wake(protocol->link);
    }
}

static void gone(struct protocol *protocol)
{
    struct h2 *h2 = (struct h2 *)protocol;
    end_all(h2);
    h2->ended = true;
}

static void free_h2(struct protocol *protocol)
{
    struct h2 *h2 = (struct h2 *)protocol;
    end_all(h2);
    nghttp2_session_del(h2->session);
    free(h2);
}

static const struct protocol_ops h2_ops = {
    .feed = feed,
    .run = run,
    .on_sent = on_sent,
    .on_eof = on_eof,
    .on_timeout = on_timeout,
    .is_blocked = is_blocked,
    .wants_input = wants_input,
    .waits_for = waits_for,
    .announce = announce,
    .drain = drain,
    .gone = gone,
    .free = free_h2,
};

static bool open_session(struct h2 *h2)
{
    struct http_core *core = h2->protocol.link->core;
    const struct http_limits *limits = &core->limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->header_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    bool opened = false;

    if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&option)) {
        goto del;
    }
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, h2_on_begin_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, h2_on_unknown_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, h2_on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    h2_hear_unknown_frames(option);
    /* Behind our own count, which answers with the right code. */
    nghttp2_option_set_stream_reset_rate_limit(option, (uint64_t)limits->resets_per_second * 4,
                                               limits->resets_per_second);
    nghttp2_option_set_max_continuations(option, 8);
    nghttp2_option_set_max_outbound_ack(option, 512);
    if (nghttp2_session_server_new3(&h2->session, callbacks, h2, option, &core->h2_memory.mem)) {
        goto del;
    }
    opened = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                     sizeof(settings) / sizeof(settings[0])) == 0 &&
             nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                   CONNECTION_WINDOW_BYTES) == 0;
    if (!opened) {
        nghttp2_session_del(h2->session);
    }
del:
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return opened;
}

struct protocol *h2_new(struct link *link)
{
    struct h2 *h2 = calloc(1, sizeof(*h2));
    if (!h2) {
        return NULL;
    }
    h2->protocol.ops = &h2_ops;
    h2->protocol.link = link;
    if (!open_session(h2)) {
        free(h2);
        return NULL;
    }
    link->wake(link);
    return &h2->protocol;
}
