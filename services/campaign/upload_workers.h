/* upload_workers: threads that read call lists, off the loop's thread because reading blocks on
 * files and decompression, and phone numbers cost microseconds. Each runs a loop of its own; the
 * only way to one and back is the mailbox. */
#ifndef DIALPLANE_CAMPAIGN_UPLOAD_WORKERS_H
#define DIALPLANE_CAMPAIGN_UPLOAD_WORKERS_H

#include "base/buf.h"
#include "base/err.h"
#include "domain/call_list.h"
#include "loop/loop.h"
#include "readers/reader.h"

struct upload_workers;
struct vault;

struct upload_workers_settings {
    unsigned threads;
    const char *region;        /* for numbers without country code, or NULL */
    const char *phone_aliases; /* see header_options */
    struct reader_limits limits;
};

enum upload_kind {
    UPLOAD_CONTACTS,
    UPLOAD_SUPPRESSIONS, /* a phone_number may also be a prefix that ends with '*', and keeps it */
};

/* What an uploader says about a file. Texts are copied. */
struct upload_options {
    enum upload_kind kind;
    int64_t row_limit;
    int64_t error_rows;  /* see call_list_options */
    const char *region;  /* NULL: the service's */
    const char *charset; /* NULL: detected */
    const char *sheet;   /* name or number; NULL: the first visible one */
    bool is_gzip;        /* it is said to be compressed */
    const struct column_mapping *mappings;
    size_t mapping_count;
    /* Of contacts: what encrypts them, and where they go (ids as text). NULL: nothing is. */
    const struct vault *vault;
    const char *campaign_id, *upload_id;
};

/* One piece of work and its answer; one is under way for a file at a time, and nobody else touches
 * any of it until `done`. */
struct upload_work {
    struct loop_letter letter; /* the workers' */
    struct upload_workers *workers;
    struct reader *reader;
    struct call_list *list;
    struct str unread; /* of `in`; the workers' */
    struct buf in;     /* a piece of the file; not looked at while has_more */
    bool is_end;       /* no piece comes after it */
    struct buf out;    /* lines for COPY; may be empty */
    bool has_more;     /* out is what fitted: take it and do the same work again */
    struct err err;    /* the file is refused */
    void (*done)(struct upload_work *work); /* on the loop of upload_workers_new() */
};

/* NULL when a thread cannot be made. Texts of the settings must live as long. */
struct upload_workers *upload_workers_new(struct loop *loop,
                                          const struct upload_workers_settings *settings);
/* Waits for the threads; no work may be under way. */
void upload_workers_free(struct upload_workers *workers);
/* Makes reader and list, and initialises in and out. False with err INVALID_ARGUMENT (with
 * violations in `arena`: charset, column.x) or RESOURCE_EXHAUSTED; nothing is held then. */
bool upload_work_open(struct upload_workers *workers, const struct upload_options *options,
                      struct arena *arena, struct upload_work *work, struct err *err);
/* Frees what open made. Not while the work is under way; NULL parts are fine. */
void upload_work_close(struct upload_work *work);
/* Which thread does it follows from the file, so that its pieces stay in order. */
void upload_work_do(struct upload_work *work);

#endif
