/* Unary calls, synchronous and not. A synchronous call has a completion queue of its own, plucked
 * by the thread that waits: no thread of ours, no lock on its path but the client's list. An
 * asynchronous one belongs to its caller's queue. */
#include "internal.h"

#include <grpc/byte_buffer.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

bool exchange_start(struct exchange *exchange, struct dialplane_client *client, const char *path,
                    grpc_byte_buffer *sent, enum dialplane_call_mode mode, unsigned deadline_ms,
                    grpc_completion_queue *queue, void *tag, struct dialplane_error *error)
{
    memset(exchange, 0, sizeof(*exchange));
    exchange->running.call =
        client_create_call(client, path, deadline_after(deadline_ms ? deadline_ms : 1), queue);
    grpc_metadata_array_init(&exchange->initial);
    grpc_metadata_array_init(&exchange->trailing);
    exchange->sent = sent;
    exchange->status = GRPC_STATUS_UNKNOWN;
    exchange->details = grpc_empty_slice();
    const grpc_op operations[] = {
        client_initial_metadata(client, mode, exchange->metadata),
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = sent},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &exchange->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &exchange->received},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &exchange->trailing,
                                        .status = &exchange->status,
                                        .status_details = &exchange->details}},
    };
    if (!client_enlist(client, &exchange->running)) {
        error_set(error, GRPC_STATUS_CANCELLED, "the client has been shut down");
        return false;
    }
    grpc_call_error started = grpc_call_start_batch(
        exchange->running.call, operations, sizeof(operations) / sizeof(*operations), tag, NULL);
    if (started == GRPC_CALL_OK)
        return true;
    error_set(error, GRPC_STATUS_INTERNAL, grpc_call_error_to_string(started));
    return false;
}

bool exchange_succeeded(const struct exchange *exchange, struct dialplane_error *error)
{
    if (exchange->status != GRPC_STATUS_OK)
        error_set_from_status(error, exchange->status, exchange->details, &exchange->trailing);
    else if (!exchange->received)
        error_set(error, GRPC_STATUS_INTERNAL, "the answer holds no message");
    else
        return true;
    return false;
}

void exchange_done(struct exchange *exchange, struct dialplane_client *client)
{
    client_delist(client, &exchange->running);
    client_metadata_done(exchange->metadata);
    grpc_slice_unref(exchange->details);
    grpc_metadata_array_destroy(&exchange->initial);
    grpc_metadata_array_destroy(&exchange->trailing);
    grpc_byte_buffer_destroy(exchange->sent);
    if (exchange->received)
        grpc_byte_buffer_destroy(exchange->received);
    grpc_call_unref(exchange->running.call);
}

/* One blocking call; exactly one of descriptor (with ret_message) and ret_bytes is given.
 * *ret_again: it was refused for its token, and there is a new one. */
static bool call_once(struct dialplane_client *client, const char *path, grpc_byte_buffer *sent,
                      enum dialplane_call_mode mode, unsigned deadline_ms,
                      const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret_message,
                      struct dialplane_bytes *ret_bytes, bool *ret_again,
                      struct dialplane_error *error)
{
    grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
    struct exchange exchange;
    bool ok =
        exchange_start(&exchange, client, path, sent, mode, deadline_ms, queue, &exchange, error);
    if (ok) {
        grpc_completion_queue_pluck(queue, &exchange, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        ok = exchange_succeeded(&exchange, error);
    }
    if (ok) {
        ok = descriptor ? (*ret_message = message_unpack(exchange.received, descriptor)) != NULL
                        : bytes_unpack(exchange.received, ret_bytes);
        if (!ok)
            error_set(error, GRPC_STATUS_INTERNAL, "the answer is not the expected message");
    }
    *ret_again = exchange.status == GRPC_STATUS_UNAUTHENTICATED &&
                 token_renewed(client->token, exchange.metadata[0].value);
    exchange_done(&exchange, client);
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
    return ok;
}

/* A call that was refused for its token was not begun: it is repeated with a newer one. */
static bool call_and_wait(struct dialplane_client *client, const char *path, grpc_byte_buffer *sent,
                          enum dialplane_call_mode mode, unsigned deadline_ms,
                          const ProtobufCMessageDescriptor *descriptor,
                          ProtobufCMessage **ret_message, struct dialplane_bytes *ret_bytes,
                          struct dialplane_error *error)
{
    grpc_byte_buffer *copy = grpc_byte_buffer_copy(sent); /* shares the bytes */
    bool again;
    bool ok = call_once(client, path, sent, mode, deadline_ms, descriptor, ret_message, ret_bytes,
                        &again, error);

