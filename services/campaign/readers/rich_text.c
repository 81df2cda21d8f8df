#include "readers/rich_text.h"

#include "domain/list_row.h"

#define ESCAPE_BYTES 7 /* _x000D_ */

void rich_text_init(struct rich_text *rich)
{
    memset(rich, 0, sizeof(*rich));
    buf_init(&rich->text, LIST_CELL_LIMIT_BYTES + 8);
}

void rich_text_done(struct rich_text *rich)
{
    buf_done(&rich->text);
}

void rich_text_begin(struct rich_text *rich)
{
    buf_reset(&rich->text);
    rich->in_phonetic = 0;
    rich->in_text = false;
}

void rich_text_start(struct rich_text *rich, const char *name)
{
    if (!strcmp(name, "rPh"))
        rich->in_phonetic++;
    else if (!strcmp(name, "t"))
        rich->in_text = !rich->in_phonetic;
}

void rich_text_end(struct rich_text *rich, const char *name)
{
    if (!strcmp(name, "rPh") && rich->in_phonetic)
        rich->in_phonetic--;
    else if (!strcmp(name, "t"))
        rich->in_text = false;
}

void rich_text_put(struct rich_text *rich, struct str text)
{
    size_t room = LIST_CELL_LIMIT_BYTES + 1 - rich->text.length;

    if (rich->in_text)
        buf_put(&rich->text, text.data, text.length < room ? text.length : room);
}

/* The character of "_x000D_", or -1. */
static int escaped(const char *p)
{
    int value = 0;

    if (p[0] != '_' || (p[1] != 'x' && p[1] != 'X') || p[6] != '_')
        return -1;
    for (int i = 2; i < 6; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Only what XML cannot hold is written so, and the '_' that begins such a text. */
static void unescape(struct buf *text)
{
    size_t to = 0;

    for (size_t at = 0; at < text->length;) {
        int character = at + ESCAPE_BYTES <= text->length ? escaped(text->data + at) : -1;

        if (character >= 0 && (character < 0x20 || character == '_')) {
            if (character) /* a NUL is no text */
                text->data[to++] = (char)character;
            at += ESCAPE_BYTES;
        } else {
            text->data[to++] = text->data[at++];
        }
    }
    text->length = to;
}

struct str rich_text_take(struct rich_text *rich)
{
    if (rich->text.length >= ESCAPE_BYTES && memmem(rich->text.data, rich->text.length, "_x", 2))
        unescape(&rich->text);
    return buf_str(&rich->text);
}
