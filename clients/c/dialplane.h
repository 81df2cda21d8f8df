/* dialplane: the platform's services from C: one function an RPC, with deadlines; connections are
 * made again by themselves. dialplane_methods.h, which this header includes, is made from the
 * .proto files: every RPC with its comment.
 *
 * Thread-safe: any number of threads may share one client. Before the first client:
 * dialplane_init(); after the last: dialplane_exit().
 *
 *     struct dialplane_client *client = dialplane_client_open("127.0.0.1:8001");
 *     Dialplane__V1__ListCompaniesRequest request = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
 *     Dialplane__V1__ListCompaniesResponse *companies;
 *     struct dialplane_error error;
 *     if (!dialplane_list_companies(client, &request, 5000, &companies, &error))
 *         fprintf(stderr, "%s: %s\n", dialplane_code_name(error.code), error.message);
 *     else
 *         dialplane_free(companies);
 *
 * Four forms of calls:
 *   dialplane_x()                        blocks its thread until the answer, the deadline or
 *                                        dialplane_client_shutdown()
 *   dialplane_x_start()                  returns at once; the answer comes to a callback in
 *                                        dialplane_queue_wait()
 *   dialplane_x_open(), …_next()         server streaming: messages one by one
 *   dialplane_x_open(), …_send(), …_finish()   client streaming: send blocks while the service
 *                                        cannot take more
 * Deadlines are milliseconds from now. A call that failed with UNAVAILABLE may have been processed:
 * repeat only what is idempotent; in Dialplane that is everything but the Create… RPCs and the
 * uploads. example.c uses all four forms. */
#ifndef DIALPLANE_H
#define DIALPLANE_H

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dialplane_client;
struct dialplane_stream;
struct dialplane_queue;
struct dialplane_pending;

/* Errors */

/* What went wrong. A plain value: nothing to free, copying is fine. code has gRPC's numbers:
 * 3 INVALID_ARGUMENT, 5 NOT_FOUND, 9 FAILED_PRECONDITION, 14 UNAVAILABLE … */
struct dialplane_error {
    int code;
    char reason[48];   /* the service's word for programs, such as "STALE_FENCE"; empty: none */
    char message[512]; /* one sentence for people, cut at a character's boundary */
    unsigned retry_after_ms; /* 0: not said */
    unsigned field_count;    /* what dialplane_error_next_field() gives */
    size_t fields_size;
    char fields[8192]; /* read with dialplane_error_next_field() */
};

/* The fields that are wrong, one by one (google.rpc.BadRequest):
 *     size_t position = 0;
 *     const char *field, *message;
 *     while (dialplane_error_next_field(&error, &position, &field, &message)) …
 * field is the path from the request's root ("campaign.retry_policy["busy"].delay_minutes"), empty
 * when no single field is meant. Both live in *error. */
bool dialplane_error_next_field(const struct dialplane_error *error, size_t *position,
                                const char **ret_field, const char **ret_message);

/* "UNAVAILABLE" …; "UNKNOWN" for a number that is none. */
const char *dialplane_code_name(int code);
/* True for failures that the same call may survive a moment later: UNAVAILABLE, RESOURCE_EXHAUSTED,
 * ABORTED. */
bool dialplane_is_transient(const struct dialplane_error *error);

/* Clients */

void dialplane_init(void);
void dialplane_exit(void);

/* Files in PEM form, read when a client is opened; an empty text counts as NULL. */
struct dialplane_tls {
    const char *ca_file; /* who has signed the services' certificates */
    /* What services are shown that ask for a certificate (their --tls-client-ca), and its key.
     * NULL: none. */
    const char *certificate_file, *key_file;
    /* The name that the services' certificates must carry. NULL: the target's host. */
    const char *name;
};
/* True when anything of it is given. tls may be NULL. */
bool dialplane_tls_is_set(const struct dialplane_tls *tls);
/* False: a file cannot be read, or one is missing; *error (may be NULL) says which. */
bool dialplane_tls_check(const struct dialplane_tls *tls, struct dialplane_error *error);

struct dialplane_client_options {
    /* Sent with every call as the metadata `authorization: Bearer TOKEN`; printable ASCII; NULL:
     * none. It is copied. Without `tls` the connection is not encrypted. */
    const char *token;
    /* Instead: a file with the token, in which somebody renews it before it ends. It is looked at
     * again when it has changed, at most once a second, and whenever a service does not accept the
     * token: a blocking unary call is then repeated once with the new one, if there is one (it was
     * not begun). What else is under way ends with UNAUTHENTICATED, and coming back is enough. */
    const char *token_file;
    /* True: a call fails with UNAVAILABLE when no connection can be made. False: it waits for one
     * until its deadline. */
    bool fail_fast;
    /* Speaks TLS, except with unix sockets. NULL, or all empty: plain. */
    const struct dialplane_tls *tls;
};

/* target: "127.0.0.1:8002", "unix:/path" or any gRPC name. Connects at the first call; proxies from
 * the environment are not used. NULL when memory is short. */
struct dialplane_client *dialplane_client_open(const char *target);
/* The same with options (NULL: all zero). NULL also when the token is not printable ASCII, when
 * token_file cannot be read or holds none, or when dialplane_tls_check() fails. */
struct dialplane_client *dialplane_client_open_with(const char *target,
                                                    const struct dialplane_client_options *options);
/* Ends every call under way with CANCELLED and refuses new ones; from any thread. */
void dialplane_client_shutdown(struct dialplane_client *client);
/* After every call has returned. NULL is allowed. */
void dialplane_client_close(struct dialplane_client *client);

