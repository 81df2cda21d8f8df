/* csv: a reader of RFC 4180 files, fed in pieces of any size; bytes in, rows out, no I/O.
 * Not libcsv: that one keeps a cell of any length (an unclosed quote is the rest of the file),
 * cannot say in which row a quote began, and reports blank lines only together with halves of CRLF.
 * Memory here is bounded by the limits below. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_CSV_H
#define DIALPLANE_CAMPAIGN_DOMAIN_CSV_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSV_CELL_LIMIT_BYTES ((size_t)64 * 1024)
#define CSV_ROW_LIMIT_BYTES ((size_t)1024 * 1024)
#define CSV_COLUMN_LIMIT 512

/* One row, valid during the callback. Blank lines are not reported, but counted in `number`. */
struct csv_row {
    int64_t number; /* as a spreadsheet shows it: the header is row 1; a newline inside a cell
                       counts for nothing */
    const struct str *cells; /* without their quotes; bytes as they were, not checked to be UTF-8 */
    size_t count;            /* cells in the row, at most CSV_COLUMN_LIMIT of them are in `cells` */
    size_t long_cell; /* index from 1 of the first cell over CSV_CELL_LIMIT_BYTES (it is cut); 0:
                         none */
    bool is_too_long; /* over CSV_ROW_LIMIT_BYTES in all: cells are cut */
};

/* False ends the reading: feed and end then return false without touching err. */
typedef bool csv_on_row(void *context, const struct csv_row *row);

struct csv_reader;
/* NULL when memory is short. The delimiter (comma, semicolon, tab or pipe) is the one that the
 * first row has most of. */
struct csv_reader *csv_reader_new(csv_on_row *on_row, void *context);
void csv_reader_free(struct csv_reader *reader);
/* False with err INVALID_ARGUMENT (broken quoting, a NUL byte, UTF-16) or RESOURCE_EXHAUSTED;
 * nothing may be fed afterwards. */
bool csv_reader_feed(struct csv_reader *reader, struct str bytes, struct err *err);
/* The end of the file. */
bool csv_reader_end(struct csv_reader *reader, struct err *err);

#endif
