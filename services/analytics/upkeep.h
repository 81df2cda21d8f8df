/* upkeep: what is done in the background, by any one instance at a time (advisory locks say which):
 * folding changes into the figures once a second, removing step by step what deleted companies left
 * behind, and now and then partitions ahead, retention, and rows that count nothing any more. */
#ifndef DIALPLANE_ANALYTICS_UPKEEP_H
#define DIALPLANE_ANALYTICS_UPKEEP_H

#include "analytics.h"

#include <stdint.h>

struct upkeep_options {
    int64_t fold_us;                          /* between two folds */
    int64_t keep_calls_days, keep_turns_days; /* 0: for ever */
};

struct upkeep_figures {
    /* since start */
    uint64_t folded, partitions_made, months_dropped, calls_removed, companies_removed, failures;
};

struct upkeep;

/* The service is borrowed. NULL when memory is short. */
struct upkeep *upkeep_start(struct analytics_service *service,
                            const struct upkeep_options *options);
/* Nothing is started any more. The memory goes now, or with the end of the statement under way. */
void upkeep_stop(struct upkeep *upkeep);
const struct upkeep_figures *upkeep_figures(const struct upkeep *upkeep);

#endif
