/* The completion queue and its thread, which does one thing: it moves tags into the loop's mailbox.
 */
#include "rpc/internal.h"

#include "base/log.h"

#include <grpc/support/time.h>
#include <signal.h>
#include <string.h>

/* libgrpc is not instrumented, so ThreadSanitizer cannot see that handing a tag to core happens
 * before its return. */
#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define TAG_ACQUIRE(tag) __tsan_acquire(tag)
#define TAG_RELEASE(tag) __tsan_release(tag)
#else
#define TAG_ACQUIRE(tag) ((void)0)
#define TAG_RELEASE(tag) ((void)0)
#endif

void rpc_tag_handing_over(struct rpc_tag *tag)
{
    TAG_RELEASE(tag);
    (void)tag;
}

static void deliver_tag(struct loop_letter *letter)
{
    struct rpc_tag *tag = (struct rpc_tag *)letter;
    tag->done(tag, tag->success);
}

void rpc_tag_init(struct rpc_tag *tag, struct loop *loop,
                  void (*done)(struct rpc_tag *tag, bool success))
{
    tag->letter.next = NULL;
    tag->letter.deliver = deliver_tag;
    tag->loop = loop;
    tag->done = done;
    tag->success = false;
}

static void *run_queue(void *argument)
{
    struct rpc_server *server = argument;
    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            break;
        if (event.type != GRPC_OP_COMPLETE)
            continue;
        struct rpc_tag *tag = event.tag;
        TAG_ACQUIRE(tag);
        tag->success = event.success != 0;
        loop_post(tag->loop, &tag->letter);
    }
    loop_post(server->loop, &server->queue_ended);
    return NULL;
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
    grpc_completion_queue_shutdown(server->queue);
}
