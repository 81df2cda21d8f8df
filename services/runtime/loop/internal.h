/* What the files of the loop share; nobody else includes it. */
#ifndef DIALPLANE_LOOP_INTERNAL_H
#define DIALPLANE_LOOP_INTERNAL_H

#include "loop/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>
#include <stddef.h>

struct deferred {
    void (*fn)(void *context);
    void *context;
};

/* A queue of deferred calls that keeps its memory from turn to turn. */
struct deferred_list {
    struct deferred *items;
    size_t count, capacity;
};

struct loop_signal {
    struct loop_signal *next;
    struct event *event;
    void (*fn)(void *context);
    void *context;
};

struct loop {
    struct event_base *base;
    const struct clock *clock;
    bool stopped;
    struct deferred_list deferred; /* asked for in this turn */
    struct deferred_list running;  /* being run now; swapped with `deferred` */
    struct loop_timer *timers;     /* live ones, so that loop_free() leaks none */
    struct loop_signal *signals;

    /* The mailbox: a stack that posters push on and the loop takes whole. */
    _Atomic(struct loop_letter *) mail;
    int mail_fd;
    struct event mail_event;
};

bool mailbox_init(struct loop *loop);
void mailbox_done(struct loop *loop);
void timers_free(struct loop *loop);
/* Ends the process: the caller's promise (a call, a wake-up) cannot be kept without memory. */
void loop_out_of_memory(const char *what) __attribute__((noreturn));

#endif
