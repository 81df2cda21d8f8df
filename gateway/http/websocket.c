/* The life of a WebSocket:
 *
 *   open ──websocket_close──▶ closing ──peer's close frame, end, 2 s──▶ over (on_closed: our code)
 *    ├──peer's close frame──────────────────────────────────────────▶ over (its code; wslay has
 * answered it) ├──a rule broken───────────────────────────────────────────────▶ over (1002, 1007,
 * 1009; the frame says so) └──end of the connection, two pings unanswered─────────────────▶ over
 * (1006)
 *
 * An idle one has no parser: 9 KB of wslay exist only while a message is on its way in. */
#include "gateway/http/websocket.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#define PINGS_UNANSWERED_MAX 2
#define REASON_MAX_BYTES 123u

struct websocket {
    struct protocol protocol; /* first member */
    const struct websocket_handler *handler;
    void *state;
    wslay_event_context_ptr context; /* NULL: nothing is half received */
    const char *input;               /* during feed() */
    size_t input_length;
    uint64_t fed, framed; /* bytes given to the context; bytes of the frames that have begun */
    int64_t frames_since_us;
    uint32_t frames;    /* tokens of frames that were used up, see allow_frame() */
    uint32_t fragments; /* of the message that is coming */
    const char *flood;  /* NULL, or what it does too much of */
    uint16_t close_code;
    uint8_t pings_unanswered;
    bool in_message; /* between the fragments of one */
    bool closing, over, drain_wanted;
};

/* Out. */

struct shared_bytes *websocket_encode_text(struct str text)
{
    size_t header = text.length < 126 ? 2 : text.length < 65536 ? 4 : 10;
    struct shared_bytes *frame = shared_bytes_new(NULL, header + text.length);
    uint8_t *at;
    unsigned i;
    if (!frame) {
        return NULL;
    }
    at = (uint8_t *)frame->data;
    at[0] = 0x81; /* FIN, text */
    if (header == 2) {
        at[1] = (uint8_t)text.length;
    } else if (header == 4) {
        at[1] = 126;
        at[2] = (uint8_t)(text.length >> 8);
        at[3] = (uint8_t)text.length;
    } else {
        at[1] = 127;
        for (i = 0; i < 8; i++) {
            at[2 + i] = (uint8_t)((uint64_t)text.length >> (56 - 8 * i));
        }
    }
    if (text.length > 0) {
        memcpy(frame->data + header, text.data, text.length);
    }
    return frame;
}

static struct link *link_of(const struct websocket *socket)
{
    return socket->protocol.link;
}

/* The last call to the one above. */
static void become_over(struct websocket *socket, unsigned code, enum http_ending ending)
{
    struct link *link = link_of(socket);
    if (socket->over) {
        return;
    }
    socket->over = true;
    link->core->stats.websockets--;
    if (link->ending < ending) {
        link->ending = ending;
    }
    link->wake(link);
    if (socket->handler->on_closed) {
        socket->handler->on_closed(socket, code);
    }
}

void websocket_close(struct websocket *socket, unsigned code, const char *reason)
{
    struct link *link = link_of(socket);
    size_t length = reason ? strlen(reason) : 0;
    uint8_t header[4];
    if (socket->closing || socket->over) {
        return;
    }
    if (length > REASON_MAX_BYTES) {
        length = REASON_MAX_BYTES;
        while (length > 0 && ((uint8_t)reason[length] & 0xc0) == 0x80) {
            length--; /* not in the middle of a character */
        }
    }
    header[0] = 0x88;
    header[1] = (uint8_t)(2 + length);
    header[2] = (uint8_t)(code >> 8);
    header[3] = (uint8_t)code;
    outq_put(link->out, header, sizeof(header));
    outq_put(link->out, reason, length);
    socket->closing = true;
    socket->close_code = (uint16_t)code;
    link->wake(link);
}

size_t websocket_send(struct websocket *socket, struct shared_bytes *frame)
{
    struct link *link = link_of(socket);
    if (socket->closing || socket->over) {
        return link->out->waiting;
    }
    outq_put_shared(link->out, frame, 0);
    if (link->out->waiting > link->core->limits.websocket_output_bytes) {
        /* Too slow: what it has not begun to take is of no use to it, the memory is to others. */
        outq_drop_unsent_shared(link->out);
        websocket_close(socket, 1013, "too slow");
        return link->out->waiting;
    }
    if (link->out->waiting >= HTTP_DRAINED_BELOW_BYTES) {
        socket->drain_wanted = true;
    }
    link->wake(link);
    return link->out->waiting;
}

size_t websocket_waiting(const struct websocket *socket)
{
    return link_of(socket)->out->waiting;
}

size_t websocket_send_text(struct websocket *socket, struct str text)
{
    struct shared_bytes *frame = websocket_encode_text(text);
    size_t waiting;
    if (!frame) {
        websocket_close(socket, 1011, "out of memory");
        return link_of(socket)->out->waiting;
    }
    waiting = websocket_send(socket, frame);
    shared_bytes_unref(frame);
    return waiting;
}

void *websocket_state(const struct websocket *socket)
{
    return socket->state;
}

