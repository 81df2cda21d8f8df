/* xls_protocol: what dialplane-xls writes to its standard output: frames of a kind, a length and
 * that many bytes, in the order and size of this machine. The reader believes none of it. */
#ifndef DIALPLANE_CAMPAIGN_READERS_XLS_PROTOCOL_H
#define DIALPLANE_CAMPAIGN_READERS_XLS_PROTOCOL_H

#include "domain/list_row.h"

#include <stdint.h>

#define XLS_PROGRAM "dialplane-xls"

enum xls_kind {
    XLS_SHEET = 1, /* the sheet's name */
    XLS_ROW,       /* struct xls_row, then for each cell struct xls_cell and its text */
    XLS_ERROR,     /* a sentence: the file cannot be read */
    XLS_END,       /* nothing: all rows were written */
};

struct xls_frame {
    uint32_t kind, length;
};

struct xls_row {
    uint32_t number; /* from 1 */
};

struct xls_cell {
    uint32_t column, length; /* from 0; bytes */
};

#define XLS_COLUMNS_MOST 256
#define XLS_FRAME_MOST                                                                             \
    (sizeof(struct xls_row) + XLS_COLUMNS_MOST * sizeof(struct xls_cell) + 2 * LIST_ROW_LIMIT_BYTES)

#endif
