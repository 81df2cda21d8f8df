/* live: watchers of calls. A watcher is a cursor over its call's events; it pulls when its stream
 * can take more, from the ring of the newest events or, when it is further back, from the table. So
 * a late joiner, a reconnect and the live edge are one path, a publication that went missing is a
 * gap that the table fills, and a slow watcher costs a cursor. Everything runs on the loop's
 * thread. */
#ifndef ANALYTICS_LIVE_LIVE_H
#define ANALYTICS_LIVE_LIVE_H

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "rpc/rpc.h"

#include "dialplane/v1/analytics.pb-c.h"

#include <stdint.h>

struct bus;
struct vault;
struct live;
struct prices;

struct live_options {
    const char *bus_url; /* see bus_new(); NULL or "": this instance is alone, or others are found
                            by polling */
    const struct vault *vault; /* opens stored events */
    int64_t poll_us;           /* how often the table is asked for what was not published here */
    uint32_t watchers;         /* most watchers in all */
    uint32_t watched_calls;    /* most calls watched at once */
};

/* All are borrowed. NULL with err: a bad bus_url, or memory is short. */
struct live *live_new(struct loop *loop, struct pg_pool *pool, const struct prices *prices,
                      const struct live_options *options, struct err *err);
/* What is still being read for it may come back later: the pool is freed after this. */
void live_free(struct live *live);

/* A stored event, after its commit: the message, and its serialized form. Both are copied as
 * needed. Watchers of all instances get it. */
void live_publish(struct live *live, const char *call_id, const Dialplane__V1__CallEvent *event,
                  struct str bytes);
/* Streams the call to `rpc`, which ends by itself after the last event, or with an error. */
void live_watch(struct live *live, struct rpc_call *rpc, const char *call_id, uint64_t after_seq);

/* Outcomes of the contract; whatever else an agent reports is the last. */
#define LIVE_OUTCOMES 7
extern const char *const live_outcomes[LIVE_OUTCOMES];

struct live_stats {
    uint32_t watchers, watched_calls;
    uint64_t ended[LIVE_OUTCOMES]; /* calls whose end this instance has stored */
    uint64_t events_published, messages_sent, polls;
};
void live_stats(const struct live *live, struct live_stats *ret_stats);
const struct bus *live_bus(const struct live *live);

#endif
