/* rate_share: several gateways keep one budget. Each counts for itself and tells the others every
 * 100 ms over the bus (Redis pub/sub) what it has let through; what others say is taken out of its
 * own buckets. No request ever waits for Redis.
 *
 * Error: what N gateways let through before they have heard of each other, so that over any time
 * they allow at most the rule's rate * time + burst, and (N - 1) times what one of them lets
 * through in 100 ms and the time of a message, which is at most its burst. It is not lost but owed:
 * later requests pay for it. A message that is lost (Redis away) is not repeated: meanwhile each
 * gateway limits for itself. */
#ifndef GATEWAY_POLICY_RATE_SHARE_H
#define GATEWAY_POLICY_RATE_SHARE_H

#include "gateway/policy/rate_limit.h"
#include "loop/loop.h"

/* Buckets that are shared, and their rules by slot; borrowed. */
struct rate_shared {
    struct rate_table *table;
    const struct rate_rule *rules; /* RATE_SLOTS */
};
#define RATE_SHARED_TABLES 2

struct rate_share;

/* url as of bus_new(); what it says goes to the log once an outage. The loop's thread. NULL with
 * err. */
struct rate_share *rate_share_new(struct loop *loop, const char *url,
                                  const struct rate_shared shared[RATE_SHARED_TABLES],
                                  struct err *err);
void rate_share_free(struct rate_share *share);
bool rate_share_is_up(const struct rate_share *share);

/* What others say, as it comes: pure but for the tables. False: malformed (what was good before is
 * taken). */
bool rate_share_apply(const struct rate_shared shared[RATE_SHARED_TABLES], struct str message,
                      int64_t now_us);

#endif
