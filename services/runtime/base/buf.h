/* buf: bytes that grow at the end, with a cap and a sticky error, so that writers read straight. */
#ifndef DIALPLANE_BASE_BUF_H
#define DIALPLANE_BASE_BUF_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise, then set limit (0: 16 MB). Owns data (malloc). */
struct buf {
    char *data;
    size_t length;
    size_t capacity;
    size_t limit;
    bool failed; /* a write passed the limit or memory was short: what is here is not whole */
};

void buf_init(struct buf *buf, size_t limit);
void buf_done(struct buf *buf);
/* Empties it and keeps the memory; clears `failed`. */
void buf_reset(struct buf *buf);
/* Room for at least `size` more bytes at data + length; NULL (and failed) when not to be had. */
char *buf_reserve(struct buf *buf, size_t size);
void buf_put(struct buf *buf, const void *data, size_t size);
void buf_put_char(struct buf *buf, char byte);
void buf_put_str(struct buf *buf, struct str text);
void buf_put_cstr(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops `size` bytes from the front. */
void buf_consume(struct buf *buf, size_t size);
/* The bytes as a NUL-terminated malloc'ed string that the caller frees; the buf is empty
 * afterwards. */
char *buf_take_cstr(struct buf *buf);
static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->data, buf->length};
}

/* Appends text as a JSON string with its quotes (RFC 8259 §7); bad UTF-8 becomes U+FFFD. */
void buf_put_json_string(struct buf *buf, struct str text);

#endif
