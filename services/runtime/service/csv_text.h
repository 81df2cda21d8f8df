/* csv_text: cells as CSV (RFC 4180) that is safe to open in a spreadsheet. Pure. */
#ifndef DIALPLANE_SERVICE_CSV_TEXT_H
#define DIALPLANE_SERVICE_CSV_TEXT_H

#include "base/buf.h"

#define CSV_BYTE_ORDER_MARK "\xEF\xBB\xBF"

/* Appends one cell; *is_first (of its row) is cleared, and says whether a comma comes before it.
 * What a spreadsheet could take for a formula (it begins with = + - @, tab, a line end, or a wide
 * form of the four) gets an apostrophe in front, as OWASP's "CSV Injection" advises. A plain number
 * (+12015550100, -5.20) cannot be one, and stays as it is. U+0000 is left out. */
void csv_put_cell(struct buf *out, struct str cell, bool *is_first);
/* A row's first cells, from NUL-terminated text. */
void csv_put_cells(struct buf *out, const char *const *cells, size_t count);
void csv_put_line_end(struct buf *out);

#endif
