/* The turn: wait for events, run what is ready, then run what was deferred.
 *
 * libevent's own loop has no hook at the end of a turn, so each turn is one event_base_loop(ONCE).
 * The mailbox's descriptor is always registered, therefore the base is never empty and the wait
 * never returns for want of events. */
#include "loop/internal.h"

#include "base/log.h"

#include <stdlib.h>

/* What deferred calls defer in turn runs in the same turn, so that chains finish without another
 * wait, but only this often: a call that always defers itself must not starve the sockets. */
#define DEFER_ROUNDS 8

void loop_out_of_memory(const char *what)
{
    log_event(LOG_LEVEL_ERROR, "out_of_memory", log_text("what", what));
    abort();
}

struct loop *loop_new(const struct clock *clock)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return NULL;
    loop->clock = clock ? clock : clock_system();
    loop->mail_fd = -1;

    /* One thread owns the base; other threads only write to the mailbox's eventfd. */
    struct event_config *config = event_config_new();
    if (!config)
        goto fail;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (!loop->base || !mailbox_init(loop))
        goto fail;
    return loop;

fail:
    loop_free(loop);
    return NULL;
}

static void deferred_push(struct deferred_list *list, struct deferred item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct deferred *items = realloc(list->items, capacity * sizeof(*items));
        if (!items)
            loop_out_of_memory("loop_defer");
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
}

/* Runs what has been deferred so far, in order; what these calls defer is left for the next round.
 */
static void deferred_run_round(struct loop *loop)
{
    struct deferred_list list = loop->deferred;
    loop->deferred = loop->running;
    loop->deferred.count = 0;
    loop->running = (struct deferred_list){0};
    for (size_t i = 0; i < list.count; i++)
        list.items[i].fn(list.items[i].context);
    loop->running = list;
}

static void deferred_run(struct loop *loop)
{
    for (int round = 0; loop->deferred.count && round < DEFER_ROUNDS; round++)
        deferred_run_round(loop);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    /* "Freed after this turn" must hold for the last turn as well. */
    while (loop->deferred.count)
        deferred_run_round(loop);
    timers_free(loop);
    while (loop->signals) {
        struct loop_signal *signal = loop->signals;
        loop->signals = signal->next;
        event_free(signal->event);
        free(signal);
    }
    mailbox_done(loop);
    if (loop->base)
        event_base_free(loop->base);
    free(loop->deferred.items);
    free(loop->running.items);
    free(loop);
}

struct event_base *loop_event_base(struct loop *loop)
{
    return loop->base;
}

const struct clock *loop_clock(const struct loop *loop)
{
    return loop->clock;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped) {
        int flags = EVLOOP_ONCE | (loop->deferred.count ? EVLOOP_NONBLOCK : 0);
        log_hold(); /* the lines of one turn leave in one write */
        if (event_base_loop(loop->base, flags) < 0) {
            /* epoll itself failed; going round would only spin. */
            log_event(LOG_LEVEL_ERROR, "event_loop_failed", log_text("what", "event_base_loop"));
            abort();
        }
        deferred_run(loop);
        log_flush();
    }
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

void loop_defer(struct loop *loop, void (*fn)(void *context), void *context)
{
    /* No wake-up is needed: only the loop's own thread may call this, so the turn is still running.
     */
    deferred_push(&loop->deferred, (struct deferred){fn, context});
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    (void)number;
    (void)what;
    struct loop_signal *signal = context;
    signal->fn(signal->context);
}

bool loop_on_signal(struct loop *loop, int signal_number, void (*fn)(void *context), void *context)
{
    struct loop_signal *signal = calloc(1, sizeof(*signal));
    if (!signal)
        return false;
    signal->fn = fn;
    signal->context = context;
    signal->event = evsignal_new(loop->base, signal_number, on_signal, signal);
    if (!signal->event || event_add(signal->event, NULL) < 0) {
        if (signal->event)
            event_free(signal->event);
        free(signal);
        return false;
    }
    signal->next = loop->signals;
    loop->signals = signal;
    return true;
}
