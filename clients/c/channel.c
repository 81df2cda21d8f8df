/* Calls over the gRPC C core. Each call has a completion queue of its own, plucked by the thread
 * that waits: no thread of ours, no lock on the path of a call but the list that
 * dialplane_client_shutdown() walks. */
#include "dialplane.h"

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Largest answer accepted, and the most messages nested: protobuf-c itself has no depth limit.
 * Answers come from our own services, so the size alone bounds the harm. */
#define RECEIVE_LIMIT_BYTES (16 * 1024 * 1024)

/* A call under way, so that shutdown can cancel it. */
struct running {
    grpc_call *call;
    struct running *next, **link;
};

struct dialplane_client {
    grpc_channel *channel;
    pthread_mutex_t lock; /* guards what follows */
    struct running *calls;
    bool is_shut_down;
};

struct dialplane_stream {
    struct dialplane_client *client;
    struct running running;
    grpc_completion_queue *queue;
    grpc_metadata_array initial_metadata, trailing_metadata;
    grpc_status_code status;
    grpc_slice details;
    bool ended;
};

static const char *const code_names[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

const char *dialplane_code_name(int code)
{
    if (code < 0 || (size_t)code >= sizeof(code_names) / sizeof(*code_names))
        return "UNKNOWN";
    return code_names[code];
}

bool dialplane_is_transient(const struct dialplane_error *error)
{
    return error->code == GRPC_STATUS_UNAVAILABLE ||
           error->code == GRPC_STATUS_RESOURCE_EXHAUSTED || error->code == GRPC_STATUS_ABORTED;
}

void dialplane_init(void)
{
    grpc_init();
}

void dialplane_exit(void)
{
    grpc_shutdown_blocking();
}

struct dialplane_client *dialplane_client_open(const char *target)
{
    struct dialplane_client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    grpc_arg arguments[] = {
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value.integer = RECEIVE_LIMIT_BYTES},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_KEEPALIVE_TIME_MS,
         .value.integer = 30000},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
         .value.integer = 200},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
         .value.integer = 5000},
    };
    grpc_channel_args channel_arguments = {sizeof(arguments) / sizeof(*arguments), arguments};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    client->channel = grpc_channel_create(target, credentials, &channel_arguments);
    grpc_channel_credentials_release(credentials);
    pthread_mutex_init(&client->lock, NULL);
    return client;
}

void dialplane_client_shutdown(struct dialplane_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->is_shut_down = true;
    for (struct running *running = client->calls; running; running = running->next)
        grpc_call_cancel(running->call, NULL);
    pthread_mutex_unlock(&client->lock);
}

void dialplane_client_close(struct dialplane_client *client)
{
    if (!client)
        return;
    grpc_channel_destroy(client->channel);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

/* Lists the call for shutdown; false when the client has been shut down. */
static bool enlist(struct dialplane_client *client, struct running *running)
{
    pthread_mutex_lock(&client->lock);
    bool ok = !client->is_shut_down;
    if (ok) {
        running->next = client->calls;
        running->link = &client->calls;
        if (running->next)
            running->next->link = &running->next;
        client->calls = running;
    }
    pthread_mutex_unlock(&client->lock);
    return ok;
}

static void delist(struct dialplane_client *client, struct running *running)
{
    pthread_mutex_lock(&client->lock);
    if (running->link) {
        *running->link = running->next;
        if (running->next)
            running->next->link = running->link;
        running->link = NULL;
    }
    pthread_mutex_unlock(&client->lock);
}

static gpr_timespec deadline_after(unsigned milliseconds)
{
    if (milliseconds == 0)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis(milliseconds, GPR_TIMESPAN));
}

static grpc_byte_buffer *pack(const ProtobufCMessage *message)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static ProtobufCMessage *unpack(grpc_byte_buffer *buffer,
                                const ProtobufCMessageDescriptor *descriptor)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return NULL;
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    ProtobufCMessage *message = protobuf_c_message_unpack(
        descriptor, NULL, GRPC_SLICE_LENGTH(slice), GRPC_SLICE_START_PTR(slice));
    grpc_slice_unref(slice);
    return message;
}

/* Reads the parts of google.rpc.Status that programs act on. */
static void read_details(grpc_slice bytes, struct dialplane_error *error)
{
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, GRPC_SLICE_LENGTH(bytes), GRPC_SLICE_START_PTR(bytes));
    if (!status)
        return;
    for (size_t i = 0; i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        if (strstr(any->type_url, "google.rpc.ErrorInfo")) {
            Google__Rpc__ErrorInfo *info =
                google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);
            if (info) {
                snprintf(error->reason, sizeof(error->reason), "%s", info->reason);
                google__rpc__error_info__free_unpacked(info, NULL);
            }
        } else if (strstr(any->type_url, "google.rpc.RetryInfo")) {
            Google__Rpc__RetryInfo *retry =
                google__rpc__retry_info__unpack(NULL, any->value.len, any->value.data);
            if (retry && retry->retry_delay)
                error->retry_after_ms = (unsigned)(retry->retry_delay->seconds * 1000 +
                                                   retry->retry_delay->nanos / 1000000);
            if (retry)
                google__rpc__retry_info__free_unpacked(retry, NULL);
        }
    }
    google__rpc__status__free_unpacked(status, NULL);
}

static void set_error(struct dialplane_error *error, int code, const char *message)
{
    if (!error)
        return;
    memset(error, 0, sizeof(*error));
    error->code = code;
    snprintf(error->message, sizeof(error->message), "%s", message);
}

