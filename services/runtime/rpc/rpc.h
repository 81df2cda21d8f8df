/* rpc: a gRPC server on the C core. A table of handlers in, calls out; all handlers run on the
 * loop's thread. Before a handler sees a request: size, depth, UTF-8 and every value rule of the
 * .proto have been checked, the handler's own `check` has added what only code can know, and all
 * failures together have been answered as INVALID_ARGUMENT with google.rpc.BadRequest. A unary call
 * with the metadata `check-only` ends there: FAILED_PRECONDITION CHECK_ONLY when nothing is wrong.
 */
#ifndef DIALPLANE_RPC_RPC_H
#define DIALPLANE_RPC_RPC_H

#include "app/app.h"
#include "app/trace.h"
#include "auth/auth.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "schema/schema.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

struct rpc_secure;
struct rpc_server;
struct rpc_call;

/* One RPC of the service. Exactly the callbacks that its streaming kind needs are set;
 * rpc_server_start() refuses a table that does not cover every method of the services it serves, or
 * has one too many. */
struct rpc_handler {
    const char *path; /* "/dialplane.v1.SkillbaseService/GetSkillbase" */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
    /* Pure rules that the .proto cannot say (may be NULL). Runs also when value rules have failed:
     * be ready for any value; a broken rule is already reported. `request` is a decoded message. */
    void (*check)(const void *request, struct violations *violations);
    /* Name of the request's field that holds the resource of an update ("skillbase"): REQUIRED is
     * not asked inside it. NULL: none. */
    const char *partial_field;
    /* Unary and server-streaming. request lives in the call's arena. */
    void (*handle)(struct rpc_call *call, const void *request);
    /* Client-streaming: on_message for each (with read-ahead of one: the next comes after
     * rpc_stream_next(); a message lives until then, not in the call's arena), on_end at
     * half-close, asked for with rpc_stream_next() as well. If the client goes away first, or sends
     * a message that is refused, on_gone comes instead of on_end, perhaps before any on_message,
     * and the call must still be ended with rpc_fail(), whose status goes nowhere. */
    void (*on_message)(struct rpc_call *call, const void *message);
    void (*on_end)(struct rpc_call *call);
    void (*on_gone)(struct rpc_call *call);
    /* Most bytes one call's arena may use; 0: 16 MB. */
    size_t arena_limit;
};

struct rpc_options {
    const char
        *listen; /* "127.0.0.1:7001" or "unix:/path", or a comma list; port 0 takes a free one */
    bool allow_insecure;     /* plain text on addresses that are not local: app/exposure.h */
    unsigned armed_requests; /* 0: 64 a method */
    unsigned max_concurrent_streams; /* 0: 8192 a connection; max_calls bounds them all */
    unsigned max_calls;              /* 0: 20000 in flight; more get RESOURCE_EXHAUSTED */
    unsigned max_receive_bytes;      /* 0: 4 MB a message */
    unsigned stream_message_bytes;   /* 0: 4 MB */
    int64_t default_deadline_us;     /* 0: 60 s: for calls without a deadline, not for streams */
    int64_t grace_us;                /* 0: 10 s: for calls under way at stop */
    int64_t leave_us;                /* at stop, for those who watch our health to go elsewhere */
    struct tracer *tracer;           /* records a span for each call; NULL: none */
    /* Whose tokens callers must show, and with a role that the method names; borrowed. NULL: nobody
     * is asked, and everybody is the platform's administrator. Health and reflection are open. */
    struct auth *auth;
    /* TLS at addresses that are not unix sockets, see rpc/secure.h; borrowed. NULL: plain. */
    struct rpc_secure *secure;
};

/* Serves the services named in `services` (NULL-terminated full names) with `handlers`, plus
 * grpc.health.v1 and reflection v1 and v1alpha. `context` is what rpc_call_context() gives the
 * handlers. */
struct rpc_server *rpc_server_start(struct loop *loop, const struct schema *schema,
                                    const struct rpc_options *options, const char *const *services,
                                    const struct rpc_handler *handlers, size_t handler_count,
                                    void *context, struct err *err);
/* The port that was bound, of the first address. */
int rpc_server_port(const struct rpc_server *server);
/* What health checks say; false until called with true. */
void rpc_server_set_serving(struct rpc_server *server, bool serving);
/* Says NOT_SERVING and ends server streams with UNAVAILABLE; goes on answering while somebody
 * watches the health, at most leave_us; then stops accepting, waits for calls up to the grace,
 * cancels the rest, and calls done on the loop. */
void rpc_server_stop(struct rpc_server *server, void (*done)(void *context), void *context);
void rpc_server_free(struct rpc_server *server);

