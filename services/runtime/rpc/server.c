/* Start and stop.
 *
 * Stop, in this order: NOT_SERVING → own streams end with UNAVAILABLE → those who watch the health,
 * gateways above all, move their calls elsewhere and go, while calls are answered as ever → no new
 * calls → calls under way get the grace → the rest is cancelled → core says that it is down →
 * server, queue and library are taken down → done. Each step waits for the one before, and none
 * waits for ever. */
#include "rpc/internal.h"

#include "base/log.h"
#include "rpc/locks.h"

#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

/* After everything has been cancelled core is down within milliseconds; this is for what must not
 * happen. */
#define HARD_LIMIT_US (5 * TIME_US_PER_SECOND)

/* For GOAWAY, and the last answers, to arrive before a connection is closed under an idle client.
 */
#define GOODBYE_US (500 * INT64_C(1000))

static void set_defaults(struct rpc_options *options)
{
    if (!options->armed_requests)
        options->armed_requests = 64;
    if (!options->max_concurrent_streams)
        options->max_concurrent_streams = 8192;
    if (!options->max_calls)
        options->max_calls = 20000;
    if (!options->max_receive_bytes)
        options->max_receive_bytes = 4u << 20;
    if (!options->stream_message_bytes)
        options->stream_message_bytes = 4u << 20;
    if (!options->default_deadline_us)
        options->default_deadline_us = 60 * TIME_US_PER_SECOND;
    if (!options->grace_us)
        options->grace_us = 10 * TIME_US_PER_SECOND;
}

/* Core's messages are about its own inside and would be a second line beside ours. */
static void on_core_log(gpr_log_func_args *arguments)
{
    log_event(LOG_LEVEL_DEBUG, "grpc_core",
              log_text("severity", gpr_log_severity_string(arguments->severity)),
              log_text("message", arguments->message));
}

static grpc_arg integer_arg(const char *key, int value)
{
    grpc_arg arg;
    memset(&arg, 0, sizeof(arg));
    arg.type = GRPC_ARG_INTEGER;
    arg.key = (char *)(uintptr_t)key;
    arg.value.integer = value;
    return arg;
}

static void create_core(struct rpc_server *server)
{
    const struct rpc_options *options = &server->options;
    unsigned most = options->max_receive_bytes > options->stream_message_bytes
                        ? options->max_receive_bytes
                        : options->stream_message_bytes;
    grpc_arg args[] = {
        /* With SO_REUSEPORT a second server on one port would start silently and take half of the
           calls. */
        integer_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        integer_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)options->max_concurrent_streams),
        /* Above ours, so that a message somewhat too large gets an answer with a reason; see
           request.c. */
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)(2 * most)),
        integer_arg(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10),
        integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 60000),
        integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000),
        integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        /* Gateways and clients PING idle connections to learn early that they are dead. */
        integer_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 900),
        integer_arg(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 10),
        integer_arg(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10000),
        integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
    };
    grpc_channel_args all = {sizeof(args) / sizeof(args[0]), args};
    rpc_queue_create(server);
    server->core = grpc_server_create(&all, NULL);
    grpc_server_register_completion_queue(server->core, server->queue, NULL);
}

static bool register_methods(struct rpc_server *server, struct err *err)
{
    for (size_t i = 0; i < server->method_count; i++) {
        struct rpc_method *method = &server->methods[i];
        if (!method->schema)
            continue;
        method->registered = grpc_server_register_method(
            server->core, method->schema->path, NULL,
            method->client_streaming ? GRPC_SRM_PAYLOAD_NONE
                                     : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER,
            0);
        if (!method->registered)
            return err_set(err, ERR_INTERNAL, NULL, "core refused to register %s",
                           method->schema->path);
    }
    return true;
}

/* Start failed before the queue's thread ran: the same steps as stop, waiting here. */
static void dismantle(struct rpc_server *server)
{
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    grpc_server_shutdown_and_notify(server->core, server->queue, &server->shutdown_tag);
    while (grpc_completion_queue_next(server->queue, never, NULL).tag != &server->shutdown_tag)
        ;
    grpc_server_destroy(server->core);
    rpc_queue_end(server);
    while (grpc_completion_queue_next(server->queue, never, NULL).type != GRPC_QUEUE_SHUTDOWN)
        ;
    rpc_queue_destroy(server);
    grpc_shutdown_blocking();
}

static void release(struct rpc_server *server)
{
    free(server->arms);
    arena_free(server->arena);
    free(server);
}

