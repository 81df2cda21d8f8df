/* loop: one libevent loop per thread; timers, signals, and the mailbox through which other threads
 * reach it. */
#ifndef DIALPLANE_LOOP_LOOP_H
#define DIALPLANE_LOOP_LOOP_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct loop;

/* NULL when libevent gives none. clock is borrowed (NULL: clock_system()). */
struct loop *loop_new(const struct clock *clock);
void loop_free(struct loop *loop);
struct event_base *loop_event_base(struct loop *loop);
const struct clock *loop_clock(const struct loop *loop);
/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
/* From the loop's own thread. */
void loop_stop(struct loop *loop);

/* Runs fn once at the end of this turn of the loop, after all ready events, in order: for batching
 * and for "freed after this turn". Own thread only. */
void loop_defer(struct loop *loop, void (*fn)(void *context), void *context);

/* A timer, embedded nowhere: it owns itself until cancelled or fired. */
struct loop_timer;
struct loop_timer *loop_timer_start(struct loop *loop, int64_t after_us, void (*fn)(void *context),
                                    void *context);
/* Every `period_us` until cancelled. */
struct loop_timer *loop_timer_repeat(struct loop *loop, int64_t period_us,
                                     void (*fn)(void *context), void *context);
/* NULL is allowed. A one-shot timer is freed by firing: do not cancel it afterwards. */
void loop_timer_cancel(struct loop_timer *timer);

/* SIGTERM, SIGINT, ... on this loop. */
bool loop_on_signal(struct loop *loop, int signal_number, void (*fn)(void *context), void *context);

/* A message for the mailbox, embedded in what it is about; the poster does not touch it until it
 * has been delivered. */
struct loop_letter {
    struct loop_letter *next;
    void (*deliver)(struct loop_letter *letter); /* runs on the loop's thread */
};
/* From any thread; never blocks, never allocates. One eventfd wake-up for many letters. */
void loop_post(struct loop *loop, struct loop_letter *letter);
/* The same for a chain of letters, linked by `next` from the newest to the oldest; delivered oldest
 * first. */
void loop_post_all(struct loop *loop, struct loop_letter *newest, struct loop_letter *oldest);

#endif
