/* rpc/internal: what the files of this layer share. Everything here runs on the loop's thread,
 * except the completion queue's own thread in queue.c, which touches tags only. */
#ifndef DIALPLANE_RPC_INTERNAL_H
#define DIALPLANE_RPC_INTERNAL_H

#include "rpc/rpc.h"

#include "base/buf.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>

/* What core gives back when an operation has ended. Embedded in whoever started it; whichever
 * thread core gives it to writes `success` and sees that `done` runs on the loop's; see queue.c. */
struct rpc_tag {
    grpc_completion_queue_functor functor; /* first: that is what core sees in a call's tags */
    struct loop_letter letter;
    struct rpc_server *server;
    void (*done)(struct rpc_tag *tag, bool success);
    bool success;
};
void rpc_tag_init(struct rpc_tag *tag, struct rpc_server *server,
                  void (*done)(struct rpc_tag *tag, bool success));
/* Right before a tag is given to core: after that another thread may already have it. */
void rpc_tag_handing_over(struct rpc_tag *tag);

#define RPC_CONTAINER(pointer, type, member)                                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* One method as it is served. `schema` and `handler` are NULL in the one that stands for every
 * unknown method. */
struct rpc_method {
    const struct schema_method *schema;
    const struct rpc_handler *handler;
    bool client_streaming, server_streaming;
    bool built_in; /* health, reflection: logged at debug, not info */
    bool watching; /* the stream never ends by itself */
    void *registered;
    struct rpc_method_stats *stats;
};

/* What core says about a new call. */
struct rpc_incoming {
    grpc_call *core;
    grpc_call_details details; /* of unknown methods only */
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload; /* NULL: none, or the method reads its messages itself */
};

/* A request for "the next call of this method", armed in core. */
struct rpc_arm {
    struct rpc_tag tag;
    struct rpc_server *server;
    struct rpc_method *method;
    struct rpc_incoming incoming;
};

struct rpc_server {
    struct loop *loop;
    const struct schema *schema;
    struct rpc_options options; /* with the defaults filled in */
    void *context;
    struct entropy entropy;

    struct rpc_method *methods; /* the last one stands for unknown methods */
    struct rpc_method_stats *stats;
    size_t method_count;
    const char **service_names; /* those that health and reflection know */
    size_t service_count;
    struct arena *arena; /* of the tables */

    grpc_server *core;
    grpc_completion_queue *queue;      /* of new calls and the shutdown; polled by its thread */
    grpc_completion_queue *call_queue; /* of everything that calls have started */
    grpc_completion_queue_functor call_queue_ended;
    pthread_t loop_thread, queue_thread;
    bool queue_thread_runs;
    struct loop_letter queue_ended;
    int port;
    struct rpc_arm *arms;
    size_t arm_count;
    size_t arms_out; /* armed in core */

    struct rpc_call *calls; /* all that are not freed */
    size_t call_count;
    size_t core_calls;     /* calls that core still knows */
    struct rpc_call *dead; /* to be freed at the end of this turn */
    bool sweep_planned;

    bool serving;
    struct rpc_call *health_watchers;

    bool stopping;  /* told to: new streams are refused, calls are still taken */
    bool shut_down; /* core has been told */
    bool core_is_down, stop_is_over;
    struct loop_timer *leave_timer, *goodbye_timer;
    struct rpc_tag shutdown_tag;
    struct loop_timer *grace_timer;
    void (*stopped)(void *context);
    void *stopped_context;
};

/* One part of a stream that has arrived and waits for the handler to ask. */
enum rpc_arrival { RPC_NOTHING, RPC_MESSAGE, RPC_HALF_CLOSE };

struct rpc_call {
    struct rpc_server *server;
    struct rpc_method *method;
    struct arena *arena;
    grpc_call *core; /* NULL once nothing can be sent any more */
    struct rpc_call *next, *previous;

    unsigned pins;  /* tags in core and deferred functions that point here */
    bool accounted; /* logged and counted */
    bool answered;  /* a status has gone to core, from the handler or from us */
    bool ended;     /* the handler has said its last word */
    bool cancelled; /* client gone, deadline passed, server stopping */
    bool initial_sent;
    bool is_buried; /* on server->dead */

    struct pg_owner owner;
    int64_t started_us;
    const char *request_id;
    struct str authorization;   /* of the metadata: only while the call begins */
    const char *client_address; /* as the gateway says it; NULL: it did not */
    bool has_two_authorizations;
    struct auth_check check;
    struct principal principal; /* `everybody` until it is known */
    struct auth_hold hold;      /* of a stream: what was shown is still good */
    bool is_waiting;            /* for who is asking to be known: the handler has not begun */
    grpc_byte_buffer *payload;  /* meanwhile: the request */
    struct trace_span span;
    char trace_id[TRACE_ID_TEXT_SIZE];
    uint64_t received_bytes, sent_bytes; /* of messages */
    bool authentication_required;        /* by the gateway: see rpc_access_allow() */
    bool check_only; /* see rpc.h: answered after the checks, the handler does not run */
    bool has_if_match;
    int64_t if_match_us;
    struct loop_timer *deadline_timer;

    void (*on_cancel)(void *context);
    void *on_cancel_context;
    void (*on_writable)(void *context);
    void *on_writable_context;
    void (*on_stop)(void *context);
    void *on_stop_context;
    void *state;

    struct rpc_tag close_tag, initial_tag, send_tag, receive_tag, end_tag;
    int close_cancelled;
    bool sending;
    grpc_metadata initial[2];
    size_t initial_count;
    grpc_metadata trailing[3];
    size_t trailing_count;

