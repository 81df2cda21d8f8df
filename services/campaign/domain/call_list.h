/* call_list: a call list in CSV becomes contacts, or sentences about what is wrong with a row.
 * Bytes in, COPY rows out; no I/O: who knows phone numbers and time zones is asked through two
 * functions. Used by one thread at a time. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_CALL_LIST_H
#define DIALPLANE_CAMPAIGN_DOMAIN_CALL_LIST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_LIST_ERRORS_LISTED 1000
#define PHONE_TEXT_SIZE 24

enum phone_verdict { PHONE_OK, PHONE_INVALID, PHONE_NO_COUNTRY };

struct call_list_options {
    int64_t row_limit; /* rows of data, good or bad */
    /* To E.164, NUL-terminated. */
    enum phone_verdict (*normalise_phone)(void *context, struct str text,
                                          char out[PHONE_TEXT_SIZE]);
    bool (*is_time_zone)(struct str name);
    uint64_t (*random)(void *context);
    void *context;
    void (*free_context)(void *context); /* with the list; may be NULL */
    int64_t now_ms;                      /* goes into the ids */
};

struct call_list;
struct call_list *call_list_new(const struct call_list_options *options);
void call_list_free(struct call_list *list);

/* Reads a piece of the file and appends a line in COPY's text format for each good row to `out`:
 * id, phone_number, contact_name, priority, timezone, contact_data. Ids are UUIDv7 in the order of
 * the rows. False: the file as a whole is refused. */
bool call_list_feed(struct call_list *list, struct str bytes, struct buf *out, struct err *err);
bool call_list_end(struct call_list *list, struct buf *out, struct err *err);

/* Rows of data seen, rows refused, and what was wrong with the first CALL_LIST_ERRORS_LISTED of
 * those. */
int64_t call_list_total(const struct call_list *list);
int64_t call_list_error_count(const struct call_list *list);
size_t call_list_errors(const struct call_list *list, const char *const **ret_errors);

#endif
