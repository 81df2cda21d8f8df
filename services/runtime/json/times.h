/* times: the text forms of google.protobuf.Timestamp and Duration, to the nanosecond. */
#ifndef DIALPLANE_JSON_TIMES_H
#define DIALPLANE_JSON_TIMES_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that the writers below may need. */
#define JSON_TIME_TEXT_SIZE 40

/* RFC 3339 with an offset, years 0001..9999 in UTC, at most 9 fraction digits, upper case T and Z.
 */
bool json_timestamp_read(struct str text, int64_t *ret_seconds, int32_t *ret_nanos);
/* "2026-01-17T09:30:00.123456Z": 6 fraction digits, or 9 when `nine` and the last three say
 * something. Returns the length (no NUL), 0 when the time is out of range. */
size_t json_timestamp_put(int64_t seconds, int32_t nanos, bool nine, char *out);

/* "1.5s", "-3s": at most 9 fraction digits, at most 10,000 years. */
bool json_duration_read(struct str text, int64_t *ret_seconds, int32_t *ret_nanos);
/* With 0, 3, 6 or 9 fraction digits. Returns the length (no NUL), 0 when out of range or when the
 * signs differ. */
size_t json_duration_put(int64_t seconds, int32_t nanos, char *out);

#endif
