/* internal: what hub.c (streams and who watches them) and behind.c (watchers that fell behind)
 * share. */
#ifndef GATEWAY_LIVE_INTERNAL_H
#define GATEWAY_LIVE_INTERNAL_H

#include "gateway/live/history.h"
#include "gateway/live/hub.h"
#include "gateway/upstream/upstream.h"

#define LIVE_BUCKETS 1024 /* a power of two */

TAILQ_HEAD(watcher_list, watcher);
LIST_HEAD(hub_list, hub);

struct hub {
    LIST_ENTRY(hub) link; /* in its bucket; in live->detached when nobody may join any more */
    LIST_ENTRY(hub) paused_link; /* in live->paused */
    struct live *live;
    const struct route *route;
    struct upstream_call *call; /* NULL: ended */
    struct watcher_list watchers;
    uint64_t hash;
    struct live_event *opening; /* figures only: the first message, for everybody who joins */
    struct history history;
    uint64_t edge; /* number of the first event that nobody has been sent */
    size_t unsent; /* bytes of the events from there on */

    bool begun;    /* the first message has come */
    bool joinable; /* its history is whole, and it goes on */
    bool lonely;   /* of one watcher that fell behind: nobody joins, no history is kept */
    bool ticketed; /* opened with a ticket, which is good once: nobody joins, no history is kept */
    bool paused;   /* the service is held back until somebody has taken what is here */
    bool ended;
    bool work_scheduled;
    bool dead; /* waits to be freed */
    struct err end;
    struct arena *arena;       /* of its violations and authorization */
    const char *authorization; /* NULL: none */
    size_t request_length;
    char request[];
};

struct live {
    struct worker *worker;
    struct hub_list buckets[LIVE_BUCKETS];
    struct hub_list detached;
    struct hub_list paused;
    struct watcher_list behind; /* they wait, without a hub, until they have taken something */
    uint32_t lonely_count, behind_count;
    struct loop_timer *stall_timer; /* while somebody may stall */
};

/* ---- hub.c ---- */

/* A stream for this request, not yet joined by anyone; identity of the one who asks, or NULL. NULL:
 * out of memory. */
struct hub *hub_open(struct live *live, const struct route *route, struct str request,
                     const struct hub_caller *caller, struct err *err);
/* The first watcher of a stream of its own; `next` as in struct watcher. */
void hub_own(struct hub *hub, struct watcher *watcher, uint64_t next);
/* Out of its hub, which ends with its last; it still watches. */
void hub_leave(struct watcher *watcher);

/* ---- behind.c ---- */

/* What the watcher lacks has gone from its hub's history. It leaves the hub, and either goes on
 * alone or is cut. */
void behind_fall(struct watcher *watcher);
/* It has taken what waited: now it gets a stream of its own. */
void behind_go_on(struct watcher *watcher);
/* It waits no more. Gives where it waited. */
struct live *behind_forget(struct watcher *watcher);
/* Somebody may stall from now on. */
void behind_watch_for_stalls(struct live *live);
void behind_end_all(struct live *live, const struct err *err);

#endif
