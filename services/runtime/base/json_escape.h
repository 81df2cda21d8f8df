/* json_escape: one step of writing text as a JSON string; shared by buf (grows) and log (must not
 * allocate). */
#ifndef DIALPLANE_BASE_JSON_ESCAPE_H
#define DIALPLANE_BASE_JSON_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_ESCAPE_SIZE 8

/* True for a byte that stands for itself inside a JSON string: ASCII, printable, neither " nor \.
 */
static inline bool json_is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Writes what the first character of data (length > 0) looks like inside a JSON string to `out`,
 * without NUL, and returns its size; *ret_consumed is the bytes of data it stands for. Bad UTF-8
 * becomes U+FFFD. */
size_t json_escape_one(const char *data, size_t length, size_t *ret_consumed,
                       char out[JSON_ESCAPE_SIZE]);
/* Bytes of the well-formed UTF-8 character that data begins with; 0 when it does not. */
size_t utf8_character_size(const unsigned char *data, size_t length);

#endif