/* Figures for /metrics: per method. */
struct rpc_method_stats {
    const char *path;
    uint64_t started, in_flight;
    uint64_t finished_by_code[17];
    uint64_t received_bytes, sent_bytes; /* of messages */
    struct durations durations;
};
size_t rpc_server_stats(const struct rpc_server *server, const struct rpc_method_stats **ret_stats);

/* What a handler may ask of its call. The arena and all strings live until the call has ended and
 * every pg callback has come. */
struct arena *rpc_call_arena(struct rpc_call *call);
void *rpc_call_context(struct rpc_call *call);
/* Who is asking; a stream ends when what the caller showed does. */
const struct principal *rpc_call_principal(const struct rpc_call *call);
/* True: phone numbers are masked in what the caller is sent. That happens by itself to messages
 * (the `personal` fields of the .proto); who makes the bytes of a file does it with base/mask.h. */
bool rpc_call_masks_phones(const struct rpc_call *call);
const char *rpc_call_request_id(const struct rpc_call *call); /* x-request-id, taken or made */
/* For pg_read() and pg_write(): deadline and cancellation. */
const struct pg_owner *rpc_call_owner(const struct rpc_call *call);
/* True once the client has cancelled, gone away or passed its deadline. */
bool rpc_call_is_cancelled(const struct rpc_call *call);
/* Called once on the loop when that happens, unless the handler has ended the call (server streams
 * need it; unary handlers seldom do). The call must still be ended: rpc_fail() or rpc_stream_end(),
 * from inside or later; nothing is sent any more. Registered too late, it comes at the end of this
 * turn. */
void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(void *context), void *context);
/* The if-match metadata as microseconds of the resource's revision (see FieldRules.revision): false
 * when the client sent none. A malformed value gives true and -1, which matches nothing. */
bool rpc_call_if_match(const struct rpc_call *call, int64_t *ret_revision_us);
/* Called once on the loop when the server begins to stop: for a unary handler that waits for
 * something (a long poll), so that it answers what it has instead of holding the stop up. Server
 * streams are ended by the runtime and get on_cancel. */
void rpc_call_on_stop(struct rpc_call *call, void (*fn)(void *context), void *context);
/* Any state a streaming handler keeps. */
void rpc_call_set_state(struct rpc_call *call, void *state);
void *rpc_call_state(const struct rpc_call *call);
/* Adds 'seconds' as metadata "retry-after" to a failure: done by rpc_fail() from
 * err->retry_after_seconds. */

/* The end of a call: exactly one of these, once. */
void rpc_reply(struct rpc_call *call, const ProtobufCMessage *response);
void rpc_fail(struct rpc_call *call, const struct err *err);
/* err from a pg outcome as it is (UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL …). */
void rpc_fail_code(struct rpc_call *call, enum err_code code, const char *reason,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Server streaming: messages are sent one at a time; rpc_stream_send() refuses (false) while one is
 * under way: on_writable comes each time one has left and the next may be sent. It also refuses
 * when the client has gone; then on_cancel has come or comes, and on_writable does not. Bytes are a
 * serialized response. End with rpc_stream_end() (OK) or rpc_fail(). */
bool rpc_stream_send(struct rpc_call *call, struct str bytes);
void rpc_stream_on_writable(struct rpc_call *call, void (*fn)(void *context), void *context);
void rpc_stream_end(struct rpc_call *call);
/* Client streaming: asks for the next message; back-pressure is not asking. */
void rpc_stream_next(struct rpc_call *call);

/* Messages in the arena. */
ProtobufCMessage *rpc_unpack(const ProtobufCMessageDescriptor *descriptor, struct str wire,
                             struct arena *arena);
/* Serialized into the arena; data NULL when exhausted. */
struct str rpc_pack(const ProtobufCMessage *message, struct arena *arena);
/* Fills default_json of every absent field of message and the messages in it, from the schema. A
 * field without presence (not `optional`) counts as absent when it is zero or empty; members of a
 * real oneof are left alone. False: arena exhausted, or a default that is no value of its field
 * (logged). */
bool rpc_apply_defaults(const struct schema *schema, ProtobufCMessage *message,
                        struct arena *arena);
/* The schema that the server was started with. */
const struct schema *rpc_call_schema(const struct rpc_call *call);
/* A message as the text of a jsonb column, and back. NULL with err set on failure. */
char *rpc_message_to_json(struct rpc_call *call, const ProtobufCMessage *message, struct err *err);
ProtobufCMessage *rpc_message_from_json(struct rpc_call *call,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        struct str json, struct err *err);

#endif
