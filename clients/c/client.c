/* A client: one channel, what each call carries, and the list of calls that
 * dialplane_client_shutdown() walks. */
#include "internal.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    return dialplane_client_open_with(target, NULL);
}

struct dialplane_client *dialplane_client_open_with(const char *target,
                                                    const struct dialplane_client_options *options)
{
    struct dialplane_client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    client->token =
        token_open(options ? options->token : NULL, options ? options->token_file : NULL);
    if (!client->token) {
        free(client);
        return NULL;
    }
    const struct dialplane_tls *tls = options ? options->tls : NULL;
    grpc_channel_credentials *credentials = client_credentials(target, tls);
    if (!credentials) {
        token_close(client->token);
        free(client);
        return NULL;
    }
    client->fail_fast = options && options->fail_fast;
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
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_HTTP_PROXY, .value.integer = 0},
        /* the last one, which is left out when there is no such name */
        {.type = GRPC_ARG_STRING,
         .key = (char *)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG,
         .value.string = (char *)(uintptr_t)(tls && tls->name ? tls->name : "")},
    };
    size_t count = sizeof(arguments) / sizeof(*arguments);
    grpc_channel_args channel_arguments = {tls && tls->name && tls->name[0] ? count : count - 1,
                                           arguments};
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
    token_close(client->token);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

bool client_enlist(struct dialplane_client *client, struct running *running)
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

void client_delist(struct dialplane_client *client, struct running *running)
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

grpc_op client_initial_metadata(const struct dialplane_client *client,
                                enum dialplane_call_mode mode, grpc_metadata *metadata)
{
    size_t count = 0;
    memset(metadata, 0, CLIENT_METADATA * sizeof(*metadata)); /* a zero slice is an empty one */
    grpc_slice authorization = token_header(client->token);
    if (GRPC_SLICE_LENGTH(authorization)) {
        metadata[count].key = grpc_slice_from_static_string("authorization");
        metadata[count++].value = authorization;
    }
    if (mode == DIALPLANE_CHECK_ONLY) {
        metadata[count].key = grpc_slice_from_static_string("check-only");
        metadata[count++].value = grpc_slice_from_static_string("true");
    }
    return (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA,
                     .flags = client->fail_fast
                                  ? 0
                                  : GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                                        GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET,
                     .data.send_initial_metadata = {.count = count, .metadata = metadata}};
}

void client_metadata_done(grpc_metadata *metadata)
{
    for (size_t i = 0; i < CLIENT_METADATA; i++)
        grpc_slice_unref(metadata[i].value);
}

grpc_call *client_create_call(struct dialplane_client *client, const char *path,
                              gpr_timespec deadline, grpc_completion_queue *queue)
{
    grpc_slice method = grpc_slice_from_copied_string(path);
    grpc_call *call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                               queue, method, NULL, deadline, NULL);
    grpc_slice_unref(method); /* the call has its own reference */
    return call;
}

gpr_timespec deadline_after(unsigned milliseconds)
{
    if (milliseconds == 0)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis(milliseconds, GPR_TIMESPAN));
}

grpc_byte_buffer *bytes_pack(const void *message, size_t size)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(size ? message : "", size);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

grpc_byte_buffer *message_pack(const ProtobufCMessage *message)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

ProtobufCMessage *message_unpack(grpc_byte_buffer *buffer,
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

bool bytes_unpack(grpc_byte_buffer *buffer, struct dialplane_bytes *ret_bytes)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return false;
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    size_t size = GRPC_SLICE_LENGTH(slice);
    uint8_t *data = malloc(size + 1); /* an empty message has memory, too */
    if (data) {
        memcpy(data, GRPC_SLICE_START_PTR(slice), size);
        *ret_bytes = (struct dialplane_bytes){data, size};
    }
    grpc_slice_unref(slice);
    return data != NULL;
}
