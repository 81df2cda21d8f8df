/* csv: a reader of RFC 4180 files, fed in pieces of any size; bytes in, rows out, no I/O.
 * Not libcsv: that one keeps a cell of any length (an unclosed quote is the rest of the file),
 * cannot say in which row a quote began, and reports blank lines only together with halves of CRLF.
 * Memory here is bounded by the limits of list_row.h. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_CSV_H
#define DIALPLANE_CAMPAIGN_DOMAIN_CSV_H

#include "base/err.h"
#include "domain/list_row.h"

struct csv_reader;
/* NULL when memory is short. The delimiter (comma, semicolon, tab or pipe) is the one that the
 * first line has most of, unless the lines below it clearly have another; and a first line "sep=;"
 * is obeyed. */
struct csv_reader *csv_reader_new(list_on_row *on_row, void *context);
void csv_reader_free(struct csv_reader *reader);
/* What the rows say of the file's charset (static text; NULL: UTF-8). */
void csv_reader_set_charset(struct csv_reader *reader, const char *charset);
/* Takes bytes from the front of `in`; is_end: nothing comes after them. Errors are INVALID_ARGUMENT
 * (broken quoting, a NUL byte) and RESOURCE_EXHAUSTED. */
enum list_result csv_reader_read(struct csv_reader *reader, struct str *in, bool is_end,
                                 struct err *err);
/* The delimiter; 0 until it is known. */
char csv_reader_delimiter(const struct csv_reader *reader);

#endif
