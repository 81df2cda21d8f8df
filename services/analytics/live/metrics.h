/* metrics: what live has to say on /metrics, beyond main.c's. */
#ifndef ANALYTICS_LIVE_METRICS_H
#define ANALYTICS_LIVE_METRICS_H

#include "analytics.h"
#include "base/buf.h"

/* Calls under way, and what deleted companies have left behind, as collect_live() shows them.
 * NULL: memory is short. */
struct database_metrics *active_calls_new(struct loop *loop, struct pg_pool *pool);
struct database_metrics *calls_to_remove_new(struct loop *loop, struct pg_pool *pool);
void collect_live(struct buf *out, const struct analytics_service *service);

#endif
