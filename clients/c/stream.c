/* Streaming calls: one batch of operations in flight for each direction's step, waited for by the
 * caller's thread. The status has a batch of its own, started first, so that a call that ends early
 * is noticed. */
#include "internal.h"

#include <grpc/byte_buffer.h>
#include <grpc/support/time.h>
#include <stdlib.h>

struct dialplane_stream {
    struct dialplane_client *client;
    struct running running;
    grpc_completion_queue *queue;
    grpc_metadata metadata[CLIENT_METADATA];
    grpc_metadata_array initial_metadata, trailing_metadata;
    grpc_status_code status;
    grpc_slice details;
    grpc_byte_buffer *opening_message; /* sent with the opening; NULL: none */
    bool is_opening;                   /* its batch has not been waited for */
    bool asked_initial_metadata, ended_sending, ended;
};

/* Tags: the stream's address for the status batch, one for the opening, which nobody waits for
 * before he must, and one for everything else. */
#define STATUS_TAG(stream) ((void *)(stream))
#define OPENING_TAG(stream) ((void *)&(stream)->opening_message)
#define STEP_TAG(stream) ((void *)&(stream)->running)

static bool step(struct dialplane_stream *stream, const grpc_op *operations, size_t count)
{
    if (grpc_call_start_batch(stream->running.call, operations, count, STEP_TAG(stream), NULL) !=
        GRPC_CALL_OK)
        return false;
    return grpc_completion_queue_pluck(stream->queue, STEP_TAG(stream),
                                       gpr_inf_future(GPR_CLOCK_REALTIME), NULL)
        .success;
}

/* Takes message (NULL: none), after which nothing more is sent. Returns without waiting for a
 * connection. */
static struct dialplane_stream *begin(struct dialplane_client *client, const char *path,
                                      grpc_byte_buffer *message, unsigned deadline_ms)
{
    struct dialplane_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        grpc_byte_buffer_destroy(message);
        return NULL;
    }
    stream->client = client;
    stream->queue = grpc_completion_queue_create_for_pluck(NULL);
    stream->running.call =
        client_create_call(client, path, deadline_after(deadline_ms), stream->queue);
    stream->details = grpc_empty_slice();
    grpc_metadata_array_init(&stream->initial_metadata);
    grpc_metadata_array_init(&stream->trailing_metadata);
    const grpc_op status = {
        .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
        .data.recv_status_on_client = {.trailing_metadata = &stream->trailing_metadata,
                                       .status = &stream->status,
                                       .status_details = &stream->details}};
    const grpc_op opening[] = {
        client_initial_metadata(client, DIALPLANE_CALL, stream->metadata),
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
    };
    stream->opening_message = message;
    stream->ended_sending = message != NULL;
    stream->is_opening = true;
    /* A failed opening shows in the status, which dialplane_stream_next() reports. The first
     * batches of a fresh call are refused only when this code is wrong. */
    if (grpc_call_start_batch(stream->running.call, &status, 1, STATUS_TAG(stream), NULL) !=
            GRPC_CALL_OK ||
        grpc_call_start_batch(stream->running.call, opening, message ? 3 : 1, OPENING_TAG(stream),
                              NULL) != GRPC_CALL_OK)
        abort();
    if (!client_enlist(client, &stream->running))
        grpc_call_cancel(stream->running.call, NULL);
    return stream;
}

static void wait_for_opening(struct dialplane_stream *stream)
{
    if (stream->is_opening)
        grpc_completion_queue_pluck(stream->queue, OPENING_TAG(stream),
                                    gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    stream->is_opening = false;
}

struct dialplane_stream *dialplane_stream_start(struct dialplane_client *client, const char *path,
                                                unsigned deadline_ms)
{
    return begin(client, path, NULL, deadline_ms);
}

struct dialplane_stream *dialplane_stream_open(struct dialplane_client *client, const char *path,
                                               const ProtobufCMessage *request,
                                               unsigned deadline_ms)
{
    return begin(client, path, message_pack(request), deadline_ms);
}

static bool send_buffer(struct dialplane_stream *stream, grpc_byte_buffer *sent)
{
    const grpc_op operation = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = sent};
    bool ok = !stream->ended && !stream->ended_sending;
    if (ok) {
        wait_for_opening(stream);
        ok = step(stream, &operation, 1);
    }
    grpc_byte_buffer_destroy(sent);
    return ok;
}

bool dialplane_stream_send_bytes(struct dialplane_stream *stream, const void *message, size_t size)
{
    return send_buffer(stream, bytes_pack(message, size));
}

