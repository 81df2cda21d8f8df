/* stats: the figures of one thread, for /metrics. Only its own thread touches them; stats_add()
 * sums them up as the question goes from thread to thread. */
#ifndef GATEWAY_CALL_STATS_H
#define GATEWAY_CALL_STATS_H

#include "base/err.h"
#include "gateway/policy/rate_limit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATS_STATUSES 26
#define STATS_BUCKETS 14

extern const unsigned stats_status_codes[STATS_STATUSES]; /* the last stands for all others: 0 */
extern const int64_t stats_bucket_us[STATS_BUCKETS - 1];  /* the last bucket is +Inf */

struct stats_route {
    uint64_t by_status[STATS_STATUSES];
    uint64_t buckets[STATS_BUCKETS];
    uint64_t duration_us;
};

struct stats {
    struct stats_route *routes; /* of the router's, then STATS_PAGES, then STATS_UNKNOWN */
    size_t route_count;
    uint64_t bytes_sent;
    uint64_t in_flight;
    uint64_t live_streams, live_watchers, live_events, live_cut;
    uint64_t live_behind, live_resumed;   /* now; ever */
    uint64_t rate_limited[2][RATE_SLOTS]; /* answered 429: by address, by principal */
};

/* route_count: of the router. */
bool stats_init(struct stats *stats, size_t route_count);
void stats_done(struct stats *stats);
static inline size_t stats_pages(const struct stats *stats)
{
    return stats->route_count - 2;
}
static inline size_t stats_unknown(const struct stats *stats)
{
    return stats->route_count - 1;
}
void stats_count(struct stats *stats, size_t route, unsigned status, int64_t duration_us,
                 uint64_t bytes);
void stats_add(struct stats *sum, const struct stats *stats);

#endif
