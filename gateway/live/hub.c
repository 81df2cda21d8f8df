#include "gateway/live/event.h"
#include "gateway/live/internal.h"
#include "gateway/policy/identity.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <xxhash.h>

#define BLOCK_ABOVE ((size_t)64 * 1024)
#define LONELY_BYTES ((size_t)64 * 1024)
#define HUB_BYTES ((size_t)72 * 1024) /* violations, and the authorization */

struct live *live_new(struct worker *worker)
{
    struct live *live = calloc(1, sizeof(*live));

    if (!live)
        return NULL;
    live->worker = worker;
    for (size_t i = 0; i < LIVE_BUCKETS; i++)
        LIST_INIT(&live->buckets[i]);
    LIST_INIT(&live->detached);
    LIST_INIT(&live->paused);
    TAILQ_INIT(&live->behind);
    return live;
}

static void free_hub(void *context)
{
    struct hub *hub = context;

    live_event_free(hub->opening);
    history_done(&hub->history);
    arena_free(hub->arena);
    free(hub);
}

static void set_paused(struct hub *hub, bool paused)
{
    if (hub->paused == paused)
        return;
    hub->paused = paused;
    if (paused) {
        LIST_INSERT_HEAD(&hub->live->paused, hub, paused_link);
        behind_watch_for_stalls(hub->live);
    } else {
        LIST_REMOVE(hub, paused_link);
    }
    if (hub->call)
        upstream_call_pause(hub->call, paused);
}

/* Out of the table at once, out of memory after this turn: a scheduled send may still look at it.
 */
