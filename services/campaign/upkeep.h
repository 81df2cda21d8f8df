/* upkeep: what has to happen without anybody asking: leases that have run out, counts to fold,
 * campaigns that have ended, tasks of deleted campaigns. */
#ifndef DIALPLANE_CAMPAIGN_UPKEEP_H
#define DIALPLANE_CAMPAIGN_UPKEEP_H

#include <stdint.h>

struct campaign_service;
struct upkeep;

/* Every period_us, one statement at a time; several instances do not get into each other's way.
 * NULL: memory is short. */
struct upkeep *upkeep_start(struct campaign_service *service, int64_t period_us);
/* No more statements; one under way may still call back until the pool has gone, so free only after
 * that or when none is. */
void upkeep_stop(struct upkeep *upkeep);

struct upkeep_figures {
    uint64_t refunded, unknown, settled, completed, removed, failures;
};
const struct upkeep_figures *upkeep_figures(const struct upkeep *upkeep);

#endif
