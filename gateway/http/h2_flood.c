/* Floods of HTTP/2 frames: what the peer may do in a second without asking for anything.
 *
 * Counted as resets: RST_STREAM that it sends (rapid reset, CVE-2023-44487), and those that it
 * makes us send by breaking rules of a stream (MadeYouReset, CVE-2025-8671). Counted as control
 * frames: PING, SETTINGS, PRIORITY, frames of unknown types, DATA without data, and WINDOW_UPDATE
 * beyond two for each frame of data that was sent. */
#include "gateway/http/h2_internal.h"

#define WINDOW_UPDATES_DUE_MAX 4096u

static bool exceeds(const struct h2 *h2, struct h2_meter *meter, uint32_t limit)
{
    const struct http_core *core = h2->protocol.link->core;
    int64_t now_us = core->clock->monotonic_us(core->clock);

    if (now_us - meter->since_us >= TIME_US_PER_SECOND) {
        meter->since_us = now_us;
        meter->count = 0;
    }
    return ++meter->count == limit; /* once: the session ends with it */
}

/* The peer is told to calm down (GOAWAY), and then left. */
static void calm(struct h2 *h2, enum http_limit limit)
{
    struct http_core *core = h2->protocol.link->core;

    core->stats.protocol_errors++;
    http_count_limit(core, limit);
    nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
    h2->protocol.link->wake(h2->protocol.link);
}

bool h2_flood_of(int error, enum http_limit *ret_limit)
{
    switch (error) {
    case NGHTTP2_ERR_FLOODED:
        *ret_limit = HTTP_LIMIT_CONTROL_FRAMES;
        return true;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        *ret_limit = HTTP_LIMIT_CONTINUATIONS;
        return true;
    case NGHTTP2_ERR_CALLBACK_FAILURE: /* h2_on_header() alone */
        *ret_limit = HTTP_LIMIT_HEADER_SIZE;
        return true;
    default:
        return false;
    }
}

static void count_reset(struct h2 *h2)
{
    if (exceeds(h2, &h2->resets, h2->protocol.link->core->limits.resets_per_second)) {
        calm(h2, HTTP_LIMIT_RESETS);
    }
}

static void count_control(struct h2 *h2)
{
    if (exceeds(h2, &h2->controls, h2->protocol.link->core->limits.control_frames_per_second)) {
        calm(h2, HTTP_LIMIT_CONTROL_FRAMES);
    }
}

int h2_on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *user)
{
    struct h2 *h2 = user;

    (void)session;
    switch (head->type) {
    case NGHTTP2_DATA:         /* see h2_count_received() */
    case NGHTTP2_HEADERS:      /* opens a stream, or ends one */
    case NGHTTP2_CONTINUATION: /* nghttp2 allows few */
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_GOAWAY:
        break;
    case NGHTTP2_WINDOW_UPDATE:
        if (h2->window_updates_due > 0) {
            h2->window_updates_due--;
            break;
        }
        count_control(h2);
        break;
    default:
        count_control(h2);
    }
    return 0;
}

void h2_hear_unknown_frames(nghttp2_option *option)
{
    unsigned type;

    for (type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++) {
        nghttp2_option_set_user_recv_extension_type(option, (uint8_t)type);
    }
}

int h2_on_unknown_frame(nghttp2_session *session, void **payload, const nghttp2_frame_hd *head,
                        void *user)
{
    (void)session;
    (void)payload;
    (void)head;
    (void)user;
    return NGHTTP2_ERR_CANCEL; /* what is in it concerns nobody; that it came was counted */
}

void h2_count_received(struct h2 *h2, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        count_reset(h2);
    } else if (frame->hd.type == NGHTTP2_DATA && frame->hd.length <= frame->data.padlen &&
               !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        count_control(h2);
    }
}

void h2_count_sent(struct h2 *h2, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_DATA) {
        if (h2->window_updates_due < WINDOW_UPDATES_DUE_MAX) {
            h2->window_updates_due += 2;
        }
    } else if (frame->hd.type == NGHTTP2_RST_STREAM) {
        switch (frame->rst_stream.error_code) {
        case NGHTTP2_NO_ERROR: /* our own: an answer given early, an answer cut off */
        case NGHTTP2_CANCEL:
        case NGHTTP2_INTERNAL_ERROR:
            break;
        default:
            count_reset(h2);
        }
    }
}
