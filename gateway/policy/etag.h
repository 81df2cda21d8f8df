/* etag: entity tags of answers and the conditions on them (RFC 9110 §8.8.3, §13.1). Pure.
 * A tag is "<revision>-<hash>": the resource's revision (µs of its last edit, hexadecimal), which
 * If-Match compares, and a hash of the whole body, which If-None-Match compares; "<hash>" where
 * there is no revision. */
#ifndef GATEWAY_POLICY_ETAG_H
#define GATEWAY_POLICY_ETAG_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define ETAG_NO_REVISION INT64_MIN
#define ETAG_SIZE 40

/* revision_us: ETAG_NO_REVISION when the resource has none. NUL-terminated, with its quotes; gives
 * its length. */
size_t etag_make(int64_t revision_us, struct str body, char out[ETAG_SIZE]);

/* If-None-Match: true when the answer is to be 304. Weak comparison; "*" matches everything. */
bool etag_none_match(struct str header, struct str etag);

/* If-Match. */
enum etag_condition {
    ETAG_ANY,       /* "*": only that it exists */
    ETAG_REVISION,  /* *ret_revision_us; -1 for what can match nothing: weak, without a revision,
                       malformed */
    ETAG_AMBIGUOUS, /* tags of different revisions: a service compares one */
};
enum etag_condition etag_match(struct str header, int64_t *ret_revision_us);

#endif
