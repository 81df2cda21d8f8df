/* list_row: one row of a table, whatever the format that it was read from; and how reading it goes
 * on. What every reader of call lists hands to whoever wants the rows. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_LIST_ROW_H
#define DIALPLANE_CAMPAIGN_DOMAIN_LIST_ROW_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIST_CELL_LIMIT_BYTES ((size_t)64 * 1024)
#define LIST_ROW_LIMIT_BYTES ((size_t)1024 * 1024)
#define LIST_COLUMN_LIMIT 512

/* Valid during the callback. Rows without any cell are not reported, but counted in `number`. */
struct list_row {
    int64_t number; /* as a spreadsheet shows it: the header is row 1; a newline inside a cell
                       counts for nothing */
    const struct str *cells; /* text; from a text file not checked to be UTF-8 */
    size_t count;     /* cells in the row, at most LIST_COLUMN_LIMIT of them are in `cells` */
    size_t long_cell; /* index from 1 of the first cell over LIST_CELL_LIMIT_BYTES (it is cut); 0:
                         none */
    bool is_too_long; /* over LIST_ROW_LIMIT_BYTES in all: cells are cut */
    bool is_sheet;    /* from a spreadsheet: a row ends with its last cell that has something in it,
                         and may be wider than the first one */
    const char *charset; /* what the file was converted from; NULL: it is UTF-8 */
};

/* False asks the reader to pause after this row (the row itself has been taken). */
typedef bool list_on_row(void *context, const struct list_row *row);

/* Where a reader stands when it returns. */
enum list_result {
    LIST_NEEDS_INPUT, /* all input is taken */
    LIST_PAUSED,      /* call again with the rest of the input */
    LIST_ENDED,       /* all rows have been handed out */
    LIST_FAILED,      /* err says why; the reader is good for nothing but being freed */
};

#endif
