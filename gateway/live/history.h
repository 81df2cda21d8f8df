/* history: the newest events of one stream, numbered from 0, in a ring. No I/O. */
#ifndef GATEWAY_LIVE_HISTORY_H
#define GATEWAY_LIVE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_EVENTS_MAX 65536

struct live_event;

/* Zero-initialised is empty. */
struct history {
    struct live_event **events;
    size_t capacity, begin;
    uint64_t first; /* number of the oldest that is kept */
    size_t count;
    size_t bytes; /* of all events and their frames */
};

void history_done(struct history *history);
/* Takes the event. False, and nothing is taken: HISTORY_EVENTS_MAX are kept, or out of memory. */
bool history_add(struct history *history, struct live_event *event);
void history_drop_oldest(struct history *history);
/* first <= number < history_end(). */
struct live_event *history_at(const struct history *history, uint64_t number);
static inline uint64_t history_end(const struct history *history)
{
    return history->first + history->count;
}

#endif
