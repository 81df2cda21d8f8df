/* h2_internal: one HTTP/2 connection, shared by h2.c (session, requests) and h2_answer.c (answers).
 */
#ifndef GATEWAY_HTTP_H2_INTERNAL_H
#define GATEWAY_HTTP_H2_INTERNAL_H

#include "gateway/http/exchange_internal.h"
#include "gateway/http/h2.h"

#include <nghttp2/nghttp2.h>

#define H2_ORPHANS_MAX 16

/* How often something was in this second. */
struct h2_meter {
    int64_t since_us;
    uint32_t count;
};

struct h2 {
    struct protocol protocol; /* first member */
    nghttp2_session *session;
    struct exchange *streams; /* open ones */
    unsigned stream_count;
    unsigned socket_count;       /* of them WebSockets */
    size_t stream_bytes;         /* waiting in all streams' `out`, for the peer's windows */
    int32_t open_head;           /* the stream whose header block is half received; 0: none */
    size_t head_bytes;           /* of the head or trailers that came last, as decoded */
    struct h2_meter resets;      /* RST_STREAM that the peer sent, or made us send */
    struct h2_meter controls;    /* frames that bring nothing */
    uint32_t window_updates_due; /* of the peer, for the data that it was sent */
    int64_t bodies_looked_at_us;
    /* Streams that were answered while their body is still coming: a peer that has the whole answer
     * ends them itself, and some (curl 7.88) lose an answer that a reset follows closely. */
    int32_t orphans[H2_ORPHANS_MAX];
    unsigned orphan_count;
    bool deliver_due; /* some stream can be given a piece of its body */
    bool ended;       /* the session is over: no call into it but its freeing */
};

extern const struct exchange_ops h2_exchange_ops;

struct exchange *h2_stream_exchange(struct h2 *h2, int32_t stream_id); /* NULL: none, or over */
struct exchange *h2_open_stream(struct h2 *h2, int32_t stream_id);     /* NULL: no memory */
/* nghttp2's callbacks for heads. */
int h2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user);
int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                 size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                 void *user);

/* h2_flood.c: frames that cost us more than they cost the peer. nghttp2 1.52 knows some of them (it
 * limits the peer's resets, CONTINUATION frames of a head, settings of a frame, and
 * acknowledgements that wait), and does not count what can be answered at once. */
int h2_on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *user);
/* nghttp2 passes over frames of unknown types without a word, unless it is asked for them. */
void h2_hear_unknown_frames(nghttp2_option *option);
int h2_on_unknown_frame(nghttp2_session *session, void **payload, const nghttp2_frame_hd *head,
                        void *user);
void h2_count_received(struct h2 *h2, const nghttp2_frame *frame);
void h2_count_sent(struct h2 *h2, const nghttp2_frame *frame);
/* Whether what nghttp2_session_mem_recv() failed with is a flood, and of what. */
bool h2_flood_of(int error, enum http_limit *ret_limit);

/* Checks and announces, or rejects. */
void h2_head_is_whole(struct exchange *exchange);

/* h2_socket.c: the stream becomes a WebSocket. NULL: no memory. */
struct websocket *h2_socket_open(struct exchange *exchange, const struct websocket_handler *handler,
                                 void *state);
/* Data of the peer (perhaps none), and what had come before the stream was one. */
void h2_socket_feed(struct exchange *exchange, struct str data);
/* So many bytes of its output have become frames. */
void h2_socket_sent(struct exchange *exchange, size_t taken);
/* Frames have left: there may be room again. */
void h2_socket_on_sent(struct exchange *exchange);
enum http_wait h2_socket_waits_for(const struct exchange *exchange);
void h2_socket_on_timeout(struct exchange *exchange);
void h2_socket_drain(struct exchange *exchange);
/* The stream is over. */
void h2_socket_close(struct exchange *exchange);

/* Answers with a problem. The exchange must not have begun an answer. */
void h2_reject(struct exchange *exchange, unsigned status, const char *detail);

#endif
