/* err: a code, a machine-readable reason and one sentence for people; libraries return it, the edge
 * answers it. */
#ifndef DIALPLANE_BASE_ERR_H
#define DIALPLANE_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* The canonical codes with gRPC's numbers. */
enum err_code {
    ERR_OK = 0,
    ERR_CANCELLED = 1,
    ERR_UNKNOWN = 2,
    ERR_INVALID_ARGUMENT = 3,
    ERR_DEADLINE_EXCEEDED = 4,
    ERR_NOT_FOUND = 5,
    ERR_ALREADY_EXISTS = 6,
    ERR_PERMISSION_DENIED = 7,
    ERR_RESOURCE_EXHAUSTED = 8,
    ERR_FAILED_PRECONDITION = 9,
    ERR_ABORTED = 10,
    ERR_OUT_OF_RANGE = 11,
    ERR_UNIMPLEMENTED = 12,
    ERR_INTERNAL = 13,
    ERR_UNAVAILABLE = 14,
    ERR_DATA_LOSS = 15,
    ERR_UNAUTHENTICATED = 16,
};

/* "INVALID_ARGUMENT"; "UNKNOWN" for a number outside the list. */
const char *err_code_name(enum err_code code);

/* One thing that is wrong with one field. */
struct violation {
    const char *field;   /* path from the request's root: "skillbase.config.llm.temperature" */
    const char *message; /* "must be between 0 and 2, got 3.5" */
    struct violation *next;
};

/* All that is wrong with a request, in the order found. Lives in an arena; beyond `limit` entries
 * only `count` grows. */
struct violations {
    struct arena *arena;
    struct violation *first;
    struct violation *last;
    size_t count;
    size_t limit;
};

void violations_init(struct violations *violations, struct arena *arena, size_t limit);
void violations_add(struct violations *violations, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Zero-initialised means no error. Plain value: copying is fine. */
struct err {
    enum err_code code;
    char reason[48];   /* UPPER_SNAKE word for programs ("SLUG_TAKEN"); empty: none */
    char message[400]; /* one sentence for people; never SQL, never a password, no personal data */
    uint32_t retry_after_seconds;        /* 0: not said */
    const struct violations *violations; /* NULL, or borrowed from the request's arena */
};

/* Sets code, reason (may be NULL) and message; always returns false, so that `return err_set(…)`
 * reads well. err may be NULL. */
bool err_set(struct err *err, enum err_code code, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* INVALID_ARGUMENT "N fields are invalid" (or the only message) carrying the list. */
bool err_set_violations(struct err *err, const struct violations *violations);
static inline bool err_is_set(const struct err *err)
{
    return err->code != ERR_OK;
}

/* Reasons that the gateway maps to an HTTP status of their own. */
#define REASON_ETAG_MISMATCH "ETAG_MISMATCH" /* FAILED_PRECONDITION → 412 */
#define REASON_TOO_LARGE "TOO_LARGE"         /* RESOURCE_EXHAUSTED → 413 */

#endif
