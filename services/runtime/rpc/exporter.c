/* One call at a time over one channel, with a completion queue and a thread of its own: the
 * server's callback queue has nobody who polls for a client's connections. */
#include "rpc/exporter.h"

#include "base/log.h"
#include "rpc/handover.h"

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define RECONNECT_MS 3000

struct rpc_exporter {
    struct loop *loop;
    char *address;
    bool is_up, closing;
    grpc_channel *channel;
    grpc_completion_queue *queue;
    pthread_t thread;
    struct loop_letter sent, ended;

    grpc_call *call; /* under way, or NULL */
    struct tracer *tracer;
    trace_sent *on_sent;
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *reply;
    grpc_status_code status;
    grpc_slice details;

    void (*done)(void *context);
    void *context;
};

static void *run_queue(void *argument)
{
    struct rpc_exporter *exporter = argument;

    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(exporter->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            break;
        handover_acquire(exporter); /* the only tag there is */
        loop_post(exporter->loop, &exporter->sent);
    }
    loop_post(exporter->loop, &exporter->ended);
    return NULL;
}

static bool start(struct rpc_exporter *exporter)
{
    sigset_t all, before;

    if (exporter->is_up)
        return true;
    grpc_init();
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    /* Core's own patience doubles up to two minutes; a collector that is back should not wait. */
    grpc_arg backoff = {.type = GRPC_ARG_INTEGER,
                        .key = (char *)(uintptr_t)GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                        .value.integer = RECONNECT_MS};
    grpc_channel_args args = {1, &backoff};
    exporter->channel = grpc_channel_create(exporter->address, credentials, &args);
    grpc_channel_credentials_release(credentials);
    exporter->queue = grpc_completion_queue_create_for_next(NULL);
    /* Signals belong to the loop's thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    exporter->is_up = pthread_create(&exporter->thread, NULL, run_queue, exporter) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (exporter->is_up)
        return true;
    grpc_channel_destroy(exporter->channel);
    grpc_completion_queue_shutdown(exporter->queue);
    grpc_completion_queue_destroy(exporter->queue);
    grpc_shutdown();
    return false;
}

/* ---- One call ---- */

static void on_sent(struct loop_letter *letter)
{
    struct rpc_exporter *exporter =
        (struct rpc_exporter *)(void *)((char *)letter - offsetof(struct rpc_exporter, sent));
    enum err_code code = exporter->status <= GRPC_STATUS_UNAUTHENTICATED
                             ? (enum err_code)exporter->status
                             : ERR_UNKNOWN;

    grpc_metadata_array_destroy(&exporter->initial);
    grpc_metadata_array_destroy(&exporter->trailing);
    if (exporter->reply)
        grpc_byte_buffer_destroy(exporter->reply);
    grpc_slice_unref(exporter->details);
    grpc_call_unref(exporter->call);
    exporter->call = NULL;
    exporter->on_sent(exporter->tracer, code);
}

/* What could not even begin is told like everything else: later. */
static void fail_later(void *context)
{
    struct rpc_exporter *exporter = context;

    exporter->on_sent(exporter->tracer, ERR_INTERNAL);
}

static grpc_call_error start_batch(struct rpc_exporter *exporter, grpc_byte_buffer *message)
{
    grpc_op ops[6];

    memset(ops, 0, sizeof(ops));
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = message;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &exporter->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &exporter->reply;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &exporter->trailing;
    ops[5].data.recv_status_on_client.status = &exporter->status;
    ops[5].data.recv_status_on_client.status_details = &exporter->details;
    handover_release(exporter);
    return grpc_call_start_batch(exporter->call, ops, sizeof(ops) / sizeof(ops[0]), exporter, NULL);
}

static void send_batch(void *context, struct str message, struct tracer *tracer, trace_sent *done)
{
    struct rpc_exporter *exporter = context;

    exporter->tracer = tracer;
    exporter->on_sent = done;
    if (exporter->closing || !start(exporter)) {
        loop_defer(exporter->loop, fail_later, exporter);
        return;
    }
    gpr_timespec deadline = gpr_time_add(
        gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(TRACE_EXPORT_TIMEOUT_US, GPR_TIMESPAN));
    exporter->call = grpc_channel_create_call(
        exporter->channel, NULL, GRPC_PROPAGATE_DEFAULTS, exporter->queue,
        grpc_slice_from_static_string(TRACE_EXPORT_PATH), NULL, deadline, NULL);
    grpc_metadata_array_init(&exporter->initial);
    grpc_metadata_array_init(&exporter->trailing);
    exporter->reply = NULL;
    exporter->status = GRPC_STATUS_UNKNOWN;
    exporter->details = grpc_empty_slice();
    grpc_slice slice = grpc_slice_from_copied_buffer(message.data, message.length);
    grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    grpc_call_error error = start_batch(exporter, bytes);
    grpc_byte_buffer_destroy(bytes);
    if (error == GRPC_CALL_OK)
        return;
    log_event(LOG_LEVEL_ERROR, "trace_export_refused",
              log_text("error", grpc_call_error_to_string(error)));
    grpc_call_unref(exporter->call);
    exporter->call = NULL;
    loop_defer(exporter->loop, fail_later, exporter);
}

/* ---- Life ---- */

static void finish(void *context)
{
    struct rpc_exporter *exporter = context;
    void (*done)(void *context) = exporter->done;
    void *done_context = exporter->context;

    free(exporter->address);
    free(exporter);
    done(done_context);
}

static void on_ended(struct loop_letter *letter)
{
    struct rpc_exporter *exporter =
        (struct rpc_exporter *)(void *)((char *)letter - offsetof(struct rpc_exporter, ended));

    pthread_join(exporter->thread, NULL);
    grpc_completion_queue_destroy(exporter->queue);
    grpc_shutdown_blocking();
    finish(exporter);
}

static void ignore(struct tracer *tracer, enum err_code code)
{
    (void)tracer;
    (void)code;
}

struct rpc_exporter *rpc_exporter_new(struct loop *loop, const char *address)
{
    struct rpc_exporter *exporter = calloc(1, sizeof(*exporter));

    if (!exporter || !(exporter->address = strdup(address))) {
        free(exporter);
        return NULL;
    }
    exporter->loop = loop;
    exporter->sent.deliver = on_sent;
    exporter->ended.deliver = on_ended;
    return exporter;
}

struct trace_transport rpc_exporter_transport(struct rpc_exporter *exporter)
{
    return (struct trace_transport){send_batch, exporter};
}

void rpc_exporter_close(struct rpc_exporter *exporter, struct loop *loop,
                        void (*done)(void *context), void *context)
{
    if (!exporter) {
        loop_defer(loop, done, context);
        return;
    }
    exporter->closing = true;
    exporter->on_sent = ignore; /* the tracer may go meanwhile */
    exporter->done = done;
    exporter->context = context;
    if (!exporter->is_up) {
        loop_defer(loop, finish, exporter);
        return;
    }
    if (exporter->call)
        grpc_call_cancel(exporter->call, NULL);
    grpc_channel_destroy(exporter->channel);
    /* The queue ends once the call has: its letter comes first. */
    grpc_completion_queue_shutdown(exporter->queue);
}