static void on_down(struct rpc_tag *tag, bool success);
static void on_queue_ended(struct loop_letter *letter);

static struct rpc_server *new_server(struct loop *loop, const struct schema *schema,
                                     const struct rpc_options *options, void *context)
{
    struct rpc_server *server = calloc(1, sizeof(*server));
    if (!server)
        return NULL;
    server->arena = arena_new((size_t)4 << 20);
    if (!server->arena) {
        free(server);
        return NULL;
    }
    server->loop = loop;
    server->schema = schema;
    server->options = *options;
    server->context = context;
    set_defaults(&server->options);
    /* Request ids need to be unique, not secret: one system call here instead of one a call. */
    struct entropy seed;
    entropy_init_system(&seed);
    entropy_init_seeded(&server->entropy, entropy_uint64(&seed));
    rpc_tag_init(&server->shutdown_tag, server, on_down);
    server->queue_ended.deliver = on_queue_ended;
    return server;
}

struct rpc_server *rpc_server_start(struct loop *loop, const struct schema *schema,
                                    const struct rpc_options *options, const char *const *services,
                                    const struct rpc_handler *handlers, size_t handler_count,
                                    void *context, struct err *err)
{
    struct rpc_server *server = new_server(loop, schema, options, context);
    if (!server) {
        err_set(err, ERR_INTERNAL, NULL, "not enough memory for a server");
        return NULL;
    }
    if (!rpc_table_make(server, services, handlers, handler_count, err))
        goto fail_table;
    gpr_set_log_function(on_core_log);
    rpc_locks_be_quick();
    grpc_init();
    create_core(server);
    if (!register_methods(server, err) || !rpc_listen(server, err))
        goto fail_core;
    grpc_server_start(server->core);
    if (!rpc_arm_all(server, err) || !rpc_queue_start(server, err))
        goto fail_core;
    return server;

fail_core:
    dismantle(server);
fail_table:
    release(server);
    return NULL;
}

int rpc_server_port(const struct rpc_server *server)
{
    return server->port;
}

void rpc_server_set_serving(struct rpc_server *server, bool serving)
{
    serving = serving && !server->stopping;
    if (server->serving == serving)
        return;
    server->serving = serving;
    rpc_health_changed(server);
}

size_t rpc_server_stats(const struct rpc_server *server, const struct rpc_method_stats **ret_stats)
{
    *ret_stats = server->stats;
    return server->method_count;
}

/* ---- Stop ---- */

static void tell_stopped(void *context)
{
    struct rpc_server *server = context;
    if (server->stopped)
        server->stopped(server->stopped_context);
}

/* The last call may have ended just now, under a handler's feet: done() comes when the handler has
 * returned. */
static void finish_stop(struct rpc_server *server)
{
    if (server->stop_is_over)
        return;
    server->stop_is_over = true;
    loop_timer_cancel(server->goodbye_timer);
    server->goodbye_timer = NULL;
    loop_timer_cancel(server->grace_timer);
    server->grace_timer = NULL;
    loop_defer(server->loop, tell_stopped, server);
}

static void on_queue_ended(struct loop_letter *letter)
{
    struct rpc_server *server = RPC_CONTAINER(letter, struct rpc_server, queue_ended);
    pthread_join(server->queue_thread, NULL);
    server->queue_thread_runs = false;
    rpc_queue_destroy(server);
    grpc_shutdown_blocking();
    rpc_server_progress(server);
}

/* Clients that are idle have had time to read the GOAWAY; some of them, python-grpcio's above all,
 * look only every five seconds. No call is under way: nothing of theirs is lost. */
static void on_goodbye_over(void *context)
{
    struct rpc_server *server = context;
    server->goodbye_timer = NULL;
    if (server->core && !server->core_is_down)
        grpc_server_cancel_all_calls(server->core);
}

void rpc_server_progress(struct rpc_server *server)
{
    if (server->shut_down && !server->core_is_down && !server->core_calls && !server->goodbye_timer)
        server->goodbye_timer = loop_timer_start(server->loop, GOODBYE_US, on_goodbye_over, server);
    if (server->core && server->core_is_down && !server->arms_out && !server->core_calls) {
        grpc_server_destroy(server->core);
        server->core = NULL;
        rpc_queue_end(server);
    } else if (!server->queue && !server->call_count) {
        /* Handlers of cancelled calls may still have waited for the database. */
        finish_stop(server);
    }
}

