/* clients/c internal: what the files of the library share. */
#ifndef DIALPLANE_CLIENT_INTERNAL_H
#define DIALPLANE_CLIENT_INTERNAL_H

#include "dialplane.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>

/* Largest answer accepted. protobuf-c itself has no depth limit; answers come from our own
 * services, so the size alone bounds the harm. */
#define RECEIVE_LIMIT_BYTES (16 * 1024 * 1024)

/* A call under way, so that shutdown can cancel it. */
struct running {
    grpc_call *call;
    struct running *next, **link;
};

struct dialplane_client {
    grpc_channel *channel;
    bool fail_fast;
    struct token *token;  /* what calls show */
    pthread_mutex_t lock; /* guards what follows */
    struct running *calls;
    bool is_shut_down;
};

/* secure.c: NULL: a file cannot be read, see dialplane_tls_check(). */
grpc_channel_credentials *client_credentials(const char *target, const struct dialplane_tls *tls);

/* Lists the call for shutdown; false when the client has been shut down. */
bool client_enlist(struct dialplane_client *client, struct running *running);
void client_delist(struct dialplane_client *client, struct running *running);
/* SEND_INITIAL_METADATA with what every call of this client carries. metadata has room for
 * CLIENT_METADATA and must stay until the operation has ended; then client_metadata_done(). */
#define CLIENT_METADATA 2
grpc_op client_initial_metadata(const struct dialplane_client *client,
                                enum dialplane_call_mode mode, grpc_metadata *metadata);
void client_metadata_done(grpc_metadata *metadata);

/* token.c: what a client shows, thread-safe. */
struct token;
/* At most one of both is given. NULL: see dialplane_client_open_with(). */
struct token *token_open(const char *text, const char *file);
void token_close(struct token *token);
/* "Bearer …", a reference of the caller's; empty: none. A changed file has been read. */
grpc_slice token_header(struct token *token);
/* After a refusal of `shown`: true when there is another one by now, so that asking again has a
 * point. */
bool token_renewed(struct token *token, grpc_slice shown);

grpc_call *client_create_call(struct dialplane_client *client, const char *path,
                              gpr_timespec deadline, grpc_completion_queue *queue);

gpr_timespec deadline_after(unsigned milliseconds);
grpc_byte_buffer *bytes_pack(const void *message, size_t size);
grpc_byte_buffer *message_pack(const ProtobufCMessage *message);
ProtobufCMessage *message_unpack(grpc_byte_buffer *buffer,
                                 const ProtobufCMessageDescriptor *descriptor);
/* False: no memory. */
bool bytes_unpack(grpc_byte_buffer *buffer, struct dialplane_bytes *ret_bytes);

void error_set(struct dialplane_error *error, int code, const char *message);
void error_set_from_status(struct dialplane_error *error, grpc_status_code code, grpc_slice details,
                           const grpc_metadata_array *trailing);

/* One unary call: what its batch of operations reads from and writes to. */
struct exchange {
    struct running running;
    grpc_metadata_array initial, trailing;
    grpc_metadata metadata[CLIENT_METADATA];
    grpc_byte_buffer *sent, *received;
    grpc_status_code status;
    grpc_slice details;
};
/* Takes `sent`. False, with *error set and nothing to undo but exchange_done(): not started. */
bool exchange_start(struct exchange *exchange, struct dialplane_client *client, const char *path,
                    grpc_byte_buffer *sent, enum dialplane_call_mode mode, unsigned deadline_ms,
                    grpc_completion_queue *queue, void *tag, struct dialplane_error *error);
/* After the tag has come: false when the call failed. */
bool exchange_succeeded(const struct exchange *exchange, struct dialplane_error *error);
void exchange_done(struct exchange *exchange, struct dialplane_client *client);

#endif
