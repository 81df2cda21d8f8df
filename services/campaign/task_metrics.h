/* task_metrics: tasks by campaign and state, for /metrics. Few campaigns are named, so that the
 * series stay few; the rest are "other". */
#ifndef DIALPLANE_CAMPAIGN_TASK_METRICS_H
#define DIALPLANE_CAMPAIGN_TASK_METRICS_H

#include "service/database_metrics.h"

/* campaigns: most that are named. NULL: memory is short. */
struct database_metrics *task_metrics_new(struct loop *loop, struct pg_pool *pool,
                                          int64_t campaigns);

#endif
