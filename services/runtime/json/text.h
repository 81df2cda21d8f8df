/* text: JSON strings at the level of bytes: find the plain run, check UTF-8 on the way, escape. */
#ifndef DIALPLANE_JSON_TEXT_H
#define DIALPLANE_JSON_TEXT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first byte in [at, end) that cannot stand as it is inside a JSON string: a quote, a
 * backslash, a control character, or the first byte of something that is not UTF-8 (RFC 3629: no
 * surrogates, no overlong forms). `end` when there is none. Bytes up to `readable_end` (>= end) may
 * be looked at, but do not count. */
const char *json_plain_end(const char *at, const char *end, const char *readable_end);

/* Appends text as a JSON string with its quotes. False when it is not UTF-8, or when out failed.
 * Bytes up to readable_end
 * (>= the text's end) may be looked at. */
bool json_put_string(struct buf *out, struct str text, const char *readable_end);

/* Room for `size` bytes at the end of the buffer, without the call in the usual case; NULL as
 * buf_reserve(). */
static inline char *json_room(struct buf *out, size_t size)
{
    if (__builtin_expect(out->capacity - out->length >= size && !out->failed && out->data, 1))
        return out->data + out->length;
    return buf_reserve(out, size);
}

#endif
