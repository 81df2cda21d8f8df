/* The life of a call.
 *
 *   accept ── metadata, deadline, RECV_CLOSE in a batch of its own ── request checked ── handler
 * ... reply ── tags back ── freed
 *
 * A call has two halves that end apart. Core's half ends when a status has been sent, or the client
 * has gone, and every tag is back. The handler's half ends with its one reply, which may come long
 * after the client has gone: a database callback still points into the arena. Memory goes when both
 * have ended, at the end of a turn of the loop, never under a caller's feet. */
#include "rpc/internal.h"

#include "base/log.h"

#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ARENA_LIMIT ((size_t)16 << 20)
#define METHOD_NAME_LIMIT 160

/* ---- Two halves ---- */

static void unlink_call(struct rpc_call *call)
{
    struct rpc_server *server = call->server;
    if (call->previous)
        call->previous->next = call->next;
    else
        server->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
    server->call_count--;
}

void rpc_call_free(struct rpc_call *call)
{
    rpc_stream_release(call);
    auth_hold_end(&call->hold);
    if (call->payload)
        grpc_byte_buffer_destroy(call->payload);
    for (size_t i = 0; i < call->trailing_count; i++)
        grpc_slice_unref(call->trailing[i].value);
    for (size_t i = 0; i < call->initial_count; i++)
        grpc_slice_unref(call->initial[i].value);
    loop_timer_cancel(call->deadline_timer);
    arena_free(call->arena);
    free(call);
}

static void sweep(void *context)
{
    struct rpc_server *server = context;
    server->sweep_planned = false;
    struct rpc_call *call = server->dead;
    server->dead = NULL;
    while (call) {
        struct rpc_call *next = call->next;
        rpc_call_free(call);
        call = next;
    }
}

static void bury(struct rpc_call *call)
{
    struct rpc_server *server = call->server;
    unlink_call(call);
    call->is_buried = true;
    call->next = server->dead;
    server->dead = call;
    if (!server->sweep_planned) {
        server->sweep_planned = true;
        loop_defer(server->loop, sweep, server);
    }
}

void rpc_call_settle(struct rpc_call *call)
{
    struct rpc_server *server = call->server;
    if (call->pins > 0 || call->is_buried)
        return;
    if (call->core && (call->answered || call->cancelled)) {
        grpc_call_unref(call->core);
        call->core = NULL;
        server->core_calls--;
    }
    if (!call->core && call->ended)
        bury(call);
    if (server->stopping)
        rpc_server_progress(server);
}

void rpc_call_pin(struct rpc_call *call)
{
    call->pins++;
}

void rpc_call_unpin(struct rpc_call *call)
{
    call->pins--;
    rpc_call_settle(call);
}

bool rpc_call_start(struct rpc_call *call, const grpc_op *ops, size_t count, struct rpc_tag *tag)
{
    rpc_tag_handing_over(tag);
    grpc_call_error error = grpc_call_start_batch(call->core, ops, count, tag, NULL);
    if (error == GRPC_CALL_OK) {
        call->pins++;
        return true;
    }
    /* Only a mistake of ours gets here; the tag will not come back, so the client must be told
     * another way. */
    log_event(LOG_LEVEL_ERROR, "rpc_batch_refused", log_text("method", call->method->stats->path),
              log_text("error", grpc_call_error_to_string(error)),
              log_text("request_id", call->request_id));
    grpc_call_cancel_with_status(call->core, GRPC_STATUS_INTERNAL, "internal error", NULL);
    return false;
}

/* ---- Cancellation and deadlines ---- */

static bool is_dead(const void *owner)
{
    const struct rpc_call *call = owner;
    return call->cancelled;
}

void rpc_call_notify_cancelled(struct rpc_call *call)
{
    rpc_stream_input_gone(call);
    void (*fn)(void *context) = call->on_cancel;
    call->on_cancel = NULL;
    if (fn && !call->ended)
        fn(call->on_cancel_context);
}

void rpc_call_abort(struct rpc_call *call, const struct err *err)
{
    rpc_answer(call, err, NULL);
    call->cancelled = true;
    rpc_call_pin(call); /* the handler may end it from inside its callback */
    rpc_call_notify_cancelled(call);
    rpc_call_unpin(call);
}

/* RECV_CLOSE_ON_SERVER: the client has the status, or it has gone, or core has enforced the
 * deadline. */