static void on_down(struct rpc_tag *tag, bool success)
{
    struct rpc_server *server = RPC_CONTAINER(tag, struct rpc_server, shutdown_tag);
    (void)success;
    server->core_is_down = true;
    loop_timer_cancel(server->goodbye_timer);
    server->goodbye_timer = NULL;
    rpc_server_progress(server);
}

static void on_hard_limit(void *context)
{
    struct rpc_server *server = context;
    server->grace_timer = NULL;
    log_event(LOG_LEVEL_ERROR, "rpc_stop_stuck", log_int("calls", (int64_t)server->call_count),
              log_int("calls_in_core", (int64_t)server->core_calls));
    finish_stop(server);
}

static void on_grace_over(void *context)
{
    struct rpc_server *server = context;
    log_event(LOG_LEVEL_WARN, "rpc_grace_over", log_int("calls", (int64_t)server->core_calls));
    server->grace_timer = loop_timer_start(server->loop, HARD_LIMIT_US, on_hard_limit, server);
    if (server->core)
        grpc_server_cancel_all_calls(server->core);
}

void rpc_set_shutting_down(struct err *err)
{
    err_set(err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "the server is shutting down");
    err->retry_after_seconds = 1;
}

/* They have been told already, and stay until they have drawn the consequence. */
bool rpc_is_health_watch(const struct rpc_call *call)
{
    return call->method->schema && strcmp(call->method->schema->path, RPC_HEALTH_WATCH) == 0;
}

/* Handlers may end any call from here, and a call that ends leaves the list: all are pinned while
 * they are told. */
static void tell_calls(struct rpc_server *server)
{
    struct err err = {0};
    rpc_set_shutting_down(&err);
    for (struct rpc_call *call = server->calls; call; call = call->next)
        rpc_call_pin(call);
    for (struct rpc_call *call = server->calls; call; call = call->next) {
        void (*on_stop)(void *context) = call->on_stop;
        call->on_stop = NULL;
        if (call->method->server_streaming && !call->answered && !rpc_is_health_watch(call))
            rpc_call_abort(call, &err);
        else if (on_stop && !call->ended && !call->cancelled)
            on_stop(call->on_stop_context);
    }
    for (struct rpc_call *call = server->calls, *next; call; call = next) {
        next = call->next;
        rpc_call_unpin(call);
    }
}

/* From here on core refuses what comes, without a word of ours. */
static void shut_down(struct rpc_server *server)
{
    struct err err = {0};
    rpc_set_shutting_down(&err);
    server->shut_down = true;
    loop_timer_cancel(server->leave_timer);
    server->leave_timer = NULL;
    while (server->health_watchers) {
        struct rpc_call *call = server->health_watchers;
        server->health_watchers = call->next_watcher;
        rpc_call_abort(call, &err);
    }
    rpc_tag_handing_over(&server->shutdown_tag);
    grpc_server_shutdown_and_notify(server->core, server->queue, &server->shutdown_tag);
    server->grace_timer =
        loop_timer_start(server->loop, server->options.grace_us, on_grace_over, server);
}

static void on_leave_over(void *context)
{
    struct rpc_server *server = context;
    server->leave_timer = NULL;
    shut_down(server);
}

void rpc_server_left(struct rpc_server *server)
{
    if (server->stopping && !server->shut_down)
        shut_down(server);
}

void rpc_server_stop(struct rpc_server *server, void (*done)(void *context), void *context)
{
    if (server->stopping)
        return;
    rpc_server_set_serving(server, false);
    server->stopping = true;
    server->stopped = done;
    server->stopped_context = context;
    tell_calls(server);
    if (server->shut_down)
        return;
    if (server->health_watchers && server->options.leave_us > 0)
        server->leave_timer =
            loop_timer_start(server->loop, server->options.leave_us, on_leave_over, server);
    if (!server->leave_timer)
        shut_down(server);
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server)
        return;
    if (server->core || server->queue) {
        /* Never stopped, or stuck: core still points here, so the memory stays. The process is
         * about to end anyway. */
        log_event(LOG_LEVEL_ERROR, "rpc_free_while_running",
                  log_int("calls", (int64_t)server->core_calls));
        return;
    }
    loop_timer_cancel(server->grace_timer);
    while (server->dead) {
        struct rpc_call *call = server->dead;
        server->dead = call->next;
        rpc_call_free(call);
    }
    while (server->calls) {
        struct rpc_call *call = server->calls;
        server->calls = call->next;
        rpc_call_free(call);
    }
    release(server);
}
