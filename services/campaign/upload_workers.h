/* upload_workers: threads that read call lists, off the loop's thread because a phone number takes
 * 15 µs. Each runs a loop of its own; the only way to one and back is the mailbox. */
#ifndef DIALPLANE_CAMPAIGN_UPLOAD_WORKERS_H
#define DIALPLANE_CAMPAIGN_UPLOAD_WORKERS_H

#include "base/buf.h"
#include "base/err.h"
#include "domain/call_list.h"
#include "loop/loop.h"

struct upload_workers;

/* One piece of work and its answer; one is under way for a list at a time, and nobody else touches
 * any of it until `done`. */
struct upload_work {
    struct loop_letter letter; /* the workers' */
    struct upload_workers *workers;
    struct call_list *list;
    struct buf in;                          /* a piece of the file */
    bool is_end;                            /* no piece: the file has ended */
    struct buf out;                         /* lines for COPY */
    struct err err;                         /* the file is refused */
    void (*done)(struct upload_work *work); /* on the loop of upload_workers_new() */
};

/* NULL when a thread cannot be made. region: for numbers without country code, or NULL. */
struct upload_workers *upload_workers_new(struct loop *loop, unsigned threads, const char *region);
/* Waits for the threads; no work may be under way. */
void upload_workers_free(struct upload_workers *workers);
/* A list whose rows are checked by the workers. NULL: memory is short. */
struct call_list *upload_workers_list(struct upload_workers *workers, int64_t row_limit);
/* The same for a do-not-call list: a phone_number may also be a prefix that ends with '*', and
 * keeps it. */
struct call_list *upload_workers_suppressions(struct upload_workers *workers, int64_t row_limit);
/* Which thread does it follows from work->list, so the pieces of a list stay in order. */
void upload_workers_do(struct upload_workers *workers, struct upload_work *work);

#endif
