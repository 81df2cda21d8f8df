/* table: rows and columns of text, laid out for a terminal's width. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/buf.h"
#include "base/str.h"

struct table_column {
    const char *title;
    bool right;      /* numbers */
    bool may_shrink; /* cut with "…" where the width is short; others are shown whole or not */
    unsigned
        drop; /* where the width is short, columns with the highest number go first; 0: never */
};

struct table;

#define TABLE_COLUMNS_MAX 24

/* columns are borrowed, at most TABLE_COLUMNS_MAX. NULL: no memory. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);
/* One cell after the other, row by row; text is cleaned (text_put_clean) and copied. style: an SGR
 * sequence such as "32" (green), or NULL. */
void table_add(struct table *table, struct str text, const char *style);
size_t table_row_count(const struct table *table);
/* Appends the titles and all rows. width: columns of the terminal; 0: as wide as it is. Without
 * `styled` no escape sequence is written. */
void table_print(const struct table *table, size_t width, bool styled, struct buf *out);

#endif
