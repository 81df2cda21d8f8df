/* internal: what live.c (calls that are watched) and watcher.c (who watches them) share. */
#ifndef ANALYTICS_LIVE_INTERNAL_H
#define ANALYTICS_LIVE_INTERNAL_H

#include "live/live.h"
#include "live/watched.h"

#include "base/arena.h"
#include "base/buf.h"

#define BUCKETS 4096
#define CHUNK_ARENA_BYTES (32 * 1024 * 1024)

struct entry;

struct watcher {
    struct entry *entry;
    struct rpc_call *rpc;
    struct watcher *next, **link;
    uint64_t cursor;      /* the newest event that it has been sent, or asked to be after */
    uint64_t metrics_seq; /* the newest event that its last `metrics` included */
    bool has_init, is_busy, is_reading, is_gone;
    /* older events that were read for it: serialized CallEvents, one after the other */
    struct arena *chunk;
    struct str *chunk_events;
    size_t chunk_count, chunk_next;
};

struct entry {
    struct live *live;
    struct entry *next, **link; /* in its bucket */
    struct watcher *watchers;
    struct watched watched;
    bool is_loaded;
    bool is_loading;
    bool loads_again; /* something came while it was loading, or does not fit on the end */
    struct arena *load_arena;
    struct loop_timer *poll;
    uint8_t polls_passed; /* while the bus tells what is new */
    unsigned references;  /* reads under way: it goes only when none is left */
};

struct live {
    struct loop *loop;
    struct pg_pool *pool;
    const struct prices *prices;
    struct bus *bus;
    struct live_options options;
    struct entry *buckets[BUCKETS];
    struct buf message; /* the one being sent; rpc copies it */
    struct live_stats stats;
    bool is_stopping; /* goes with its last entry */
};

/* ---- live.c ---- */

/* Frees the entry when nobody watches it and nothing is being read for it. */
void release_entry(struct entry *entry);

/* ---- watcher.c ---- */

/* A watcher of the entry, whose stream is `rpc`. NULL: no memory. */
struct watcher *watcher_new(struct entry *entry, struct rpc_call *rpc, uint64_t after_seq);
/* Sends what may be sent now; the watcher, and with it its entry, may be gone afterwards. */
void watcher_pump(struct watcher *watcher);
/* Ends its stream with the error; it is gone afterwards. */
void watcher_fail(struct watcher *watcher, const struct err *err);

#endif
