#include "base/buf.h"

#include "base/json_escape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_LIMIT_BYTES ((size_t)16 * 1024 * 1024)
#define FIRST_CAPACITY ((size_t)256)

void buf_init(struct buf *buf, size_t limit)
{
    *buf = (struct buf){.limit = limit};
}

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.limit = buf->limit};
}

void buf_reset(struct buf *buf)
{
    buf->length = 0;
    buf->failed = false;
}

static char *fail(struct buf *buf)
{
    buf->failed = true;
    return NULL;
}

char *buf_reserve(struct buf *buf, size_t size)
{
    size_t limit = buf->limit ? buf->limit : DEFAULT_LIMIT_BYTES;

    if (buf->failed)
        return NULL;
    if (buf->data && size <= buf->capacity - buf->length)
        return buf->data + buf->length;
    /* A reused buffer may be longer than a limit that was lowered since. */
    if (buf->length > limit || size > limit - buf->length)
        return fail(buf);
    size_t capacity = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity;

    while (capacity - buf->length < size)
        capacity = capacity > limit / 2 ? limit : capacity * 2;
    if (capacity > limit)
        capacity = limit;
    char *data = realloc(buf->data, capacity ? capacity : 1);

    if (!data)
        return fail(buf);
    buf->data = data;
    buf->capacity = capacity;
    return data + buf->length;
}

void buf_put(struct buf *buf, const void *data, size_t size)
{
    char *room = buf_reserve(buf, size);

    if (!room || !size)
        return;
    memcpy(room, data, size);
    buf->length += size;
}

void buf_put_char(struct buf *buf, char byte)
{
    buf_put(buf, &byte, 1);
}

void buf_put_str(struct buf *buf, struct str text)
{
    buf_put(buf, text.data, text.length);
}

void buf_put_cstr(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    char small[256];
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(small, sizeof(small), format, arguments);

    if (length < 0) {
        fail(buf);
    } else if ((size_t)length < sizeof(small)) {
        buf_put(buf, small, (size_t)length);
    } else {
        /* vsnprintf wants room for its NUL, which must not cost a byte of the cap. */
        char *large = malloc((size_t)length + 1);

        if (large) {
            vsnprintf(large, (size_t)length + 1, format, again);
            buf_put(buf, large, (size_t)length);
            free(large);
        } else {
            fail(buf);
        }
    }
    va_end(again);
    va_end(arguments);
}

void buf_consume(struct buf *buf, size_t size)
{
    if (size >= buf->length) {
        buf->length = 0;
        return;
    }
    if (size)
        memmove(buf->data, buf->data + size, buf->length - size);
    buf->length -= size;
}

char *buf_take_cstr(struct buf *buf)
{
    /* The NUL is not content: it may stand one byte beyond the cap. */
    char *text = buf->failed ? NULL : realloc(buf->data, buf->length + 1);

    if (!text) {
        buf_done(buf);
        return NULL;
    }
    text[buf->length] = '\0';
    buf->data = NULL;
    buf_done(buf);
    return text;
}

void buf_put_json_string(struct buf *buf, struct str text)
{
    size_t at = 0;

    buf_put_char(buf, '"');
    while (at < text.length) {
        size_t plain = at;

        while (plain < text.length && json_is_plain((unsigned char)text.data[plain]))
            plain++;
        if (plain > at) {
            buf_put(buf, text.data + at, plain - at);
            at = plain;
            continue;
        }
        char escaped[JSON_ESCAPE_SIZE];
        size_t consumed;
        size_t size = json_escape_one(text.data + at, text.length - at, &consumed, escaped);

        buf_put(buf, escaped, size);
        at += consumed;
    }
    buf_put_char(buf, '"');
}
