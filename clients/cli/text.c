#include "text.h"

#include "base/json_escape.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>

#define ELLIPSIS "…"
#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* The character that text begins with, and its size; a bad byte is 0xFFFD of size 1. */
static gunichar first_character(struct str text, size_t *ret_size)
{
    size_t size = utf8_character_size((const unsigned char *)text.data, text.length);
    *ret_size = size ? size : 1;
    return size ? g_utf8_get_char(text.data) : 0xFFFD;
}

static size_t character_width(gunichar character)
{
    if (g_unichar_iszerowidth(character))
        return 0;
    return g_unichar_iswide(character) ? 2 : 1;
}

size_t text_width(struct str text)
{
    size_t width = 0, size;
    for (; text.length; text.data += size, text.length -= size)
        width += character_width(first_character(text, &size));
    return width;
}

size_t text_fit(struct str text, size_t columns)
{
    size_t at = 0, size;
    while (at < text.length) {
        struct str rest = {text.data + at, text.length - at};
        size_t width = character_width(first_character(rest, &size));
        if (width > columns)
            break;
        columns -= width;
        at += size;
    }
    return at;
}

static bool is_harmful(gunichar character)
{
    if (character >= 0x202A && character <= 0x202E)
        return true; /* embeddings and overrides of the direction */
    if (character >= 0x2066 && character <= 0x2069)
        return true; /* isolates */
    return character < 0x20 || (character >= 0x7F && character < 0xA0);
}

void text_put_clean(struct buf *out, struct str text)
{
    size_t size;
    for (; text.length; text.data += size, text.length -= size) {
        gunichar character = first_character(text, &size);
        if (character == '\n' || character == '\t' || character == '\r')
            buf_put_char(out, ' ');
        else if (character == 0xFFFD || is_harmful(character))
            buf_put_cstr(out, REPLACEMENT);
        else
            buf_put(out, text.data, size);
    }
}

static void put_blanks(struct buf *out, size_t count)
{
    while (count--)
        buf_put_char(out, ' ');
}

void text_put_padded(struct buf *out, struct str text, size_t columns, bool right)
{
    size_t width = text_width(text);
    if (width <= columns) {
        if (right)
            put_blanks(out, columns - width);
        buf_put_str(out, text);
        if (!right)
            put_blanks(out, columns - width);
        return;
    }
    if (columns == 0)
        return;
    struct str part = {text.data, text_fit(text, columns - 1)};
    buf_put_str(out, part);
    buf_put_cstr(out, ELLIPSIS);
    put_blanks(out, columns - 1 - text_width(part)); /* a wide character did not fit in half */
}

void text_put_wrapped(struct buf *out, struct str text, size_t indent, size_t width)
{
    size_t column = 0;
    while (text.length) {
        size_t blanks = 0, word = 0;
        while (blanks < text.length && text.data[blanks] == ' ')
            blanks++;
        while (blanks + word < text.length && text.data[blanks + word] != ' ' &&
               text.data[blanks + word] != '\n')
            word++;
        struct str next = {text.data + blanks, word};
        size_t columns = text_width(next);
        if (word && column && column + 1 + columns > width) {
            buf_put_char(out, '\n');
            column = 0;
        }
        if (word && column == 0) {
            put_blanks(out, indent);
            column = indent;
        } else if (word) {
            buf_put_char(out, ' ');
            column++;
        }
        buf_put_str(out, next);
        column += columns;
        text.data += blanks + word;
        text.length -= blanks + word;
        if (text.length && text.data[0] == '\n') {
            buf_put_char(out, '\n');
            column = 0;
            text.data++;
            text.length--;
        }
    }
    if (column)
        buf_put_char(out, '\n');
}

void text_put_count(struct buf *out, int64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRId64, count);
    for (int i = 0; i < length; i++) {
        buf_put_char(out, digits[i]);
        if (digits[i] != '-' && i + 1 < length && (length - i - 1) % 3 == 0)
            buf_put_char(out, ',');
    }
}
