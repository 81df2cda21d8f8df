/* How what core says gets to the loop's thread.
 *
 * New calls come out of a queue that a thread of its own polls: it takes all that is there and
 * hands it over in one piece, so that the loop is woken once. What calls have started themselves
 * ends in callbacks, which core mostly runs at the end of the very grpc_call_start_batch(): then
 * the loop's thread is there already, and nothing needs to be woken at all. Waking was a fifth of a
 * small call.
 */
#include "rpc/internal.h"

#include "base/log.h"
#include "rpc/handover.h"

#include <grpc/support/time.h>
#include <signal.h>
#include <string.h>

/* Most new calls that are handed over at once, so that the first does not wait for too many others.
 */
#define HANDOVER_LIMIT 64

void rpc_tag_handing_over(struct rpc_tag *tag)
{
    handover_release(tag);
}

static void run_tag(void *context)
{
    struct rpc_tag *tag = context;
    tag->done(tag, tag->success);
}

static void deliver_tag(struct loop_letter *letter)
{
    run_tag(RPC_CONTAINER(letter, struct rpc_tag, letter));
}

/* An operation of a call has ended. On the loop's thread we are inside a function of core's, called
 * by somebody who does not expect his call to change under him: `done` comes at the end of the
 * turn.
 */
static void on_operation(grpc_completion_queue_functor *functor, int success)
{
    struct rpc_tag *tag = RPC_CONTAINER(functor, struct rpc_tag, functor);
    handover_acquire(tag);
    tag->success = success != 0;
    if (pthread_equal(pthread_self(), tag->server->loop_thread))
        loop_defer(tag->server->loop, run_tag, tag);
    else
        loop_post(tag->server->loop, &tag->letter);
}

void rpc_tag_init(struct rpc_tag *tag, struct rpc_server *server,
                  void (*done)(struct rpc_tag *tag, bool success))
{
    memset(tag, 0, sizeof(*tag));
    tag->functor.functor_run = on_operation;
    /* "Trivial" enough to run wherever core finds out: it only passes on. */
    tag->functor.inlineable = 1;
    tag->letter.deliver = deliver_tag;
    tag->server = server;
    tag->done = done;
}

static void *run_queue(void *argument)
{
    struct rpc_server *server = argument;
    struct loop_letter *newest = NULL, *oldest = NULL;
    unsigned count = 0;
    for (;;) {
        gpr_timespec until =
            newest ? gpr_inf_past(GPR_CLOCK_MONOTONIC) : gpr_inf_future(GPR_CLOCK_MONOTONIC);
        grpc_event event = grpc_completion_queue_next(server->queue, until, NULL);
        if (event.type == GRPC_OP_COMPLETE) {
            struct rpc_tag *tag = event.tag;
            handover_acquire(tag);
            tag->success = event.success != 0;
            tag->letter.next = newest;
            newest = &tag->letter;
            if (!oldest)
                oldest = newest;
            if (++count < HANDOVER_LIMIT)
                continue;
        }
        if (newest)
            loop_post_all(server->loop, newest, oldest);
        newest = oldest = NULL;
        count = 0;
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            break;
    }
    loop_post(server->loop, &server->queue_ended);
    return NULL;
}

/* Runs on a thread of core's. The queue of calls is empty for good; now the other. */
static void on_call_queue_ended(grpc_completion_queue_functor *functor, int success)
{
    struct rpc_server *server = RPC_CONTAINER(functor, struct rpc_server, call_queue_ended);
    (void)success;
    handover_acquire(server);
    grpc_completion_queue *queue = server->queue;
    handover_release(server);
    grpc_completion_queue_shutdown(queue);
}

void rpc_queue_create(struct rpc_server *server)
{
    server->loop_thread = pthread_self();
    server->queue = grpc_completion_queue_create_for_next(NULL);
    server->call_queue_ended.functor_run = on_call_queue_ended;
    server->call_queue = grpc_completion_queue_create_for_callback(&server->call_queue_ended, NULL);
}

bool rpc_queue_start(struct rpc_server *server, struct err *err)
{
    /* Signals belong to the loop's thread: libevent's handler must not interrupt core. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&server->queue_thread, NULL, run_queue, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return err_set(err, ERR_INTERNAL, NULL, "cannot start the completion queue's thread: %s",
                       strerror(failure));
    server->queue_thread_runs = true;
    return true;
}

void rpc_queue_end(struct rpc_server *server)
{
    handover_release(server);
    grpc_completion_queue_shutdown(server->call_queue);
}

void rpc_queue_destroy(struct rpc_server *server)
{
    handover_acquire(server); /* on_call_queue_ended() */
    grpc_completion_queue_destroy(server->call_queue);
    grpc_completion_queue_destroy(server->queue);
    server->call_queue = server->queue = NULL;
}
