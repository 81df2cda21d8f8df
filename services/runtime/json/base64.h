/* base64: bytes fields as text (RFC 4648): standard alphabet with padding out; either alphabet,
 * padding or not, in. */
#ifndef DIALPLANE_JSON_BASE64_H
#define DIALPLANE_JSON_BASE64_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

static inline size_t json_base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}
/* Writes json_base64_size(bytes.length) characters. */
void json_base64_put(struct str bytes, char *out);
/* Writes at most text.length / 4 * 3 + 2 bytes; false when the text is not base64 (bits that no
 * byte uses must be zero). */
bool json_base64_read(struct str text, char *out, size_t *ret_size);

#endif
