/* ingest: group commit. Reports of many calls share a transaction: while some groups are under way,
 * what comes in waits and becomes the next one, so that a group is as large as the load makes it
 * and a lone report waits for nothing. Each report is answered after the commit of its group.
 * Bounded: groups under way, reports, events and bytes of one, reports waiting. */
#ifndef DIALPLANE_ANALYTICS_INGEST_H
#define DIALPLANE_ANALYTICS_INGEST_H

#include "analytics.h"

#include "base/uuid.h"

struct ingest;
struct report;

/* The service is borrowed. NULL when memory is short. */
struct ingest *ingest_new(struct analytics_service *service, unsigned most_groups);
/* Before the pool goes: what waits is ended with CANCELLED, what is under way by the pool. */
void ingest_free(struct ingest *ingest);

/* What became of one report; see report_call_batches() in services/migrations. */
struct ingest_verdict {
    struct str result;
    int64_t accepted, duplicates, last_seq;
};

/* Queues a report; one of its callbacks comes, exactly once, never before this returns. Two reports
 * of one call never share a group. */
void ingest_submit(struct ingest *ingest, struct report *report);

struct ingest_stats {
    uint64_t groups, reports; /* since start */
    unsigned waiting;
};
void ingest_stats(const struct ingest *ingest, struct ingest_stats *ret_stats);

#endif
