#include "table.h"

#include "text.h"

#include <stdlib.h>

#define GAP 2   /* blanks between columns */
#define LEAST 6 /* a column that shrinks keeps so many */
#define CELLS_LIMIT ((size_t)1 << 24)

struct cell {
    size_t at, length; /* in text */
    const char *style;
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    struct buf text;
    struct cell *cells;
    size_t cell_count, cell_capacity;
};

struct table *table_new(const struct table_column *columns, size_t count)
{
    struct table *table = calloc(1, sizeof(*table));
    if (!table)
        return NULL;
    table->columns = columns;
    table->column_count = count < TABLE_COLUMNS_MAX ? count : TABLE_COLUMNS_MAX;
    buf_init(&table->text, (size_t)256 << 20);
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    buf_done(&table->text);
    free(table->cells);
    free(table);
}

void table_add(struct table *table, struct str text, const char *style)
{
    if (table->cell_count == table->cell_capacity) {
        size_t capacity = table->cell_capacity ? table->cell_capacity * 2 : 64;
        struct cell *cells =
            capacity > CELLS_LIMIT ? NULL : realloc(table->cells, capacity * sizeof(*cells));
        if (!cells) {
            table->text.failed = true;
            return;
        }
        table->cells = cells;
        table->cell_capacity = capacity;
    }
    size_t at = table->text.length;
    text_put_clean(&table->text, text);
    table->cells[table->cell_count++] = (struct cell){at, table->text.length - at, style};
}

size_t table_row_count(const struct table *table)
{
    return table->column_count ? table->cell_count / table->column_count : 0;
}

static struct str cell_text(const struct table *table, const struct cell *cell)
{
    return (struct str){table->text.data + cell->at, cell->length};
}

struct layout {
    size_t width[TABLE_COLUMNS_MAX]; /* 0: not shown */
    bool shown[TABLE_COLUMNS_MAX];
};

static size_t total_width(const struct table *table, const struct layout *layout)
{
    size_t total = 0, shown = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!layout->shown[i])
            continue;
        total += layout->width[i];
        shown++;
    }
    return total + (shown ? (shown - 1) * GAP : 0);
}

/* Takes what is too much from the widest of the columns that may shrink, column by column. */
static void shrink(const struct table *table, size_t width, struct layout *layout)
{
    while (total_width(table, layout) > width) {
        size_t widest = table->column_count;
        for (size_t i = 0; i < table->column_count; i++) {
            if (layout->shown[i] && table->columns[i].may_shrink && layout->width[i] > LEAST &&
                (widest == table->column_count || layout->width[i] > layout->width[widest]))
                widest = i;
        }
        if (widest == table->column_count)
            return;
        layout->width[widest]--;
    }
}

/* The least width that the columns shown can have. */
static size_t least_width(const struct table *table, const struct layout *natural)
{
    struct layout least = *natural;
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].may_shrink && least.width[i] > LEAST)
            least.width[i] = LEAST;
    return total_width(table, &least);
}

static void lay_out(const struct table *table, size_t width, struct layout *ret_layout)
{
    *ret_layout = (struct layout){.width = {0}};
    for (size_t i = 0; i < table->column_count; i++) {
        ret_layout->shown[i] = true;
        ret_layout->width[i] = text_width(str_from(table->columns[i].title));
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t columns = text_width(cell_text(table, &table->cells[i]));
        size_t *widest = &ret_layout->width[i % table->column_count];
        if (columns > *widest)
            *widest = columns;
    }
    if (width == 0)
        return;
    while (least_width(table, ret_layout) > width) {
        size_t first = table->column_count;
        for (size_t i = 0; i < table->column_count; i++) {
            if (ret_layout->shown[i] && table->columns[i].drop &&
                (first == table->column_count ||
                 table->columns[i].drop > table->columns[first].drop))
                first = i;
        }
        if (first == table->column_count)
            break; /* the terminal wraps what is left */
        ret_layout->shown[first] = false;
    }
    shrink(table, width, ret_layout);
}

static void put_cell(const struct table *table, const struct layout *layout, size_t column,
                     struct str text, const char *style, struct buf *out)
{
    bool last = true;
    for (size_t i = column + 1; i < table->column_count; i++)
        last = last && !layout->shown[i];
    size_t columns = layout->width[column];
    if (style)
        buf_printf(out, "\x1b[%sm", style);
    if (last && !table->columns[column].right && text_width(text) <= columns)
        buf_put_str(out, text); /* no blanks at the end of a line */
    else
        text_put_padded(out, text, columns, table->columns[column].right);
    if (style)
        buf_put_cstr(out, "\x1b[0m");
    for (size_t i = 0; !last && i < GAP; i++)
        buf_put_char(out, ' ');
}

void table_print(const struct table *table, size_t width, bool styled, struct buf *out)
{
    struct layout layout;
    lay_out(table, width, &layout);
    for (size_t i = 0; i < table->column_count; i++) {
        if (layout.shown[i])
            put_cell(table, &layout, i, str_from(table->columns[i].title), styled ? "1" : NULL,
                     out);
    }
    buf_put_char(out, '\n');
    size_t rows = table_row_count(table);
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < table->column_count; i++) {
            const struct cell *cell = &table->cells[row * table->column_count + i];
            if (layout.shown[i])
                put_cell(table, &layout, i, cell_text(table, cell), styled ? cell->style : NULL,
                         out);
        }
        while (!out->failed && out->length && out->data[out->length - 1] == ' ')
            out->length--; /* of cells that are empty */
        buf_put_char(out, '\n');
    }
    out->failed |= table->text.failed;
}