bool dialplane_stream_send(struct dialplane_stream *stream, const ProtobufCMessage *message)
{
    return send_buffer(stream, message_pack(message));
}

bool dialplane_stream_end_sending(struct dialplane_stream *stream)
{
    const grpc_op operation = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    if (stream->ended || stream->ended_sending)
        return !stream->ended;
    stream->ended_sending = true;
    wait_for_opening(stream);
    return step(stream, &operation, 1);
}

/* NULL: the call has ended, with its status in the stream. */
static grpc_byte_buffer *receive(struct dialplane_stream *stream)
{
    grpc_byte_buffer *received = NULL;
    const grpc_op operations[] = {
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &received},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &stream->initial_metadata},
    };
    if (stream->ended)
        return NULL;
    /* With the first message: a service may send neither before it has read all that is sent. */
    size_t count = stream->asked_initial_metadata ? 1 : 2;
    stream->asked_initial_metadata = true;
    if (step(stream, operations, count) && received)
        return received;
    if (received)
        grpc_byte_buffer_destroy(received);
    grpc_completion_queue_pluck(stream->queue, STATUS_TAG(stream),
                                gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    stream->ended = true;
    return NULL;
}

ProtobufCMessage *dialplane_stream_next(struct dialplane_stream *stream,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        struct dialplane_error *error)
{
    grpc_byte_buffer *received = receive(stream);
    if (!received) {
        error_set_from_status(error, stream->status, stream->details, &stream->trailing_metadata);
        return NULL;
    }
    ProtobufCMessage *message = message_unpack(received, descriptor);
    grpc_byte_buffer_destroy(received);
    if (!message)
        error_set(error, GRPC_STATUS_INTERNAL, "the stream holds an unexpected message");
    return message;
}

bool dialplane_stream_next_bytes(struct dialplane_stream *stream,
                                 struct dialplane_bytes *ret_message, struct dialplane_error *error)
{
    grpc_byte_buffer *received = receive(stream);
    if (!received) {
        error_set_from_status(error, stream->status, stream->details, &stream->trailing_metadata);
        return false;
    }
    bool ok = bytes_unpack(received, ret_message);
    grpc_byte_buffer_destroy(received);
    if (!ok)
        error_set(error, GRPC_STATUS_RESOURCE_EXHAUSTED, "memory is short");
    return ok;
}

bool dialplane_stream_finish(struct dialplane_stream *stream,
                             const ProtobufCMessageDescriptor *descriptor,
                             ProtobufCMessage **ret_response, struct dialplane_error *error)
{
    dialplane_stream_end_sending(stream);
    grpc_byte_buffer *received = receive(stream), *more = received ? receive(stream) : NULL;
    ProtobufCMessage *response = NULL;
    if (!stream->ended)
        error_set(error, GRPC_STATUS_INTERNAL, "the service answered with several messages");
    else if (stream->status != GRPC_STATUS_OK)
        error_set_from_status(error, stream->status, stream->details, &stream->trailing_metadata);
    else if (!received)
        error_set(error, GRPC_STATUS_INTERNAL, "the service answered without a message");
    else if (!(response = message_unpack(received, descriptor)))
        error_set(error, GRPC_STATUS_INTERNAL, "the answer is not the expected message");
    if (received)
        grpc_byte_buffer_destroy(received);
    if (more)
        grpc_byte_buffer_destroy(more);
    if (response)
        *ret_response = response;
    return response != NULL;
}

void dialplane_stream_cancel(struct dialplane_stream *stream)
{
    grpc_call_cancel(stream->running.call, NULL);
}

void dialplane_stream_close(struct dialplane_stream *stream)
{
    if (!stream)
        return;
    if (!stream->ended) {
        grpc_call_cancel(stream->running.call, NULL);
        grpc_completion_queue_pluck(stream->queue, STATUS_TAG(stream),
                                    gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    }
    wait_for_opening(stream);
    client_delist(stream->client, &stream->running);
    client_metadata_done(stream->metadata);
    if (stream->opening_message)
        grpc_byte_buffer_destroy(stream->opening_message);
    grpc_slice_unref(stream->details);
    grpc_metadata_array_destroy(&stream->initial_metadata);
    grpc_metadata_array_destroy(&stream->trailing_metadata);
    grpc_call_unref(stream->running.call);
    grpc_completion_queue_shutdown(stream->queue);
    grpc_completion_queue_destroy(stream->queue);
    free(stream);
}
