#include "gateway/live/hub.h"

#include "base/wire.h"
#include "gateway/live/event.h"
#include "gateway/policy/identity.h"
#include "json/json.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <xxhash.h>

#define BUCKETS 1024 /* a power of two */
#define BLOCK_ABOVE (64 * 1024)
#define EVENTS_MAX 65536

TAILQ_HEAD(watcher_list, watcher);
LIST_HEAD(hub_list, hub);

struct hub {
    LIST_ENTRY(hub) link; /* in its bucket; in live->detached when nobody may join any more */
    TAILQ_ENTRY(hub) busy_link;
    struct live *live;
    const struct route *route;
    struct upstream_call *call; /* NULL: ended */
    struct watcher_list watchers;
    uint64_t hash;

    /* The history: events first .. first + count - 1 in a ring. */
    struct live_event **events;
    size_t capacity, count, begin;
    uint64_t first;
    size_t bytes;

    bool begun;    /* the first message has come */
    bool joinable; /* its history is whole, and it goes on */
    bool ended;
    bool work_scheduled;
    bool dead; /* waits to be freed */
    struct err end;
    size_t request_length;
    char request[];
};

struct live {
    struct worker *worker;
    struct hub_list buckets[BUCKETS];
    struct hub_list detached;
};

struct live *live_new(struct worker *worker)
{
    struct live *live = calloc(1, sizeof(*live));

    if (!live)
        return NULL;
    live->worker = worker;
    for (size_t i = 0; i < BUCKETS; i++)
        LIST_INIT(&live->buckets[i]);
    LIST_INIT(&live->detached);
    return live;
}

static void drop_oldest(struct hub *hub)
{
    struct live_event *event = hub->events[hub->begin];

    hub->bytes -= event->bytes;
    live_event_free(event);
    hub->begin = (hub->begin + 1) % hub->capacity;
    hub->first++;
    hub->count--;
}

static void free_hub(void *context)
{
    struct hub *hub = context;

    while (hub->count)
        drop_oldest(hub);
    free(hub->events);
    free(hub);
}

/* Out of the table at once, out of memory after this turn: a scheduled send may still look at it.
 */
static void kill_hub(struct hub *hub)
{
    if (hub->dead)
        return;
    hub->dead = true;
    if (hub->call) {
        upstream_call_cancel(hub->call);
        hub->call = NULL;
    }
    LIST_REMOVE(hub, link);
    hub->live->worker->stats.live_streams--;
    loop_defer(hub->live->worker->loop, free_hub, hub);
}

static void detach_hub(struct hub *hub)
{
    if (!hub->joinable)
        return;
    hub->joinable = false;
    LIST_REMOVE(hub, link);
    LIST_INSERT_HEAD(&hub->live->detached, hub, link);
}

void watcher_leave(struct watcher *watcher)
{
    struct hub *hub = watcher->hub;

    if (!hub)
        return;
    TAILQ_REMOVE(&hub->watchers, watcher, link);
    watcher->hub = NULL;
    hub->live->worker->stats.live_watchers--;
    if (TAILQ_EMPTY(&hub->watchers))
        kill_hub(hub);
}

/* Sends what the watcher lacks, until it is full or at the edge. */
static void serve(struct hub *hub, struct watcher *watcher)
{
    struct worker *worker = hub->live->worker;

    if (hub->begun && !watcher->begun) {
        watcher->begun = true;
        watcher->ops->on_begin(watcher);
        if (watcher->hub != hub)
            return;
    }
    if (watcher->next < hub->first && hub->route->method->stream_cursor) {
        /* What it lacks has gone from the history. */
        worker->stats.live_cut++;
        watcher_leave(watcher);
        watcher->ops->on_slow(watcher);
        return;
    }
    while (!watcher->blocked) {
        if (watcher->next < hub->first) /* figures: the newest are all that counts */
            watcher->next = hub->first;
        if (watcher->next == hub->first + hub->count)
            break;
        size_t at = (hub->begin + (size_t)(watcher->next - hub->first)) % hub->capacity;
        struct shared_bytes *frame =
            live_event_frame(hub->events[at], watcher->ops->form, &worker->text, &hub->bytes);
        if (!frame)
            break;
        watcher->next++;
        size_t waiting = watcher->ops->send(watcher, frame);
        if (watcher->hub != hub)
            return;
        watcher->blocked = waiting > BLOCK_ABOVE;
    }
    if (hub->ended && watcher->next >= hub->first + hub->count) {
        struct err end = hub->end;
        watcher_leave(watcher);
        watcher->ops->on_end(watcher, &end);
    }
}

/* Everybody: the new events, or the end. Watchers may leave as they are served. */
static void work(void *context)
{
    struct hub *hub = context;
    struct watcher *watcher, *next;

    hub->work_scheduled = false;
    for (watcher = TAILQ_FIRST(&hub->watchers); watcher && !hub->dead; watcher = next) {
        next = TAILQ_NEXT(watcher, link);
        serve(hub, watcher);
    }
}

static void schedule(struct hub *hub)
{
    if (hub->work_scheduled || hub->dead)
        return;
    hub->work_scheduled = true;
    loop_defer(hub->live->worker->loop, work, hub);
}

void watcher_drained(struct watcher *watcher)
{
    if (!watcher->hub || !watcher->blocked)
        return;
    watcher->blocked = false;
    schedule(watcher->hub);
}