static void on_close(struct rpc_tag *tag, bool success)
{
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, close_tag);
    (void)success; /* this operation always succeeds */
    if (call->close_cancelled && !call->answered && !call->cancelled) {
        call->cancelled = true;
        int64_t now = loop_clock(call->server->loop)->monotonic_us(loop_clock(call->server->loop));
        bool late = call->owner.deadline_us && now >= call->owner.deadline_us;
        rpc_account(call, late ? ERR_DEADLINE_EXCEEDED : ERR_CANCELLED, NULL);
        rpc_call_notify_cancelled(call);
    }
    rpc_call_unpin(call);
}

static void start_close(struct rpc_call *call)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &call->close_cancelled;
    rpc_call_start(call, &op, 1, &call->close_tag);
}

static void on_default_deadline(void *context)
{
    struct rpc_call *call = context;
    call->deadline_timer = NULL;
    struct err err = {0};
    err_set(&err, ERR_DEADLINE_EXCEEDED, "DEFAULT_DEADLINE",
            "the answer took longer than the server's own deadline");
    rpc_call_abort(call, &err);
}

/* Core enforces the client's deadline; a unary call without one gets ours. */
static void set_deadline(struct rpc_call *call, gpr_timespec deadline)
{
    const struct clock *clock = loop_clock(call->server->loop);
    int64_t now = clock->monotonic_us(clock);
    call->started_us = now;
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) != 0) {
        gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
        int64_t left_us = left.tv_sec * TIME_US_PER_SECOND + left.tv_nsec / 1000;
        call->owner.deadline_us = now + (left_us > 0 ? left_us : 0);
        return;
    }
    const struct rpc_method *method = call->method;
    if (!method->schema || method->client_streaming || method->server_streaming)
        return;
    int64_t limit = call->server->options.default_deadline_us;
    if ((int64_t)method->schema->timeout_ms * 1000 > limit)
        limit = (int64_t)method->schema->timeout_ms * 1000;
    call->owner.deadline_us = now + limit;
    call->deadline_timer = loop_timer_start(call->server->loop, limit, on_default_deadline, call);
}

/* ---- Acceptance ---- */

static struct rpc_call *new_call(struct rpc_server *server, struct rpc_method *method,
                                 grpc_call *core)
{
    struct rpc_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    size_t limit = method->handler && method->handler->arena_limit ? method->handler->arena_limit
                                                                   : DEFAULT_ARENA_LIMIT;
    call->arena = arena_new(limit);
    if (!call->arena) {
        free(call);
        return NULL;
    }
    call->server = server;
    call->method = method;
    call->core = core;
    call->owner = (struct pg_owner){.is_dead = is_dead, .owner = call};
    call->next = server->calls;
    if (call->next)
        call->next->previous = call;
    server->calls = call;
    server->call_count++;
    server->core_calls++;
    method->stats->started++;
    method->stats->in_flight++;
    rpc_tag_init(&call->close_tag, server, on_close);
    return call;
}

/* Unary and server-streaming: the one message is here. */
static void run_handler(struct rpc_call *call, grpc_byte_buffer *payload)
{
    struct err err = {0};
    const ProtobufCMessage *request =
        rpc_request_read(call, payload, call->arena, call->server->options.max_receive_bytes, &err);
    if (!request) {
        rpc_fail(call, &err);
        return;
    }
    if (call->check_only) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "CHECK_ONLY",
                      "nothing is wrong with the request, which was only to be checked");
        return;
    }
    call->method->handler->handle(call, request);
    if (call->method->server_streaming && !call->initial_sent && !call->ended)
        rpc_stream_send_initial(call);
}

static void refuse_unknown(struct rpc_call *call, const grpc_call_details *details)
{
    size_t length = GRPC_SLICE_LENGTH(details->method);
    if (length > METHOD_NAME_LIMIT)
        length = METHOD_NAME_LIMIT;
    const char *name = (const char *)GRPC_SLICE_START_PTR(details->method);
    rpc_fail_code(call, ERR_UNIMPLEMENTED, "UNKNOWN_METHOD", "unknown method %.*s", (int)length,
                  utf8_is_valid(name, length) ? name : "");
}

static void go_on(struct rpc_call *call, grpc_byte_buffer *payload)
{
    if (call->method->client_streaming)
        rpc_stream_listen(call);
    else
        run_handler(call, payload);
}

static void ask_who(struct rpc_call *call, struct rpc_incoming *incoming)
{
    struct err denied = {0};
    call->is_waiting = true;
    switch (rpc_access_check(call, &denied)) {
    case AUTH_WAITS:
        rpc_call_pin(call);
        call->payload = incoming->payload;
        incoming->payload = NULL;
        call->authorization = (struct str){NULL, 0};
        return;
    case AUTH_GOOD:
        call->is_waiting = false;
        go_on(call, incoming->payload);
        return;
    case AUTH_REFUSED:
        break;
    }
    call->is_waiting = false;
    rpc_fail(call, &denied);
}

