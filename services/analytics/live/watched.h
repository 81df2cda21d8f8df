/* watched: one call as its watchers see it: snapshot, running figures, and a ring of the newest
 * events. No I/O: events are given in order, and cursors ask. */
#ifndef ANALYTICS_LIVE_WATCHED_H
#define ANALYTICS_LIVE_WATCHED_H

#include "domain/figures.h"
#include "domain/prices.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include "dialplane/v1/analytics.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Newest events that are kept for watchers at the edge; those further back read the table. */
#define WATCHED_RING_EVENTS 256
#define WATCHED_RING_BYTES (1024 * 1024)

/* An event in the ring: its serialized CallEvent. */
struct watched_event {
    uint64_t seq;
    char *data;
    size_t length;
};

struct watched {
    /* What does not change while it is watched. Owned; NULL: none. */
    char *call_id, *company_id, *skillbase_id, *campaign_id, *phone_number;
    int32_t skillbase_version;
    int64_t started_us;
    bool has_prices; /* of the company's own: the price list in force when the call began */
    struct prices prices;

    /* What events change. */
    Dialplane__V1__CallStatus status;
    char *outcome;
    int64_t ended_us; /* -1: goes on */
    int64_t last_event_us;
    uint64_t last_seq; /* the newest event applied; all before it have been */
    struct figures figures;
    int64_t livekit_ms; /* as reported at the end; -1: not reported */
    bool has_sentiment, has_confidence;
    double sentiment, confidence;
    char *outcome_reason;

    struct watched_event ring[WATCHED_RING_EVENTS];
    size_t ring_first, ring_count, ring_bytes;
};

void watched_done(struct watched *watched);
/* Applies the event with seq last_seq + 1: anything else is a mistake of the caller. bytes is its
 * serialized form. False when memory is short: the call must then be loaded anew. */
bool watched_apply(struct watched *watched, const Dialplane__V1__CallEvent *event,
                   struct str bytes);
/* The serialized event in the ring, or {NULL, 0} when it has to be read from the table. */
struct str watched_event(const struct watched *watched, uint64_t seq);
static inline bool watched_has_ended(const struct watched *watched)
{
    return watched->ended_us >= 0;
}
/* The running totals as a message whose pointers lead into `watched`. created_at is left out while
 * the call goes on and is the end of the call afterwards. `at` is memory for that Timestamp.
 * `prices` hold when the company has no list of its own. */
bool watched_metrics(const struct watched *watched, const struct prices *prices,
                     Google__Protobuf__Timestamp *at, Dialplane__V1__CallMetrics *ret_metrics);

#endif