static void set_error_from_status(struct dialplane_error *error, grpc_status_code code,
                                  grpc_slice details, const grpc_metadata_array *trailing)
{
    if (!error)
        return;
    memset(error, 0, sizeof(*error));
    error->code = code;
    size_t length = GRPC_SLICE_LENGTH(details);
    if (length >= sizeof(error->message))
        length = sizeof(error->message) - 1;
    memcpy(error->message, GRPC_SLICE_START_PTR(details), length);
    for (size_t i = 0; i < trailing->count; i++)
        if (grpc_slice_str_cmp(trailing->metadata[i].key, "grpc-status-details-bin") == 0)
            read_details(trailing->metadata[i].value, error);
}

bool dialplane_call(struct dialplane_client *client, const char *path,
                    const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *response_descriptor, unsigned deadline_ms,
                    ProtobufCMessage **ret_response, struct dialplane_error *error)
{
    grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
    struct running running = {
        .call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                         grpc_slice_from_static_string(path), NULL,
                                         deadline_after(deadline_ms ? deadline_ms : 1), NULL)};
    grpc_metadata_array initial, trailing;
    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    grpc_byte_buffer *sent = pack(request), *received = NULL;
    grpc_status_code status = GRPC_STATUS_UNKNOWN;
    grpc_slice details = grpc_empty_slice();
    ProtobufCMessage *response = NULL;
    bool ok = false;

    const grpc_op operations[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                  GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = sent},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &received},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &trailing,
                                        .status = &status,
                                        .status_details = &details}},
    };
    if (!enlist(client, &running)) {
        set_error(error, GRPC_STATUS_CANCELLED, "the client has been shut down");
    } else {
        grpc_call_error started = grpc_call_start_batch(
            running.call, operations, sizeof(operations) / sizeof(*operations), &running, NULL);
        if (started != GRPC_CALL_OK) {
            set_error(error, GRPC_STATUS_INTERNAL, grpc_call_error_to_string(started));
        } else {
            grpc_completion_queue_pluck(queue, &running, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
            if (status != GRPC_STATUS_OK)
                set_error_from_status(error, status, details, &trailing);
            else if (!received || !(response = unpack(received, response_descriptor)))
                set_error(error, GRPC_STATUS_INTERNAL, "the answer is not the expected message");
            else
                ok = true;
        }
        delist(client, &running);
    }
    grpc_slice_unref(details);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    grpc_byte_buffer_destroy(sent);
    if (received)
        grpc_byte_buffer_destroy(received);
    grpc_call_unref(running.call);
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
    if (ok)
        *ret_response = response;
    return ok;
}

/* Two tags of a stream: its address for the status batch, and this one for everything else. */
#define STATUS_TAG(stream) ((void *)(stream))
#define STEP_TAG(stream) ((void *)&(stream)->running)

static bool stream_step(struct dialplane_stream *stream, const grpc_op *operations, size_t count)
{
    if (grpc_call_start_batch(stream->running.call, operations, count, STEP_TAG(stream), NULL) !=
        GRPC_CALL_OK)
        return false;
    return grpc_completion_queue_pluck(stream->queue, STEP_TAG(stream),
                                       gpr_inf_future(GPR_CLOCK_REALTIME), NULL)
        .success;
}

struct dialplane_stream *dialplane_stream_open(struct dialplane_client *client, const char *path,
                                               const ProtobufCMessage *request,
                                               unsigned deadline_ms)
{
    struct dialplane_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    stream->client = client;
    stream->queue = grpc_completion_queue_create_for_pluck(NULL);
    stream->running.call = grpc_channel_create_call(
        client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, stream->queue,
        grpc_slice_from_copied_string(path), NULL, deadline_after(deadline_ms), NULL);
    stream->details = grpc_empty_slice();
    grpc_metadata_array_init(&stream->initial_metadata);
    grpc_metadata_array_init(&stream->trailing_metadata);
    const grpc_op status = {
        .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
        .data.recv_status_on_client = {.trailing_metadata = &stream->trailing_metadata,
                                       .status = &stream->status,
                                       .status_details = &stream->details}};
    if (grpc_call_start_batch(stream->running.call, &status, 1, STATUS_TAG(stream), NULL) !=
        GRPC_CALL_OK)
        abort(); /* the first batch of a fresh call is refused only when this code is wrong */
    if (!enlist(client, &stream->running))
        grpc_call_cancel(stream->running.call, NULL);
    grpc_byte_buffer *sent = pack(request);
    const grpc_op opening[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                  GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = sent},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &stream->initial_metadata},
    };
    /* A failed opening shows in the status, which dialplane_stream_next() reports. */
    stream_step(stream, opening, sizeof(opening) / sizeof(*opening));
    grpc_byte_buffer_destroy(sent);
    return stream;
}

ProtobufCMessage *dialplane_stream_next(struct dialplane_stream *stream,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        struct dialplane_error *error)
{
    if (!stream->ended) {
        grpc_byte_buffer *received = NULL;
        const grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE,
                                 .data.recv_message.recv_message = &received};
        if (stream_step(stream, &receive, 1) && received) {
            ProtobufCMessage *message = unpack(received, descriptor);
            grpc_byte_buffer_destroy(received);
            if (message)
                return message;
            set_error(error, GRPC_STATUS_INTERNAL, "the stream holds an unexpected message");
            return NULL;
        }
        grpc_completion_queue_pluck(stream->queue, STATUS_TAG(stream),
                                    gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        stream->ended = true;
    }
    set_error_from_status(error, stream->status, stream->details, &stream->trailing_metadata);
    return NULL;
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
    delist(stream->client, &stream->running);
    grpc_slice_unref(stream->details);
    grpc_metadata_array_destroy(&stream->initial_metadata);
    grpc_metadata_array_destroy(&stream->trailing_metadata);
    grpc_call_unref(stream->running.call);
    grpc_completion_queue_shutdown(stream->queue);
    grpc_completion_queue_destroy(stream->queue);
    free(stream);
}