static bool grow(struct hub *hub)
{
    size_t capacity = hub->capacity ? hub->capacity * 2 : 16;
    struct live_event **events;

    if (capacity > EVENTS_MAX || !(events = calloc(capacity, sizeof(*events))))
        return false;
    for (size_t i = 0; i < hub->count; i++)
        events[i] = hub->events[(hub->begin + i) % hub->capacity];
    free(hub->events);
    hub->events = events;
    hub->capacity = capacity;
    hub->begin = 0;
    return true;
}

static void add_event(struct hub *hub, struct live_event *event)
{
    size_t limit = (size_t)hub->live->worker->gateway->options.live_buffer_bytes;

    if (hub->count == hub->capacity && !grow(hub)) {
        drop_oldest(hub);
        detach_hub(hub);
    }
    hub->events[(hub->begin + hub->count) % hub->capacity] = event;
    hub->count++;
    hub->bytes += event->bytes;
    if (!hub->route->method->stream_cursor) {
        while (hub->count > 1)
            drop_oldest(hub);
        return;
    }
    while (hub->count > 1 && hub->bytes > limit) {
        drop_oldest(hub);
        detach_hub(hub); /* who joins now needs a stream of its own */
    }
}

static void end_hub(struct hub *hub, const struct err *err)
{
    hub->call = NULL;
    hub->ended = true;
    hub->end = *err;
    hub->end.violations = NULL;
    detach_hub(hub);
    schedule(hub);
}

static void on_message(struct upstream_call *call, struct str message)
{
    struct hub *hub = upstream_call_context(call);
    struct worker *worker = hub->live->worker;
    struct err err = {0};
    struct live_event *event = live_event_new(worker->gateway->schema, hub->route->method->output,
                                              message, &worker->json, &err);

    hub->begun = true;
    if (!event) {
        upstream_call_cancel(call);
        end_hub(hub, &err);
        return;
    }
    worker->stats.live_events++;
    add_event(hub, event);
    schedule(hub);
}

static void on_done(struct upstream_call *call, const struct err *status)
{
    end_hub(upstream_call_context(call), status);
}

static const struct upstream_handler hub_handler = {.on_message = on_message, .on_done = on_done};

static struct hub *find(struct live *live, const struct route *route, struct str request,
                        uint64_t hash)
{
    struct hub *hub;

    LIST_FOREACH (hub, &live->buckets[hash % BUCKETS], link)
        if (hub->hash == hash && hub->route->method == route->method &&
            str_equal((struct str){hub->request, hub->request_length}, request))
            return hub;
    return NULL;
}

static struct hub *open_hub(struct live *live, const struct route *route, struct str request,
                            uint64_t hash, const struct identity *identity, struct err *err)
{
    struct hub *hub = calloc(1, sizeof(*hub) + request.length);

    if (!hub) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, "OVERLOADED", "Out of memory");
        return NULL;
    }
    hub->live = live;
    hub->route = route;
    hub->hash = hash;
    hub->joinable = true;
    hub->request_length = request.length;
    if (request.length)
        memcpy(hub->request, request.data, request.length);
    TAILQ_INIT(&hub->watchers);
    struct upstream_request upstream = {
        .path = route->method->path,
        .message = {hub->request, hub->request_length},
        .request_id = identity->request_id,
        .traceparent = identity->traceparent,
        .trace = identity->span.self,
    };
    hub->call = upstream_call_start(live->worker->route_upstreams[route->index], &upstream,
                                    &hub_handler, hub);
    if (!hub->call) {
        free(hub);
        err_set(err, ERR_RESOURCE_EXHAUSTED, "OVERLOADED", "Out of memory");
        return NULL;
    }
    LIST_INSERT_HEAD(&live->buckets[hash % BUCKETS], hub, link);
    live->worker->stats.live_streams++;
    return hub;
}

bool hub_join(struct live *live, const struct route *route, struct str request,
              const struct identity *identity, struct watcher *watcher, struct err *err)
{
    uint64_t hash = XXH3_64bits_withSeed(request.length ? request.data : "", request.length,
                                         (uint64_t)(uintptr_t)route->method);
    struct hub *hub = find(live, route, request, hash);

    if (!hub)
        hub = open_hub(live, route, request, hash, identity, err);
    if (!hub)
        return false;
    watcher->hub = hub;
    watcher->next = hub->first;
    watcher->blocked = watcher->begun = false;
    TAILQ_INSERT_TAIL(&hub->watchers, watcher, link);
    live->worker->stats.live_watchers++;
    schedule(hub);
    return true;
}

static void end_list(struct hub_list *list, const struct err *err)
{
    struct hub *hub, *next;

    for (hub = LIST_FIRST(list); hub; hub = next) {
        next = LIST_NEXT(hub, link);
        if (hub->ended)
            continue;
        if (hub->call)
            upstream_call_cancel(hub->call);
        end_hub(hub, err);
    }
}

void live_end_all(struct live *live, const struct err *err)
{
    end_list(&live->detached, err);
    for (size_t i = 0; i < BUCKETS; i++)
        end_list(&live->buckets[i], err);
}

static void free_list(struct hub_list *list)
{
    struct hub *hub;

    while ((hub = LIST_FIRST(list))) {
        struct watcher *watcher;
        while ((watcher = TAILQ_FIRST(&hub->watchers))) {
            TAILQ_REMOVE(&hub->watchers, watcher, link);
            watcher->hub = NULL;
        }
        kill_hub(hub);
    }
}

void live_free(struct live *live)
{
    if (!live)
        return;
    free_list(&live->detached);
    for (size_t i = 0; i < BUCKETS; i++)
        free_list(&live->buckets[i]);
    free(live);
}
