/* report_internal: one report on its way, for report.c, report_figures.c and ingest.c. */
#ifndef DIALPLANE_ANALYTICS_REPORT_INTERNAL_H
#define DIALPLANE_ANALYTICS_REPORT_INTERNAL_H

#include "report.h"

#include "domain/figures.h"
#include "ingest.h"

#define REPORT_ARENA_BYTES (32 * 1024 * 1024)

struct report {
    struct rpc_call *call;
    struct analytics_service *service;
    const Dialplane__V1__ReportCallEventsRequest *request;
    void (*on_stored)(struct rpc_call *call, const struct report_outcome *outcome,
                      const struct err *err);
    struct arena *arena; /* of this batch: a stream has many */
    struct uuid call_id;
    struct str *events; /* serialized, as stored and as published */
    struct str *stored; /* of those that are there already: what to compare with, see report.c */
    size_t skipped;     /* events at the front that turned out to be stored already */
    unsigned tries;

    /* Only for a batch that ends its call. */
    int64_t expected_seq, read_seq;
    int64_t started_us;
    struct figures figures;
    const char *outcome; /* what the events so far said of it; NULL: nothing */
    Dialplane__V1__CallMetrics metrics;
    struct str packed_metrics;

    /* Of the queue. */
    struct report *next;
    int64_t bytes;
    bool is_alone; /* its group failed: it is tried by itself, so that the others do not suffer */
};

const Dialplane__V1__CallEvent *report_last_event(const struct report *report);
bool report_ends_call(const struct report *report);
/* What an event says of the call's status and outcome; 0 and NULL: nothing. */
void report_status_of(const Dialplane__V1__CallEvent *event, int64_t *ret_status,
                      const char **ret_outcome);

/* The ends of a report: the memory goes with them. */
void report_end(struct report *report, const struct report_outcome *outcome, const struct err *err);
void report_end_with(struct report *report, enum err_code code, const char *reason,
                     const char *message);
void report_end_out_of_memory(struct report *report);

/* Computes the figures of the call that the batch ends, then submits it. From the stored events
 * too, unless the batch is the whole call and nothing says otherwise (from_store false). */
void report_figures(struct report *report, bool from_store);

/* From ingest. */
void report_on_verdict(struct report *report, const struct ingest_verdict *verdict);
void report_on_failed(struct report *report, const struct pg_outcome *outcome);

#endif
