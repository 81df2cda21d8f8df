/* report: stores one batch of a call's events, in one transaction, and tells the watchers after the
 * commit. */
#ifndef DIALPLANE_ANALYTICS_REPORT_H
#define DIALPLANE_ANALYTICS_REPORT_H

#include "analytics.h"

struct report_outcome {
    int64_t accepted, duplicates;
    uint64_t last_seq; /* the newest event on disk */
};

/* `request` has been checked and stays until on_stored, which comes exactly once: with an outcome
 * (err NULL), or with an error. The call is not ended here. */
void report_store(struct rpc_call *call, const Dialplane__V1__ReportCallEventsRequest *request,
                  void (*on_stored)(struct rpc_call *call, const struct report_outcome *outcome,
                                    const struct err *err));

#endif
