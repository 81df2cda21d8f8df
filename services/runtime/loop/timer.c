/* Timers over libevent's heap. A timer never fires early: libevent keeps a coarse clock (up to 4 ms
 * behind), and a deadline that "fires" before it has passed would make its owner look at the clock
 * and do nothing. */
#include "loop/internal.h"

#include <stdlib.h>
#include <time.h>

struct loop_timer {
    struct loop *loop;
    struct loop_timer *next, **link; /* in loop->timers */
    struct event event;
    int64_t due_us;    /* of a one-shot timer, real monotonic time */
    int64_t period_us; /* 0: one-shot */
    void (*fn)(void *context);
    void *context;
};

/* libevent waits in real time whatever the loop's clock says. */
static int64_t real_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * TIME_US_PER_SECOND + now.tv_nsec / 1000;
}

static struct timeval timeval_from_us(int64_t us)
{
    return (struct timeval){.tv_sec = us / TIME_US_PER_SECOND, .tv_usec = us % TIME_US_PER_SECOND};
}

static void timer_free(struct loop_timer *timer)
{
    event_del(&timer->event);
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    free(timer);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct loop_timer *timer = context;
    if (timer->period_us) {
        timer->fn(timer->context); /* may cancel, which frees the timer */
        return;
    }
    int64_t left_us = timer->due_us - real_monotonic_us();
    if (left_us > 0) {
        struct timeval left = timeval_from_us(left_us);
        if (event_add(&timer->event, &left) < 0)
            loop_out_of_memory("loop_timer");
        return;
    }
    void (*fn)(void *) = timer->fn;
    void *fn_context = timer->context;
    timer_free(timer);
    fn(fn_context);
}

static struct loop_timer *timer_new(struct loop *loop, int64_t after_us, int64_t period_us,
                                    void (*fn)(void *context), void *context)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));
    if (!timer)
        loop_out_of_memory("loop_timer");
    if (after_us < 0)
        after_us = 0;
    timer->loop = loop;
    timer->fn = fn;
    timer->context = context;
    timer->period_us = period_us;
    timer->due_us = real_monotonic_us() + after_us;
    struct timeval after = timeval_from_us(after_us);
    if (event_assign(&timer->event, loop->base, -1, period_us ? EV_PERSIST : 0, on_timer, timer) <
            0 ||
        event_add(&timer->event, &after) < 0)
        loop_out_of_memory("loop_timer");
    timer->next = loop->timers;
    timer->link = &loop->timers;
    if (timer->next)
        timer->next->link = &timer->next;
    loop->timers = timer;
    return timer;
}

struct loop_timer *loop_timer_start(struct loop *loop, int64_t after_us, void (*fn)(void *context),
                                    void *context)
{
    return timer_new(loop, after_us, 0, fn, context);
}

struct loop_timer *loop_timer_repeat(struct loop *loop, int64_t period_us,
                                     void (*fn)(void *context), void *context)
{
    /* A period of nothing would spin. */
    if (period_us < 1000)
        period_us = 1000;
    return timer_new(loop, period_us, period_us, fn, context);
}

void loop_timer_cancel(struct loop_timer *timer)
{
    if (timer)
        timer_free(timer);
}

void timers_free(struct loop *loop)
{
    while (loop->timers)
        timer_free(loop->timers);
}