    /* Client streaming. */
    grpc_byte_buffer *received; /* what core writes to */
    enum rpc_arrival arrival;   /* read ahead, not yet given to the handler */
    grpc_byte_buffer *arrived;
    bool asked; /* the handler wants the next one */
    bool delivery_planned;
    bool half_closed, input_is_over; /* END seen; on_end or on_gone has been given */
    struct arena *message_arena;     /* of the message that the handler has now */

    struct rpc_call *next_watcher; /* health */
};

/* queue.c */
void rpc_queue_create(struct rpc_server *server);
bool rpc_queue_start(struct rpc_server *server, struct err *err);
void rpc_queue_end(struct rpc_server *server); /* then rpc_server's queue_ended is delivered */
void rpc_queue_destroy(struct rpc_server *server);

/* arm.c */
bool rpc_arm_all(struct rpc_server *server, struct err *err);

/* table.c: checks handlers against the schema and makes server->methods. */
bool rpc_table_make(struct rpc_server *server, const char *const *services,
                    const struct rpc_handler *handlers, size_t handler_count, struct err *err);

/* listen.c */
bool rpc_listen(struct rpc_server *server, struct err *err);

/* call.c: the life of a call. */
/* Takes over what is in `incoming`. */
void rpc_call_accept(struct rpc_server *server, struct rpc_method *method,
                     struct rpc_incoming *incoming);
/* After a pin went, or after the handler ended: drops core's half and plans the freeing when it is
 * time. */
void rpc_call_settle(struct rpc_call *call);
void rpc_call_free(struct rpc_call *call);
void rpc_call_pin(struct rpc_call *call);
void rpc_call_unpin(struct rpc_call *call);
/* Starts a batch whose end comes to `tag`. False (logged) when core refused it: then the call has
 * been cancelled. */
bool rpc_call_start(struct rpc_call *call, const grpc_op *ops, size_t count, struct rpc_tag *tag);
/* Answers instead of the handler, whose own answer will be dropped, and tells it through on_cancel
 * or on_gone. */
void rpc_call_abort(struct rpc_call *call, const struct err *err);
void rpc_call_notify_cancelled(struct rpc_call *call);

/* server.c: at stop, when core has let go of something, the next step may be due. */
void rpc_server_progress(struct rpc_server *server);
void rpc_set_shutting_down(struct err *err);
/* The last of those who watched the health has left. */
void rpc_server_left(struct rpc_server *server);
bool rpc_is_health_watch(const struct rpc_call *call);

/* reply.c */
/* Sends status (and response, may be NULL) unless the call is past that. */
void rpc_answer(struct rpc_call *call, const struct err *err, grpc_byte_buffer *response);
void rpc_account(struct rpc_call *call, enum err_code code, const char *message);
void rpc_op_initial(struct rpc_call *call, grpc_op *op);

/* details.c: google.rpc.Status for grpc-status-details-bin, never more than RPC_DETAILS_LIMIT
 * bytes. */
#define RPC_DETAILS_LIMIT 4800
void rpc_put_details(const struct err *err, struct buf *out);

/* request.c: bytes → checked message. NULL with err set when it must be answered. */
const ProtobufCMessage *rpc_request_read(struct rpc_call *call, grpc_byte_buffer *bytes,
                                         struct arena *arena, size_t limit, struct err *err);

/* After AUTH_WAITS, once: the handler begins, or the call is answered with `denied`. */
void rpc_call_admit(struct rpc_call *call, const struct err *denied);

/* access.c: who is asking, and whether the method is for them. Fills the principal,
 * and the identity of call->owner, as which its statements run. Refused: err
 * says UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE. Waits: rpc_call_admit() follows, whatever
 * becomes of the call meanwhile. */
enum auth_verdict rpc_access_check(struct rpc_call *call, struct err *err);
/* call->principal is somebody who has shown a good token; false with --auth off. */
bool rpc_access_is_verified(const struct rpc_call *call);

/* personal.c: whether this answer must be masked, and it masked: on true the caller frees the buf.
 */
bool rpc_personal_needs_mask(const struct rpc_call *call);
bool rpc_personal_mask(const struct rpc_call *call, struct str wire, struct buf *ret_masked,
                       struct err *err);

/* secure.c */
/* NULL: no memory. They must not outlive `secure`. */
grpc_server_credentials *rpc_secure_credentials(struct rpc_secure *secure);
/* Is the caller one of the names that are allowed? */
bool rpc_secure_allows(struct rpc_secure *secure, grpc_call *call);

/* metadata.c */
void rpc_metadata_read(struct rpc_call *call, const grpc_metadata_array *metadata);

/* stream.c */
void rpc_stream_begin(struct rpc_call *call);  /* makes its tags ready */
void rpc_stream_listen(struct rpc_call *call); /* asks for the first message */
void rpc_stream_release(struct rpc_call *call);
void rpc_stream_input_gone(struct rpc_call *call);
void rpc_stream_send_initial(struct rpc_call *call);

/* health.c, reflection.c: handlers like any others. */
#define RPC_HEALTH_WATCH "/grpc.health.v1.Health/Watch"
extern const struct rpc_handler rpc_health_handlers[];
extern const size_t rpc_health_handler_count;
void rpc_health_changed(struct rpc_server *server);
extern const struct rpc_handler rpc_reflection_handlers[];
extern const size_t rpc_reflection_handler_count;

#endif