/* Frees an answer. NULL is allowed. */
#define dialplane_free(message)                                                                    \
    ((message) ? protobuf_c_message_free_unpacked(&(message)->base, NULL) : (void)0)

/* Unary calls; the typed ones of dialplane_methods.h are made of these. */

/* path: "/dialplane.v1.CompanyService/GetCompany". deadline_ms > 0. True: *ret_response is the
 * caller's, to be freed with dialplane_free(). False: *error (may be NULL) says why. */
bool dialplane_call(struct dialplane_client *client, const char *path,
                    const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *response_descriptor, unsigned deadline_ms,
                    ProtobufCMessage **ret_response, struct dialplane_error *error);

/* A serialized message that the library has allocated; data is never NULL, free(data) frees it. */
struct dialplane_bytes {
    uint8_t *data;
    size_t size;
};

enum dialplane_call_mode {
    DIALPLANE_CALL,
    /* The service checks the request and does nothing else: FAILED_PRECONDITION with the reason
     * "CHECK_ONLY" when nothing is wrong with it. */
    DIALPLANE_CHECK_ONLY,
};

/* The same for those who have the messages serialized. */
bool dialplane_call_bytes(struct dialplane_client *client, const char *path, const void *request,
                          size_t request_size, enum dialplane_call_mode mode, unsigned deadline_ms,
                          struct dialplane_bytes *ret_response, struct dialplane_error *error);

/* Asynchronous calls. A queue collects what has ended; callbacks run in dialplane_queue_wait() and
 * nowhere else, so that a program needs no lock of its own. Calls may be started from any thread;
 * one thread at a time waits. */

/* NULL when memory is short. */
struct dialplane_queue *dialplane_queue_open(void);
/* Waits up to timeout_ms for a call to end and runs its callback (which may start others). False:
 * none ended. */
bool dialplane_queue_wait(struct dialplane_queue *queue, unsigned timeout_ms);
/* Calls started whose callback has not run yet. */
size_t dialplane_queue_pending_count(struct dialplane_queue *queue);
/* Cancels what is pending, runs its callbacks (CANCELLED), and frees the queue. Not from a
 * callback; before the clients are closed. NULL is allowed. */
void dialplane_queue_close(struct dialplane_queue *queue);

/* response is NULL when the call failed, and the callback's to free otherwise. error is valid
 * during the callback only. */
typedef void dialplane_done(void *context, ProtobufCMessage *response,
                            const struct dialplane_error *error);
/* A function pointer of any type, kept for a wrapper that knows the type. */
typedef void dialplane_any_function(void);

/* Starts a unary call; the request may go as soon as this has returned. The result may be given to
 * dialplane_pending_cancel() until the callback has begun. NULL, and the callback will not run,
 * when memory is short or the client has been shut down. */
struct dialplane_pending *dialplane_start(struct dialplane_queue *queue,
                                          struct dialplane_client *client, const char *path,
                                          const ProtobufCMessage *request,
                                          const ProtobufCMessageDescriptor *response_descriptor,
                                          unsigned deadline_ms, dialplane_done *on_done,
                                          void *context);
/* The callback will run with CANCELLED, unless the call has just ended otherwise. */
void dialplane_pending_cancel(struct dialplane_pending *pending);

/* For the typed wrappers: context is a struct dialplane_typed. */
struct dialplane_typed {
    dialplane_any_function *on_done;
    void *context;
};
struct dialplane_pending *
dialplane_start_typed(struct dialplane_queue *queue, struct dialplane_client *client,
                      const char *path, const ProtobufCMessage *request,
                      const ProtobufCMessageDescriptor *response_descriptor, unsigned deadline_ms,
                      dialplane_done *wrapper, struct dialplane_typed typed);

/* Streams. One thread at a time uses a stream; dialplane_stream_cancel() may come from any. */

/* Opens a call, without waiting for a connection; deadline_ms 0: none. Nothing is known of its fate
 * before the first dialplane_stream_next(). NULL when memory is short. */
struct dialplane_stream *dialplane_stream_start(struct dialplane_client *client, const char *path,
                                                unsigned deadline_ms);
/* Sends one message; returns when the service has room for the next. False: the call has ended, and
 * dialplane_stream_next() says why. */
bool dialplane_stream_send_bytes(struct dialplane_stream *stream, const void *message, size_t size);
bool dialplane_stream_send(struct dialplane_stream *stream, const ProtobufCMessage *message);
/* Nothing more will be sent. */
bool dialplane_stream_end_sending(struct dialplane_stream *stream);
/* dialplane_stream_start() with one message sent and nothing more to send: server streaming. */
struct dialplane_stream *dialplane_stream_open(struct dialplane_client *client, const char *path,
                                               const ProtobufCMessage *request,
                                               unsigned deadline_ms);
/* The next message, which is the caller's; NULL at the end, where error->code 0 means the regular
 * one. */
ProtobufCMessage *dialplane_stream_next(struct dialplane_stream *stream,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        struct dialplane_error *error);
bool dialplane_stream_next_bytes(struct dialplane_stream *stream,
                                 struct dialplane_bytes *ret_message,
                                 struct dialplane_error *error);
/* Client streaming: ends sending and takes the one answer. Closes nothing. */
bool dialplane_stream_finish(struct dialplane_stream *stream,
                             const ProtobufCMessageDescriptor *descriptor,
                             ProtobufCMessage **ret_response, struct dialplane_error *error);
/* From any thread: what waits ends with CANCELLED. */
void dialplane_stream_cancel(struct dialplane_stream *stream);
/* Cancels what is under way, and frees. NULL is allowed. */
void dialplane_stream_close(struct dialplane_stream *stream);

#include "dialplane_methods.h"

#endif