/* In: wslay's callbacks. */

static ssize_t on_wslay_recv(wslay_event_context_ptr context, uint8_t *buffer, size_t length,
                             int flags, void *user)
{
    struct websocket *socket = user;
    size_t take = length < socket->input_length ? length : socket->input_length;
    (void)flags;
    if (take == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buffer, socket->input, take);
    socket->input += take;
    socket->input_length -= take;
    socket->fed += take;
    return (ssize_t)take;
}

/* Its pongs and closes go out with ours. */
static ssize_t on_wslay_send(wslay_event_context_ptr context, const uint8_t *data, size_t length,
                             int flags, void *user)
{
    struct websocket *socket = user;
    (void)context;
    (void)flags;
    if (!socket->closing) {
        outq_put(link_of(socket)->out, data, length);
    }
    return (ssize_t)length;
}

/* A bucket of tokens: two seconds' worth may come at once. Whole seconds are enough here, and cost
 * the clock only where a frame came. */
static bool allow_frame(struct websocket *socket)
{
    const struct http_core *core = link_of(socket)->core;
    uint32_t limit = core->limits.websocket_frames_per_second;
    int64_t now_us = core->clock->monotonic_us(core->clock);
    int64_t seconds = (now_us - socket->frames_since_us) / TIME_US_PER_SECOND;

    if (seconds > 0) {
        uint64_t back = (uint64_t)seconds * limit;
        socket->frames = socket->frames > back ? socket->frames - (uint32_t)back : 0;
        socket->frames_since_us += seconds * TIME_US_PER_SECOND;
    }
    return ++socket->frames <= 2 * limit;
}

static void on_frame_start(wslay_event_context_ptr context,
                           const struct wslay_event_on_frame_recv_start_arg *frame, void *user)
{
    struct websocket *socket = user;
    (void)context;
    /* Opcode, length and mask, then the payload. */
    socket->framed += 6 + frame->payload_length;
    socket->framed += frame->payload_length < 126 ? 0 : frame->payload_length < 65536 ? 2 : 8;
    if (!wslay_is_ctrl_frame(frame->opcode)) {
        socket->fragments = socket->in_message ? socket->fragments + 1 : 1;
        socket->in_message = !frame->fin;
        if (socket->fragments > link_of(socket)->core->limits.websocket_fragments) {
            socket->flood = "too many fragments";
        }
    }
    if (!allow_frame(socket)) {
        socket->flood = "too many frames";
    }
}

static void on_message(wslay_event_context_ptr context,
                       const struct wslay_event_on_msg_recv_arg *message, void *user)
{
    struct websocket *socket = user;
    (void)context;
    if (socket->closing || socket->over) {
        return;
    }
    if (message->opcode == WSLAY_TEXT_FRAME) {
        if (socket->handler->on_text) {
            struct str text = {(const char *)message->msg, message->msg_length};
            socket->handler->on_text(socket, text.data ? text : STR_LITERAL(""));
        }
    } else if (message->opcode == WSLAY_CONNECTION_CLOSE && message->msg_length == 1) {
        websocket_close(socket, WSLAY_CODE_PROTOCOL_ERROR,
                        NULL); /* half a code; wslay lets it pass */
    } else if (message->opcode == WSLAY_BINARY_FRAME) {
        websocket_close(socket, WSLAY_CODE_UNSUPPORTED_DATA, "text only");
    }
}

static bool need_context(struct websocket *socket)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_wslay_recv,
        .send_callback = on_wslay_send,
        .on_frame_recv_start_callback = on_frame_start,
        .on_msg_recv_callback = on_message,
    };
    if (socket->context) {
        return true;
    }
    if (wslay_event_context_server_init(&socket->context, &callbacks, socket)) {
        socket->context = NULL;
        return false;
    }
    /* Its default is 2 GB. */
    wslay_event_config_set_max_recv_msg_length(
        socket->context, link_of(socket)->core->limits.websocket_message_bytes);
    socket->fed = 0;
    socket->framed = 0;
    socket->in_message = false;
    return true;
}

static void drop_context(struct websocket *socket)
{
    if (socket->context) {
        wslay_event_context_free(socket->context);
        socket->context = NULL;
    }
}

/* The peer has sent its close frame, or something that wslay closed for. */
static void on_read_ended(struct websocket *socket)
{
    bool by_peer = wslay_event_get_close_received(socket->context);
    unsigned code = by_peer ? wslay_event_get_status_code_received(socket->context)
                            : wslay_event_get_status_code_sent(socket->context);
    if (!by_peer && code == WSLAY_CODE_MESSAGE_TOO_BIG) {
        http_count_limit(link_of(socket)->core, HTTP_LIMIT_WEBSOCKET_SIZE);
    }
    if (socket->closing) {
        code = socket->close_code;
    }
    if (!by_peer) {
        link_of(socket)->core->stats.protocol_errors++;
    }
    become_over(socket, code, by_peer ? HTTP_ENDS : HTTP_ENDS_LINGER);
}

