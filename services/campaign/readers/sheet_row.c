#include "readers/sheet_row.h"

#include <stdio.h>
#include <stdlib.h>

void sheet_row_init(struct sheet_row *row, list_on_row *on_row, void *context)
{
    memset(row, 0, sizeof(*row));
    row->on_row = on_row;
    row->context = context;
    buf_init(&row->text, LIST_ROW_LIMIT_BYTES + 1);
}

void sheet_row_done(struct sheet_row *row)
{
    buf_done(&row->text);
}

void sheet_row_begin(struct sheet_row *row, int64_t number)
{
    size_t used = row->count < LIST_COLUMN_LIMIT ? row->count : LIST_COLUMN_LIMIT;

    memset(row->spans, 0, used * sizeof(row->spans[0]));
    buf_reset(&row->text);
    row->number = number;
    row->count = 0;
    row->long_cell = 0;
    row->is_too_long = false;
}

void sheet_row_put(struct sheet_row *row, size_t column, struct str text)
{
    if (!text.length)
        return;
    if (column + 1 > row->count)
        row->count = column + 1;
    if (column >= LIST_COLUMN_LIMIT)
        return;
    if (text.length > LIST_CELL_LIMIT_BYTES) {
        if (!row->long_cell)
            row->long_cell = column + 1;
        text.length = LIST_CELL_LIMIT_BYTES;
    }
    if (row->text.length + text.length > LIST_ROW_LIMIT_BYTES) {
        row->is_too_long = true;
        text.length = LIST_ROW_LIMIT_BYTES - row->text.length;
    }
    row->spans[column].start = row->text.length;
    row->spans[column].length = text.length;
    buf_put_str(&row->text, text);
}

bool sheet_row_end(struct sheet_row *row)
{
    size_t kept = row->count < LIST_COLUMN_LIMIT ? row->count : LIST_COLUMN_LIMIT;
    const char *text = row->text.data ? row->text.data : "";

    if (!row->count)
        return true;
    for (size_t i = 0; i < kept; i++)
        row->cells[i] = (struct str){text + row->spans[i].start, row->spans[i].length};
    const struct list_row out = {
        .number = row->number,
        .cells = row->cells,
        .count = row->count,
        .long_cell = row->long_cell,
        /* (Memory that was short cuts cells as well.) */
        .is_too_long = row->is_too_long || row->text.failed,
        .is_sheet = true,
    };

    if (row->text.failed)
        memset(row->cells, 0, kept * sizeof(row->cells[0]));
    return row->on_row(row->context, &out);
}

bool sheet_choose(const char *wanted, const char *const *names, const bool *is_visible,
                  size_t count, size_t *ret_index, struct err *err)
{
    char found[240] = "";
    size_t used = 0;
    int64_t number;

    for (size_t i = 0; i < count; i++)
        if (wanted ? !strcmp(wanted, names[i]) : is_visible[i]) {
            *ret_index = i;
            return true;
        }
    if (wanted && str_parse_int64(str_from(wanted), &number) && number >= 1 &&
        number <= (int64_t)count) {
        *ret_index = (size_t)number - 1;
        return true;
    }
    for (size_t i = 0; i < count && used + 80 < sizeof(found); i++)
        used += (size_t)snprintf(found + used, sizeof(found) - used, "%s%.60s", i ? ", " : "",
                                 names[i]);
    if (wanted)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the workbook has no sheet \"%.80s\"; its sheets are: %s", wanted, found);
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "the workbook has no visible sheet: name one with sheet; its sheets are: %s",
                   found);
}