/* The handler has seen nothing of a call that was cancelled or ended while it waited: its last word
 * is said here, and goes nowhere. */
void rpc_call_admit(struct rpc_call *call, const struct err *denied)
{
    call->is_waiting = false;
    if (call->cancelled || call->answered)
        rpc_fail_code(call, ERR_CANCELLED, NULL, "the call has ended before it began");
    else if (denied)
        rpc_fail(call, denied);
    else
        go_on(call, call->payload);
    if (call->payload)
        grpc_byte_buffer_destroy(call->payload);
    call->payload = NULL;
    rpc_call_unpin(call);
}

static void begin(struct rpc_call *call, struct rpc_incoming *incoming)
{
    struct rpc_server *server = call->server;
    rpc_metadata_read(call, &incoming->metadata);
    set_deadline(call, incoming->deadline);
    rpc_stream_begin(call);
    start_close(call);
    if (!call->method->schema) {
        refuse_unknown(call, &incoming->details);
    } else if (server->stopping && call->method->server_streaming &&
               (server->shut_down || !rpc_is_health_watch(call))) {
        /* Was on its way when the others were ended. */
        struct err err = {0};
        rpc_set_shutting_down(&err);
        rpc_fail(call, &err);
    } else if (server->call_count > server->options.max_calls) {
        struct err err = {0};
        err_set(&err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", "too many calls are under way");
        err.retry_after_seconds = 1;
        rpc_fail(call, &err);
    } else {
        ask_who(call, incoming);
    }
}

void rpc_call_accept(struct rpc_server *server, struct rpc_method *method,
                     struct rpc_incoming *incoming)
{
    struct rpc_call *call = new_call(server, method, incoming->core);
    if (call) {
        rpc_call_pin(call); /* it may end before begin() returns */
        begin(call, incoming);
        rpc_call_unpin(call);
    } else {
        log_event(LOG_LEVEL_ERROR, "rpc_no_memory", log_text("method", method->stats->path));
        grpc_call_cancel_with_status(incoming->core, GRPC_STATUS_RESOURCE_EXHAUSTED,
                                     "the server is out of memory", NULL);
        grpc_call_unref(incoming->core);
    }
    grpc_metadata_array_destroy(&incoming->metadata);
    if (!method->schema)
        grpc_call_details_destroy(&incoming->details);
    if (incoming->payload)
        grpc_byte_buffer_destroy(incoming->payload);
}

/* ---- What a handler may ask ---- */

const struct principal *rpc_call_principal(const struct rpc_call *call)
{
    return &call->principal;
}

struct arena *rpc_call_arena(struct rpc_call *call)
{
    return call->arena;
}

void *rpc_call_context(struct rpc_call *call)
{
    return call->server->context;
}

const char *rpc_call_request_id(const struct rpc_call *call)
{
    return call->request_id;
}

const struct pg_owner *rpc_call_owner(const struct rpc_call *call)
{
    return &call->owner;
}

bool rpc_call_is_cancelled(const struct rpc_call *call)
{
    return call->cancelled;
}

/* Whoever registers after the fact is told all the same: a stream that begins after a query, whose
 * client has left during the query, would otherwise never end. */
static void notify_late(void *context)
{
    struct rpc_call *call = context;
    void (*on_stop)(void *context) = call->on_stop;
    if (call->cancelled) {
        rpc_call_notify_cancelled(call);
    } else if (on_stop && call->server->stopping && !call->ended) {
        call->on_stop = NULL;
        on_stop(call->on_stop_context);
    }
    rpc_call_unpin(call);
}

static void plan_late_notice(struct rpc_call *call)
{
    if (call->ended || !(call->cancelled || call->server->stopping))
        return;
    rpc_call_pin(call);
    loop_defer(call->server->loop, notify_late, call);
}

void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(void *context), void *context)
{
    call->on_cancel = fn;
    call->on_cancel_context = context;
    plan_late_notice(call);
}

void rpc_call_on_stop(struct rpc_call *call, void (*fn)(void *context), void *context)
{
    call->on_stop = fn;
    call->on_stop_context = context;
    plan_late_notice(call);
}

void rpc_call_set_state(struct rpc_call *call, void *state)
{
    call->state = state;
}

void *rpc_call_state(const struct rpc_call *call)
{
    return call->state;
}

const struct schema *rpc_call_schema(const struct rpc_call *call)
{
    return call->server->schema;
}