    if (!ok && again)
        return call_once(client, path, copy, mode, deadline_ms, descriptor, ret_message, ret_bytes,
                         &again, error);
    grpc_byte_buffer_destroy(copy);
    return ok;
}

bool dialplane_call(struct dialplane_client *client, const char *path,
                    const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *response_descriptor, unsigned deadline_ms,
                    ProtobufCMessage **ret_response, struct dialplane_error *error)
{
    return call_and_wait(client, path, message_pack(request), DIALPLANE_CALL, deadline_ms,
                         response_descriptor, ret_response, NULL, error);
}

bool dialplane_call_bytes(struct dialplane_client *client, const char *path, const void *request,
                          size_t request_size, enum dialplane_call_mode mode, unsigned deadline_ms,
                          struct dialplane_bytes *ret_response, struct dialplane_error *error)
{
    return call_and_wait(client, path, bytes_pack(request, request_size), mode, deadline_ms, NULL,
                         NULL, ret_response, error);
}

/* Asynchronous */

struct dialplane_pending {
    struct exchange exchange;
    struct dialplane_client *client;
    struct dialplane_queue *queue;
    const ProtobufCMessageDescriptor *descriptor;
    dialplane_done *on_done;
    void *context;
    struct dialplane_typed typed; /* context points here for the typed calls */
    struct dialplane_pending *next, **link;
};

struct dialplane_queue {
    grpc_completion_queue *completions;
    pthread_mutex_t lock; /* guards what follows */
    struct dialplane_pending *pending;
    size_t pending_count;
};

struct dialplane_queue *dialplane_queue_open(void)
{
    struct dialplane_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;
    queue->completions = grpc_completion_queue_create_for_next(NULL);
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

static void add_pending(struct dialplane_queue *queue, struct dialplane_pending *pending)
{
    pthread_mutex_lock(&queue->lock);
    pending->next = queue->pending;
    pending->link = &queue->pending;
    if (pending->next)
        pending->next->link = &pending->next;
    queue->pending = pending;
    queue->pending_count++;
    pthread_mutex_unlock(&queue->lock);
}

static void remove_pending(struct dialplane_queue *queue, struct dialplane_pending *pending)
{
    pthread_mutex_lock(&queue->lock);
    *pending->link = pending->next;
    if (pending->next)
        pending->next->link = pending->link;
    queue->pending_count--;
    pthread_mutex_unlock(&queue->lock);
}

static struct dialplane_pending *start(struct dialplane_queue *queue,
                                       struct dialplane_client *client, const char *path,
                                       const ProtobufCMessage *request, unsigned deadline_ms,
                                       struct dialplane_pending init)
{
    struct dialplane_pending *pending = malloc(sizeof(*pending));
    if (!pending)
        return NULL;
    *pending = init;
    pending->client = client;
    pending->queue = queue;
    if (!pending->context)
        pending->context = &pending->typed;
    /* listed first: another thread may already take it from the queue when the start returns */
    add_pending(queue, pending);
    if (exchange_start(&pending->exchange, client, path, message_pack(request), DIALPLANE_CALL,
                       deadline_ms, queue->completions, pending, NULL))
        return pending;
    remove_pending(queue, pending);
    exchange_done(&pending->exchange, client);
    free(pending);
    return NULL;
}

/* Passes on to the caller's callback, whose context may be NULL. */
static void run_plain(void *context, ProtobufCMessage *response,
                      const struct dialplane_error *error)
{
    const struct dialplane_typed *typed = context;
    ((dialplane_done *)typed->on_done)(typed->context, response, error);
}

struct dialplane_pending *
dialplane_start_typed(struct dialplane_queue *queue, struct dialplane_client *client,
                      const char *path, const ProtobufCMessage *request,
                      const ProtobufCMessageDescriptor *response_descriptor, unsigned deadline_ms,
                      dialplane_done *wrapper, struct dialplane_typed typed)
{
    struct dialplane_pending init = {
        .descriptor = response_descriptor, .on_done = wrapper, .typed = typed};
    return start(queue, client, path, request, deadline_ms, init);
}

struct dialplane_pending *dialplane_start(struct dialplane_queue *queue,
                                          struct dialplane_client *client, const char *path,
                                          const ProtobufCMessage *request,
                                          const ProtobufCMessageDescriptor *response_descriptor,
                                          unsigned deadline_ms, dialplane_done *on_done,
                                          void *context)
{
    return dialplane_start_typed(
        queue, client, path, request, response_descriptor, deadline_ms, run_plain,
        (struct dialplane_typed){(dialplane_any_function *)on_done, context});
}

void dialplane_pending_cancel(struct dialplane_pending *pending)
{
    grpc_call_cancel(pending->exchange.running.call, NULL);
}

static void finish(struct dialplane_pending *pending)
{
    struct dialplane_error error = {0};
    ProtobufCMessage *response = NULL;
    remove_pending(pending->queue, pending);
    if (exchange_succeeded(&pending->exchange, &error) &&
        !(response = message_unpack(pending->exchange.received, pending->descriptor)))
        error_set(&error, GRPC_STATUS_INTERNAL, "the answer is not the expected message");
    exchange_done(&pending->exchange, pending->client);
    pending->on_done(pending->context, response, &error);
    free(pending);
}

bool dialplane_queue_wait(struct dialplane_queue *queue, unsigned timeout_ms)
{
    gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    grpc_event event = grpc_completion_queue_next(queue->completions, until, NULL);
    if (event.type != GRPC_OP_COMPLETE)
        return false;
    finish(event.tag);
    return true;
}

size_t dialplane_queue_pending_count(struct dialplane_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->pending_count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

void dialplane_queue_close(struct dialplane_queue *queue)
{
    if (!queue)
        return;
    /* Callbacks may start further calls until the last one has run. */
    while (dialplane_queue_pending_count(queue) > 0) {
        pthread_mutex_lock(&queue->lock);
        for (struct dialplane_pending *at = queue->pending; at; at = at->next)
            grpc_call_cancel(at->exchange.running.call, NULL);
        pthread_mutex_unlock(&queue->lock);
        grpc_event event = grpc_completion_queue_next(queue->completions,
                                                      gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (event.type == GRPC_OP_COMPLETE)
            finish(event.tag);
    }
    grpc_completion_queue_shutdown(queue->completions);
    while (grpc_completion_queue_next(queue->completions, gpr_inf_future(GPR_CLOCK_REALTIME), NULL)
               .type != GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(queue->completions);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}
