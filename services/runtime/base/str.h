/* str: a slice of bytes that somebody else owns, and the text checks every layer needs. */
#ifndef DIALPLANE_BASE_STR_H
#define DIALPLANE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Not NUL-terminated, not owned. data may be NULL when length is 0. */
struct str {
    const char *data;
    size_t length;
};

#define STR_LITERAL(text) ((struct str){(text), sizeof(text) - 1})

static inline struct str str_from(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

bool str_equal(struct str a, struct str b);
bool str_equal_cstr(struct str a, const char *b);
/* ASCII only; never the locale. */
bool str_equal_ignore_case(struct str a, struct str b);
bool str_starts_with(struct str text, struct str prefix);
/* Without its first `count` bytes, which it has. (Nothing is added to a NULL pointer.) */
static inline struct str str_after(struct str text, size_t count)
{
    return count ? (struct str){text.data + count, text.length - count} : text;
}
/* Without ASCII white space at both ends. */
struct str str_trim(struct str text);

/* The whole text as a decimal integer; false on anything else, overflow included. */
bool str_parse_int64(struct str text, int64_t *ret_value);
bool str_parse_uint64(struct str text, uint64_t *ret_value);

/* True when well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_is_valid(const char *data, size_t length);
/* Code points in valid UTF-8. */
size_t utf8_count(const char *data, size_t length);

/* Base64url without padding (RFC 4648 §5), for page tokens. Decoding gives bytes written, or -1. */
size_t base64url_encode(const void *data, size_t size, char *out, size_t out_size);
long base64url_decode(struct str text, void *out, size_t out_size);

#endif
