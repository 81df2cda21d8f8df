/* call_list: the rows of a call list become contacts, or sentences about what is wrong with a row.
 * Rows in, COPY lines out; no I/O: who knows phone numbers and time zones is asked through two
 * functions. Used by one thread at a time; the counts may be read between two pieces of work. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_CALL_LIST_H
#define DIALPLANE_CAMPAIGN_DOMAIN_CALL_LIST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "domain/header.h"
#include "domain/list_row.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_LIST_ERRORS_LISTED 1000
#define CALL_LIST_ORIGINAL_BYTES ((size_t)16 * 1024)
#define PHONE_TEXT_SIZE 24
#define PHONE_PROBLEM_SIZE 200

/* What a number turned out to be. */
struct phone_answer {
    char e164[PHONE_TEXT_SIZE];       /* NUL-terminated; for a prefix with its '*' */
    char problem[PHONE_PROBLEM_SIZE]; /* when it is none: what follows `phone_number "…" ` */
};

struct call_list_options {
    int64_t row_limit;            /* rows of data, good or bad */
    int64_t error_rows;           /* bad rows that get a line; more of them are only counted */
    size_t pause_bytes;           /* of output, after which a row asks for a pause */
    struct header_options header; /* copied; texts stay the caller's as long as the list lives */
    /* To E.164. `text` is trimmed, valid UTF-8 and not empty. */
    bool (*normalise_phone)(void *context, struct str text, struct phone_answer *ret_answer);
    bool (*is_time_zone)(struct str name);
    /* What a row's contact_data and a refused row's cells become before they go out: append to
     * `out`, which is empty; false when memory is short. NULL: they stay as they are. */
    bool (*seal_contact)(void *context, const char *e164, struct str json, struct buf *out);
    bool (*seal_original)(void *context, int64_t row, struct str json, struct buf *out);
    uint64_t (*random)(void *context);
    void *context;
    void (*free_context)(void *context); /* with the list; may be NULL */
    int64_t now_ms;                      /* goes into the ids */
};

struct call_list;
struct call_list *call_list_new(const struct call_list_options *options);
void call_list_free(struct call_list *list);

/* Where the lines go from now on. */
void call_list_set_out(struct call_list *list, struct buf *out);
/* Takes a row; the first names the columns. Appends one line in COPY's text format for every row of
 * data, good or (as far as error_rows) bad:
 *   row_number, id, phone_number, contact_name, priority, timezone, contact_data, phone_raw,
 *   error_column, error, original
 * Of a good row phone_raw is the cell as it was, when that is not the E.164 text itself, and what
 * follows is null. Of a bad one all from id to phone_raw are null, error_column is the name of the
 * column in the file (null: it is about the whole row), error says why, and original is a JSON
 * array of its cells, the first CALL_LIST_ORIGINAL_BYTES of them. Ids are UUIDv7 in the order of
 * the rows. False: a pause is due, or the file as a whole is refused (call_list_err). */
bool call_list_on_row(void *list, const struct list_row *row);
/* The end of the file; false with err when there was not even a header. */
bool call_list_end(struct call_list *list, struct err *err);
/* Why the file is refused; not set while it is not. */
const struct err *call_list_err(const struct call_list *list);

/* Rows of data seen, rows refused, and what was wrong with the first CALL_LIST_ERRORS_LISTED of
 * those ("Row 7: phone_number is empty"). */
int64_t call_list_total(const struct call_list *list);
int64_t call_list_error_count(const struct call_list *list);
size_t call_list_errors(const struct call_list *list, const char *const **ret_errors);
/* Names of all columns as the header has them, as a JSON array; "[]" before the header. The list's.
 */
const char *call_list_column_names(const struct call_list *list);
/* Names of the columns that go to contact_data, in the order of the file; none before the header.
 */
size_t call_list_columns(const struct call_list *list, const char *const **ret_names);

#endif
