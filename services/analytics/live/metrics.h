/* metrics: what live has to say on /metrics, beyond main.c's. */
#ifndef ANALYTICS_LIVE_METRICS_H
#define ANALYTICS_LIVE_METRICS_H

#include "analytics.h"
#include "base/buf.h"

void collect_live(struct buf *out, const struct analytics_service *service);

#endif