static void kill_hub(struct hub *hub)
{
    if (hub->dead)
        return;
    hub->dead = true;
    set_paused(hub, false);
    if (hub->call) {
        upstream_call_cancel(hub->call);
        hub->call = NULL;
    }
    if (hub->lonely)
        hub->live->lonely_count--;
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

void hub_leave(struct watcher *watcher)
{
    struct hub *hub = watcher->hub;

    TAILQ_REMOVE(&hub->watchers, watcher, link);
    watcher->hub = NULL;
    if (TAILQ_EMPTY(&hub->watchers))
        kill_hub(hub);
}

void watcher_leave(struct watcher *watcher)
{
    struct live *live;

    if (watcher->hub) {
        live = watcher->hub->live;
        hub_leave(watcher);
    } else if (watcher->behind) {
        live = behind_forget(watcher);
    } else {
        return;
    }
    live->worker->stats.live_watchers--;
}

/* Of what everybody may need the newest is kept, within the limit. What nobody has been sent yet is
 * never dropped: there is no more of it than the limit and what comes before the service has
 * noticed (upstream_call_pause()). */
static void settle(struct hub *hub)
{
    struct history *history = &hub->history;
    size_t buffer = (size_t)hub->live->worker->gateway->options.live_buffer_bytes;
    bool for_one = hub->lonely || hub->ticketed;
    size_t limit = for_one && buffer > LONELY_BYTES ? LONELY_BYTES : buffer;

    if (!hub->route->method->stream_cursor || hub->dead)
        return;
    while (history->count && history->first < hub->edge && (for_one || history->bytes > limit)) {
        history_drop_oldest(history);
        detach_hub(hub); /* who joins now needs a stream of its own */
    }
    if (hub->ended || hub->unsent <= limit / 2)
        set_paused(hub, false);
    else if (hub->unsent > limit)
        set_paused(hub, true);
}

/* The event after the watcher's cursor. False: it cannot be sent. */
static bool send_next(struct hub *hub, struct watcher *watcher)
{
    struct live_event *event = history_at(&hub->history, watcher->next);
    struct shared_bytes *frame =
        live_event_frame(event, watcher->ops->form, &hub->live->worker->text, &hub->history.bytes);

    if (!frame)
        return false;
    watcher->next++;
    watcher->seq = event->seq;
    if (watcher->next > hub->edge && hub->route->method->stream_cursor) {
        hub->edge = watcher->next;
        hub->unsent -= event->frames[LIVE_LINES]->length;
    }
    size_t waiting = watcher->ops->send(watcher, frame);
    if (watcher->hub != hub)
        return false;
    watcher->blocked = waiting > BLOCK_ABOVE;
    return true;
}

static void send_opening(struct hub *hub, struct watcher *watcher)
{
    struct shared_bytes *frame = live_event_frame(hub->opening, watcher->ops->form,
                                                  &hub->live->worker->text, &hub->history.bytes);

    if (!frame)
        return;
    watcher->opened = true;
    watcher->blocked = watcher->ops->send(watcher, frame) > BLOCK_ABOVE;
}

/* Sends what the watcher lacks, until it is full or at the edge. */
static void serve(struct hub *hub, struct watcher *watcher)
{
    struct history *history = &hub->history;

    if (hub->begun && !watcher->begun) {
        watcher->begun = true;
        watcher->ops->on_begin(watcher);
        if (watcher->hub != hub)
            return;
    }
    if (watcher->next < history->first) {
        if (hub->route->method->stream_cursor) {
            behind_fall(watcher);
            return;
        }
        watcher->next = history->first; /* figures: the newest are all that counts */
    }
    if (hub->opening && !watcher->opened) {
        send_opening(hub, watcher);
        if (watcher->hub != hub || !watcher->opened)
            return;
    }
    while (!watcher->blocked && watcher->next < history_end(history) && send_next(hub, watcher))
        ;
    if (watcher->hub == hub && hub->ended && watcher->next >= history_end(history)) {
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
    settle(hub);
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
    if (!watcher->blocked)
        return;
    watcher->blocked = false;
    watcher->idle_looks = 0;
    if (watcher->hub)
        schedule(watcher->hub);
    else if (watcher->behind)
        behind_go_on(watcher);
}

/* Full: who has not been sent the oldest falls behind. */
static void make_room(struct hub *hub)
{
    struct history *history = &hub->history;

    if (history->first == hub->edge) {
        hub->edge++;
        hub->unsent -= history_at(history, history->first)->frames[LIVE_LINES]->length;
    }
    history_drop_oldest(history);
    detach_hub(hub);
}

/* False: out of memory, the event has not been taken. */
static bool add_event(struct hub *hub, struct live_event *event)
{
    struct history *history = &hub->history;

    if (!hub->route->method->stream_cursor) {
        if (!hub->opening) {
            hub->opening = event;
            return true;
        }
        while (history->count) /* figures: the newest are all that counts */
            history_drop_oldest(history);
        return history_add(history, event);
    }
    if (history->count >= HISTORY_EVENTS_MAX)
        make_room(hub);
    if (!history_add(history, event))
        return false;
    if (history_end(history) > hub->edge)
        hub->unsent += event->frames[LIVE_LINES]->length;
    settle(hub);
    return true;
}

static void end_hub(struct hub *hub, const struct err *err)
{
    hub->call = NULL;
    set_paused(hub, false);
    hub->ended = true;
    hub->end = *err;
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
    if (event && !add_event(hub, event)) {
        live_event_free(event);
        event = NULL;
        err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "Out of memory");
    }
    if (!event) {
        upstream_call_cancel(call);
        end_hub(hub, &err);
        return;
    }
    worker->stats.live_events++;
    schedule(hub);
}

static void on_done(struct upstream_call *call, const struct err *status)
{
    end_hub(upstream_call_context(call), status);
}

static const struct upstream_handler hub_handler = {.on_message = on_message, .on_done = on_done};

static bool is_ticket(const char *authorization)
{
    return authorization && strncmp(authorization, "Ticket ", 7) == 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct hub *find(struct live *live, const struct route *route, struct str request,
                        const char *authorization, uint64_t hash)
{
    struct hub *hub;

    LIST_FOREACH (hub, &live->buckets[hash % LIVE_BUCKETS], link)
        if (hub->hash == hash && hub->route->method == route->method &&
            str_equal((struct str){hub->request, hub->request_length}, request) &&
            is_same_text(hub->authorization, authorization))
            return hub;
    return NULL;
}

struct hub *hub_open(struct live *live, const struct route *route, struct str request,
                     const struct hub_caller *caller, struct err *err)
{
    struct hub *hub = calloc(1, sizeof(*hub) + request.length);

    if (hub)
        hub->arena = arena_new(HUB_BYTES);
    if (hub && hub->arena && caller->authorization)
        hub->authorization =
            arena_strndup(hub->arena, caller->authorization, strlen(caller->authorization));
    if (!hub || !hub->arena || (caller->authorization && !hub->authorization)) {
        if (hub)
            arena_free(hub->arena);
        free(hub);
        err_set(err, ERR_RESOURCE_EXHAUSTED, "OVERLOADED", "Out of memory");
        return NULL;
    }
    hub->live = live;
    hub->route = route;
    hub->request_length = request.length;
    if (request.length)
        memcpy(hub->request, request.data, request.length);
    TAILQ_INIT(&hub->watchers);
    struct upstream_request upstream = {
        .path = route->method->path,
        .message = {hub->request, hub->request_length},
        .authorization = hub->authorization,
        .client_address = caller->client_address,
        .arena = hub->arena,
    };
    if (caller->identity) {
        upstream.request_id = caller->identity->request_id;
        upstream.traceparent = caller->identity->traceparent;
        upstream.trace = caller->identity->span.self;
    }
    hub->call = upstream_call_start(live->worker->route_upstreams[route->index], &upstream,
                                    &hub_handler, hub);
    if (!hub->call) {
        arena_free(hub->arena);
        free(hub);
        err_set(err, ERR_RESOURCE_EXHAUSTED, "OVERLOADED", "Out of memory");
        return NULL;
    }
    LIST_INSERT_HEAD(&live->detached, hub, link);
    live->worker->stats.live_streams++;
    return hub;
}

static void enter(struct hub *hub, struct watcher *watcher, uint64_t next)
{
    watcher->hub = hub;
    watcher->next = next;
    watcher->idle_looks = 0;
    TAILQ_INSERT_TAIL(&hub->watchers, watcher, link);
    schedule(hub);
}

void hub_own(struct hub *hub, struct watcher *watcher, uint64_t next)
{
    hub->lonely = true;
    hub->live->lonely_count++;
    hub->edge = next;
    enter(hub, watcher, next);
}

bool hub_join(struct live *live, const struct route *route, struct str request,
              const struct hub_caller *caller, struct watcher *watcher, struct err *err)
{
    uint64_t hash = XXH3_64bits_withSeed(request.length ? request.data : "", request.length,
                                         (uint64_t)(uintptr_t)route->method);
    bool ticketed = is_ticket(caller->authorization);
    struct hub *hub = ticketed ? NULL : find(live, route, request, caller->authorization, hash);

    if (!hub && !(hub = hub_open(live, route, request, caller, err)))
        return false;
    if (ticketed) {
        hub->ticketed = true;
    } else if (!hub->joinable) { /* a new one */
        hub->hash = hash;
        hub->joinable = true;
        LIST_REMOVE(hub, link);
        LIST_INSERT_HEAD(&live->buckets[hash % LIVE_BUCKETS], hub, link);
    }
    watcher->behind = NULL;
    watcher->blocked = watcher->begun = watcher->opened = false;
    enter(hub, watcher, hub->history.first);
    live->worker->stats.live_watchers++;
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
    behind_end_all(live, err);
    end_list(&live->detached, err);
    for (size_t i = 0; i < LIVE_BUCKETS; i++)
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
    while (!TAILQ_EMPTY(&live->behind))
        behind_forget(TAILQ_FIRST(&live->behind));
    free_list(&live->detached);
    for (size_t i = 0; i < LIVE_BUCKETS; i++)
        free_list(&live->buckets[i]);
    loop_timer_cancel(live->stall_timer);
    free(live);
}
