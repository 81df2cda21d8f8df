/* Watchers that fall behind. One that lacks what its hub has no more leaves the hub, so that it
 * delays nobody. It waits as a cursor, which is all it costs, until it has taken what it was sent;
 * then it gets an upstream stream of its own from there on, as if it had connected again, and is
 * never sent more than it takes: the service is held back (hub.c: settle). One that takes nothing
 * for options.live_stall_us, here or while the service is held back for it, is cut.
 *
 *   in a hub ──history gone──▶ waiting ──has drained──▶ alone in a hub of its own
 *                                 └──────takes nothing──▶ cut ◀──┘
 */
#include "gateway/live/internal.h"

#include "base/wire.h"
#include "gateway/route/transcode.h"

#include <stdlib.h>

#define LOOKS 4 /* at a watcher in the time that it may stall */

/* What a waiting watcher needs to go on. */
struct behind {
    struct live *live;
    const struct route *route;
    size_t length;
    char request[];
};

/* The request with the cursor moved to the newest event that the watcher has been sent. */
static struct behind *make_behind(const struct hub *hub, const struct watcher *watcher)
{
    const struct schema_field *cursor = hub->route->method->stream_cursor;
    struct str request = {hub->request, hub->request_length};
    struct buf *out = &hub->live->worker->wire;
    uint64_t asked;

    if (watcher->next > 0) {
        buf_reset(out);
        if (!transcode_split_integer(cursor, request, &asked, out))
            return NULL;
        wire_put_tag(out, cursor->number, 0);
        wire_put_varint(out, watcher->seq);
        request = buf_str(out);
        if (out->failed)
            return NULL;
    }
    struct behind *behind = malloc(sizeof(*behind) + request.length);
    if (!behind)
        return NULL;
    behind->live = hub->live;
    behind->route = hub->route;
    behind->length = request.length;
    if (request.length)
        memcpy(behind->request, request.data, request.length);
    return behind;
}

static void cut(struct watcher *watcher, struct live *live)
{
    live->worker->stats.live_cut++;
    watcher_leave(watcher);
    watcher->ops->on_slow(watcher);
}

void behind_fall(struct watcher *watcher)
{
    struct hub *hub = watcher->hub;
    struct live *live = hub->live;
    struct behind *behind = NULL;

    if (live->behind_count + live->lonely_count < live->worker->gateway->options.live_behind)
        behind = make_behind(hub, watcher);
    if (!behind) {
        cut(watcher, live);
        return;
    }
    hub_leave(watcher);
    watcher->behind = behind;
    TAILQ_INSERT_TAIL(&live->behind, watcher, link);
    live->behind_count++;
    live->worker->stats.live_behind++;
    if (watcher->blocked)
        behind_watch_for_stalls(live);
    else
        behind_go_on(watcher);
}

struct live *behind_forget(struct watcher *watcher)
{
    struct live *live = watcher->behind->live;

    TAILQ_REMOVE(&live->behind, watcher, link);
    live->behind_count--;
    live->worker->stats.live_behind--;
    free(watcher->behind);
    watcher->behind = NULL;
    return live;
}

void behind_go_on(struct watcher *watcher)
{
    const struct behind *behind = watcher->behind;
    struct live *live = behind->live;
    struct err err = {0};
    struct hub *hub = hub_open(live, behind->route, (struct str){behind->request, behind->length},
                               NULL, NULL, &err);

    if (!hub) {
        watcher_leave(watcher);
        watcher->ops->on_end(watcher, &err);
        return;
    }
    behind_forget(watcher);
    live->worker->stats.live_resumed++;
    /* A stream begins with a message that says where things stand: it has had that. */
    hub_own(hub, watcher, watcher->next > 0 ? 1 : 0);
}

void behind_end_all(struct live *live, const struct err *err)
{
    struct watcher *watcher;

    while ((watcher = TAILQ_FIRST(&live->behind))) {
        watcher_leave(watcher);
        watcher->ops->on_end(watcher, err);
    }
}

/* ---- Stalls ---- */

/* True: it was cut. */
static bool look_at(struct watcher *watcher, struct live *live)
{
    size_t waiting = watcher->ops->waiting(watcher);

    if (!waiting || waiting < watcher->waiting_before || watcher->idle_looks == 0) {
        watcher->idle_looks = 1;
    } else if (++watcher->idle_looks > LOOKS) {
        cut(watcher, live);
        return true;
    }
    watcher->waiting_before = waiting;
    return false;
}

static void on_stall_timer(void *context)
{
    struct live *live = context;
    struct watcher *watcher, *next_watcher;
    struct hub *hub, *next;

    if (TAILQ_EMPTY(&live->behind) && LIST_EMPTY(&live->paused)) {
        loop_timer_cancel(live->stall_timer);
        live->stall_timer = NULL;
        return;
    }
    for (watcher = TAILQ_FIRST(&live->behind); watcher; watcher = next_watcher) {
        next_watcher = TAILQ_NEXT(watcher, link);
        look_at(watcher, live);
    }
    for (hub = LIST_FIRST(&live->paused); hub; hub = next) {
        next = LIST_NEXT(hub, paused_link);
        for (watcher = TAILQ_FIRST(&hub->watchers); watcher; watcher = next_watcher) {
            next_watcher = TAILQ_NEXT(watcher, link);
            if (watcher->blocked)
                look_at(watcher, live);
        }
    }
}

void behind_watch_for_stalls(struct live *live)
{
    if (!live->stall_timer)
        live->stall_timer = loop_timer_repeat(live->worker->loop,
                                              live->worker->gateway->options.live_stall_us / LOOKS,
                                              on_stall_timer, live);
}