/* Not a frame at all; for this wslay would close without a code. */
static void on_broken(struct websocket *socket, int failure)
{
    unsigned code =
        failure == WSLAY_ERR_NOMEM ? WSLAY_CODE_INTERNAL_SERVER_ERROR : WSLAY_CODE_PROTOCOL_ERROR;
    link_of(socket)->core->stats.protocol_errors++;
    if (socket->closing) {
        code = socket->close_code;
    }
    websocket_close(socket, code, NULL);
    become_over(socket, code, HTTP_ENDS_LINGER);
}

static size_t feed(struct protocol *protocol, const char *data, size_t length)
{
    struct websocket *socket = (struct websocket *)protocol;
    int failure;
    if (socket->over) {
        return length;
    }
    socket->pings_unanswered = 0;
    if (!need_context(socket)) {
        become_over(socket, 1006, HTTP_ENDS_RESET);
        return length;
    }
    socket->input = data;
    socket->input_length = length;
    failure = wslay_event_recv(socket->context);
    if (!failure && wslay_event_want_write(socket->context)) {
        failure = wslay_event_send(socket->context);
        protocol->link->wake(protocol->link);
    }
    socket->input_length = 0;
    if (socket->over) {
        drop_context(socket);
    } else if (socket->flood) {
        http_count_limit(protocol->link->core, HTTP_LIMIT_WEBSOCKET_FRAMES);
        websocket_close(socket, 1008, socket->flood);
        become_over(socket, 1008, HTTP_ENDS_LINGER);
        drop_context(socket);
    } else if (failure) {
        on_broken(socket, failure);
    } else if (!wslay_event_get_read_enabled(socket->context)) {
        on_read_ended(socket);
    } else if (socket->fed == socket->framed && !socket->in_message) {
        drop_context(socket);
    }
    if (protocol->link->out->waiting > protocol->link->core->limits.websocket_output_bytes &&
        !socket->closing && !socket->over) {
        websocket_close(socket, 1013, "too slow"); /* it pings and does not read the pongs */
    }
    return length;
}

static void run(struct protocol *protocol)
{
    (void)protocol;
}

static void on_sent(struct protocol *protocol)
{
    struct websocket *socket = (struct websocket *)protocol;
    if (socket->drain_wanted && !socket->closing && !socket->over &&
        protocol->link->out->waiting < HTTP_DRAINED_BELOW_BYTES) {
        socket->drain_wanted = false;
        if (socket->handler->on_drained) {
            socket->handler->on_drained(socket);
        }
    }
}

static void on_eof(struct protocol *protocol)
{
    struct websocket *socket = (struct websocket *)protocol;
    become_over(socket, socket->closing ? socket->close_code : 1006, HTTP_ENDS);
}

static enum http_wait waits_for(const struct protocol *protocol)
{
    const struct websocket *socket = (const struct websocket *)protocol;
    if (socket->over) {
        return HTTP_WAIT_NOTHING;
    }
    return socket->closing ? HTTP_WAIT_CLOSE : HTTP_WAIT_PONG;
}

static void on_timeout(struct protocol *protocol)
{
    struct websocket *socket = (struct websocket *)protocol;
    if (socket->closing) {
        become_over(socket, socket->close_code,
                    protocol->link->out->waiting ? HTTP_ENDS_RESET : HTTP_ENDS);
    } else if (socket->pings_unanswered >= PINGS_UNANSWERED_MAX) {
        become_over(socket, 1006, HTTP_ENDS_RESET);
    } else {
        static const char ping[2] = {(char)0x89, 0};
        socket->pings_unanswered++;
        outq_put(protocol->link->out, ping, sizeof(ping));
        protocol->link->wake(protocol->link);
    }
}

static bool wants_input(const struct protocol *protocol)
{
    (void)protocol;
    return true;
}

static bool is_blocked(const struct protocol *protocol)
{
    (void)protocol;
    return false;
}

static void drain(struct protocol *protocol)
{
    websocket_close((struct websocket *)protocol, 1001, "the server is stopping");
}

static void gone(struct protocol *protocol)
{
    on_eof(protocol);
}

static void free_websocket(struct protocol *protocol)
{
    struct websocket *socket = (struct websocket *)protocol;
    drop_context(socket);
    free(socket);
}

static const struct protocol_ops websocket_ops = {
    .feed = feed,
    .run = run,
    .on_sent = on_sent,
    .on_eof = on_eof,
    .on_timeout = on_timeout,
    .is_blocked = is_blocked,
    .wants_input = wants_input,
    .waits_for = waits_for,
    .announce = drain, /* it has no last request */
    .drain = drain,
    .gone = gone,
    .free = free_websocket,
};

struct websocket *websocket_new(struct link *link, const struct websocket_handler *handler,
                                void *state)
{
    struct websocket *socket = calloc(1, sizeof(*socket));
    if (!socket) {
        return NULL;
    }
    socket->protocol.ops = &websocket_ops;
    socket->protocol.link = link;
    socket->handler = handler;
    socket->state = state;
    link->core->stats.websockets++;
    return socket;
}

struct protocol *websocket_protocol(struct websocket *websocket)
{
    return &websocket->protocol;
}
