/* Streams. Out: one message in core at a time, its end is the permission for the next. In: one
 * message with the handler, at most one read ahead, and nothing more is asked of core, so that
 * HTTP/2's flow control holds a fast client back. */
#include "rpc/internal.h"

#include "base/log.h"

#include <string.h>

static bool is_over(const struct rpc_call *call)
{
    return !call->core || call->answered || call->cancelled || call->ended;
}

/* ---- Out ---- */

static void on_sent(struct rpc_tag *tag, bool success)
{
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, send_tag);
    call->sending = false;
    if (success && !is_over(call) && call->on_writable)
        call->on_writable(call->on_writable_context);
    rpc_call_unpin(call);
}

static bool send_bytes(struct rpc_call *call, struct str bytes)
{
    grpc_op ops[2];
    size_t count = 0;
    if (!call->initial_sent)
        rpc_op_initial(call, &ops[count++]);
    call->sent_bytes += bytes.length;
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes.data ? bytes.data : "", bytes.length);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    memset(&ops[count], 0, sizeof(ops[count]));
    ops[count].op = GRPC_OP_SEND_MESSAGE;
    ops[count++].data.send_message.send_message = message;
    call->sending = rpc_call_start(call, ops, count, &call->send_tag);
    grpc_byte_buffer_destroy(message);
    return call->sending;
}

bool rpc_stream_send(struct rpc_call *call, struct str bytes)
{
    struct err err = {0};
    struct buf masked;

    if (is_over(call) || call->sending)
        return false;
    if (!rpc_personal_needs_mask(call))
        return send_bytes(call, bytes);
    if (!rpc_personal_mask(call, bytes, &masked, &err)) {
        rpc_call_abort(call, &err);
        return false;
    }
    bool sent = send_bytes(call, buf_str(&masked));

    buf_done(&masked);
    return sent;
}

void rpc_stream_on_writable(struct rpc_call *call, void (*fn)(void *context), void *context)
{
    call->on_writable = fn;
    call->on_writable_context = context;
}

/* ---- In ---- */

static void plan_delivery(struct rpc_call *call);

/* Initial metadata has gone out. After a half-close this is also the proof that the half-close was
 * one: core reports a reset stream to RECV_MESSAGE in the same way, but on a reset stream nothing
 * can be sent any more. Without it an upload that was cut off could be taken for a complete one. */
static void on_initial(struct rpc_tag *tag, bool success)
{
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, initial_tag);
    if (success && call->half_closed && call->arrival == RPC_NOTHING && !is_over(call)) {
        call->arrival = RPC_HALF_CLOSE;
        plan_delivery(call);
    }
    rpc_call_unpin(call);
}

void rpc_stream_send_initial(struct rpc_call *call)
{
    if (call->initial_sent || is_over(call))
        return;
    grpc_op op;
    rpc_op_initial(call, &op);
    rpc_call_start(call, &op, 1, &call->initial_tag);
}

static void receive(struct rpc_call *call)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &call->received;
    rpc_call_start(call, &op, 1, &call->receive_tag);
}

static void on_received(struct rpc_tag *tag, bool success)
{
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, receive_tag);
    grpc_byte_buffer *received = call->received;
    call->received = NULL;
    if (!success || is_over(call)) {
        /* Gone: RECV_CLOSE says so too, and tells the handler. */
        if (received)
            grpc_byte_buffer_destroy(received);
    } else if (received) {
        call->arrived = received;
        call->arrival = RPC_MESSAGE;
        plan_delivery(call);
    } else {
        call->half_closed = true;
        if (call->initial_sent) { /* both directions in use: nothing is lost by a half-close too
                                     many */
            call->arrival = RPC_HALF_CLOSE;
            plan_delivery(call);
        } else {
            rpc_stream_send_initial(call);
        }
    }
    rpc_call_unpin(call);
}

static void give_message(struct rpc_call *call, grpc_byte_buffer *bytes)
{
    /* Each message has memory of its own, so that a long stream needs no more than a short one. */
    const struct rpc_handler *handler = call->method->handler;
    arena_free(call->message_arena);
    call->message_arena =
        arena_new(handler->arena_limit ? handler->arena_limit
                                       : 4 * call->server->options.stream_message_bytes);
    struct err err = {0};
    const ProtobufCMessage *message = NULL;
    if (!call->message_arena)
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "the server is out of memory");
    else
        message = rpc_request_read(call, bytes, call->message_arena,
                                   call->server->options.stream_message_bytes, &err);
    if (!message) {
        rpc_call_abort(call, &err);
        return;
    }
    receive(call); /* reads ahead while the handler works */
    handler->on_message(call, message);
}

static void deliver(void *context)
{
    struct rpc_call *call = context;
    call->delivery_planned = false;
    enum rpc_arrival arrival = call->arrival;
    grpc_byte_buffer *bytes = call->arrived;
    call->arrival = RPC_NOTHING;
    call->arrived = NULL;
    if (!is_over(call)) {
        call->asked = false;
        if (arrival == RPC_MESSAGE) {
            give_message(call, bytes);
        } else {
            call->input_is_over = true;
            call->method->handler->on_end(call);
        }
    }
    if (bytes)
        grpc_byte_buffer_destroy(bytes);
    rpc_call_unpin(call);
}

/* At the end of the turn, not at once: the handler may ask from inside on_message() and still use
 * the message it has. */
static void plan_delivery(struct rpc_call *call)
{
    if (!call->asked || call->arrival == RPC_NOTHING || call->delivery_planned)
        return;
    call->delivery_planned = true;
    rpc_call_pin(call);
    loop_defer(call->server->loop, deliver, call);
}

void rpc_stream_next(struct rpc_call *call)
{
    call->asked = true;
    plan_delivery(call);
}

void rpc_stream_begin(struct rpc_call *call)
{
    rpc_tag_init(&call->initial_tag, call->server, on_initial);
    rpc_tag_init(&call->send_tag, call->server, on_sent);
    rpc_tag_init(&call->receive_tag, call->server, on_received);
}

void rpc_stream_listen(struct rpc_call *call)
{
    call->asked = true;
    receive(call);
}

void rpc_stream_input_gone(struct rpc_call *call)
{
    if (!call->method->client_streaming || call->input_is_over || call->ended || call->is_waiting)
        return;
    call->input_is_over = true;
    call->method->handler->on_gone(call);
}

void rpc_stream_release(struct rpc_call *call)
{
    if (call->arrived)
        grpc_byte_buffer_destroy(call->arrived);
    arena_free(call->message_arena);
}
