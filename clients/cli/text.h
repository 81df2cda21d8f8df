/* text: what text looks like in a terminal: its width in columns, and what of it may be shown. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "base/buf.h"
#include "base/str.h"

/* Columns that text takes: 2 for wide East Asian characters and emoji, 0 for combining ones
 * (Unicode as GLib knows it, never the locale). Bad UTF-8 counts 1 a byte. */
size_t text_width(struct str text);
/* Bytes of the longest beginning that takes at most `columns`; never cuts a character. */
size_t text_fit(struct str text, size_t columns);
/* Appends text as a terminal may be given it: line breaks and tabs become blanks, and what could
 * move the cursor, change colours or turn the direction of writing (control characters, escape
 * sequences, bidi overrides), as well as bad UTF-8, becomes U+FFFD. Names and contacts come from
 * anybody. */
void text_put_clean(struct buf *out, struct str text);
/* Appends clean text in exactly `columns`: blanks after it (before it when `right`), cut with "…"
 * when it is wider. */
void text_put_padded(struct buf *out, struct str text, size_t columns, bool right);
/* Appends the words of text in lines of at most `width` columns, each behind `indent` blanks; a
 * line break of the text stays one. Ends with a line break. */
void text_put_wrapped(struct buf *out, struct str text, size_t indent, size_t width);
/* 1234567 as "1,234,567". */
void text_put_count(struct buf *out, int64_t count);

#endif
