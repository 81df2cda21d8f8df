/* sheet_row: cells of a spreadsheet, in any order, become a list_row within its limits; and what
 * readers of spreadsheets are told. */
#ifndef DIALPLANE_CAMPAIGN_READERS_SHEET_ROW_H
#define DIALPLANE_CAMPAIGN_READERS_SHEET_ROW_H

#include "base/buf.h"
#include "domain/list_row.h"
#include "readers/reader.h"

struct sheet_options {
    const struct reader_limits *limits;
    const char *sheet; /* its name or number; NULL: the first visible one */
    list_on_row *on_row;
    void *context;
};

struct sheet_row {
    list_on_row *on_row;
    void *context;
    int64_t number;
    struct buf text;
    struct {
        size_t start, length;
    } spans[LIST_COLUMN_LIMIT];
    struct str cells[LIST_COLUMN_LIMIT];
    size_t count;
    size_t long_cell;
    bool is_too_long;
};

void sheet_row_init(struct sheet_row *row, list_on_row *on_row, void *context);
void sheet_row_done(struct sheet_row *row);
/* number: from 1. */
void sheet_row_begin(struct sheet_row *row, int64_t number);
/* column: from 0. An empty text is no cell. */
void sheet_row_put(struct sheet_row *row, size_t column, struct str text);
/* Hands the row out unless it is empty. False: a pause is asked for. */
bool sheet_row_end(struct sheet_row *row);

/* The sheet that `wanted` means among `count` names: by name, else by number from 1; NULL: the
 * first one that is visible. False with err INVALID_ARGUMENT that lists the names. */
bool sheet_choose(const char *wanted, const char *const *names, const bool *is_visible,
                  size_t count, size_t *ret_index, struct err *err);

#endif
