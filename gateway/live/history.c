#include "gateway/live/history.h"

#include "gateway/live/event.h"

#include <stdlib.h>

void history_done(struct history *history)
{
    while (history->count)
        history_drop_oldest(history);
    free(history->events);
    history->events = NULL;
    history->capacity = 0;
}

static bool grow(struct history *history)
{
    size_t capacity = history->capacity ? history->capacity * 2 : 16;
    struct live_event **events;

    if (capacity > HISTORY_EVENTS_MAX || !(events = calloc(capacity, sizeof(struct live_event *))))
        return false;
    for (size_t i = 0; i < history->count; i++)
        events[i] = history->events[(history->begin + i) % history->capacity];
    free(history->events);
    history->events = events;
    history->capacity = capacity;
    history->begin = 0;
    return true;
}

bool history_add(struct history *history, struct live_event *event)
{
    if (history->count == history->capacity && !grow(history))
        return false;
    history->events[(history->begin + history->count) % history->capacity] = event;
    history->count++;
    history->bytes += event->bytes;
    return true;
}

void history_drop_oldest(struct history *history)
{
    struct live_event *event = history->events[history->begin];

    history->bytes -= event->bytes;
    live_event_free(event);
    history->begin = (history->begin + 1) % history->capacity;
    history->first++;
    history->count--;
}

struct live_event *history_at(const struct history *history, uint64_t number)
{
    return history
        ->events[(history->begin + (size_t)(number - history->first)) % history->capacity];
}
