#include "readers/sheet_cells.h"

#include "readers/rich_text.h"
#include "readers/sheet_row.h"

#include <stdlib.h>

#define COLUMNS_MOST 16384
#define ROWS_MOST INT64_C(16777216) /* what the largest spreadsheet program has */

enum cell_type { NUMBER, SHARED, INLINE, PLAIN, BOOLEAN };

struct sheet_cells {
    struct sheet_cells_options options;
    struct xml *xml;
    struct sheet_row row;
    int64_t number; /* of the row */
    size_t column;  /* of the next cell, from 0 */
    int64_t text_bytes;
    bool in_row, in_cell, in_value, in_inline;
    enum cell_type type;
    enum sheet_format format;
    struct buf value; /* of <v> */
    struct rich_text rich;
};

struct sheet_cells *sheet_cells_new(const struct sheet_cells_options *options)
{
    struct sheet_cells *cells = calloc(1, sizeof(*cells));

    if (!cells)
        return NULL;
    cells->options = *options;
    sheet_row_init(&cells->row, options->on_row, options->context);
    buf_init(&cells->value, LIST_CELL_LIMIT_BYTES + 8);
    rich_text_init(&cells->rich);
    return cells;
}

void sheet_cells_free(struct sheet_cells *cells)
{
    if (!cells)
        return;
    sheet_row_done(&cells->row);
    buf_done(&cells->value);
    rich_text_done(&cells->rich);
    free(cells);
}

void sheet_cells_set_xml(struct sheet_cells *cells, struct xml *xml)
{
    cells->xml = xml;
}

static void broken(struct sheet_cells *cells, const char *what)
{
    struct err err = {0};

    err_set(&err, ERR_INVALID_ARGUMENT, NULL,
            "the workbook is broken: row %lld: %s; save it again with a spreadsheet program",
            (long long)cells->number, what);
    xml_fail(cells->xml, &err);
}

/* ---- Tags ---- */

static void start_row(struct sheet_cells *cells, const char **attributes)
{
    const char *said = xml_attribute(attributes, "r");
    int64_t number = cells->number + 1;

    if (said && (!str_parse_int64(str_from(said), &number) || number <= cells->number)) {
        broken(cells, "the number of the next row is not higher");
        return;
    }
    cells->number = number;
    if (number > ROWS_MOST) {
        broken(cells, "no sheet has that many rows");
        return;
    }
    cells->column = 0;
    cells->in_row = true;
    sheet_row_begin(&cells->row, number);
}

/* "BC12" → 54; SIZE_MAX when it is none. */
static size_t column_of(const char *reference)
{
    size_t column = 0;

    for (; (*reference >= 'A' && *reference <= 'Z') || (*reference >= 'a' && *reference <= 'z');
         reference++) {
        column = column * 26 + (size_t)((*reference & ~0x20) - 'A' + 1);
        if (column > COLUMNS_MOST)
            return SIZE_MAX;
    }
    return column - 1; /* none: SIZE_MAX */
}

static void start_cell(struct sheet_cells *cells, const char **attributes)
{
    const char *type = "n", *style = NULL;

    for (; *attributes; attributes += 2) {
        const char *name = attributes[0];

        if (name[0] == 'r' && !name[1])
            cells->column = column_of(attributes[1]);
        else if (name[0] == 't' && !name[1])
            type = attributes[1];
        else if (name[0] == 's' && !name[1])
            style = attributes[1];
    }
    if (cells->column >= COLUMNS_MOST) {
        broken(cells, "a cell lies beyond column XFD");
        return;
    }
    cells->in_cell = true;
    buf_reset(&cells->value);
    cells->type = !strcmp(type, "n")           ? NUMBER
                  : !strcmp(type, "s")         ? SHARED
                  : !strcmp(type, "inlineStr") ? INLINE
                  : !strcmp(type, "b")         ? BOOLEAN
                                               : PLAIN; /* str, d, e: as it stands */
    cells->format = SHEET_NUMBER;
    if (style && cells->type == NUMBER) {
        unsigned long index = strtoul(style, NULL, 10);

        if (index < cells->options.workbook->format_count)
            cells->format = (enum sheet_format)cells->options.workbook->formats[index];
    }
}

static bool shared_text(struct sheet_cells *cells, struct str value, struct str *ret_text)
{
    struct shared_strings *strings = cells->options.strings;
    struct err err = {0};
    int64_t index;

    *ret_text = (struct str){0};
    value = str_trim(value);
    if (!value.length)
        return true;
    if (!strings || !str_parse_int64(value, &index) || index < 0 ||
        index >= shared_strings_count(strings)) {
        broken(cells, "a cell names a string that the workbook does not have");
        return false;
    }
    return shared_strings_get(strings, index, ret_text, &err) || xml_fail(cells->xml, &err);
}

static void end_cell(struct sheet_cells *cells)
{
    char printed[SHEET_VALUE_SIZE];
    struct str value = buf_str(&cells->value), text = value;

    cells->in_cell = false;
    switch (cells->type) {
    case NUMBER:
        text = cells->format == SHEET_NUMBER
                   ? sheet_number(value, printed)
                   : sheet_date(value, cells->format, cells->options.workbook->is_1904, printed);
        break;
    case SHARED:
        if (!shared_text(cells, value, &text))
            return;
        break;
    case INLINE:
        /* Some writers put a plain value there. */
        if (!value.length)
            text = rich_text_take(&cells->rich);
        break;
    case BOOLEAN:
        if (str_equal_cstr(value, "1") || str_equal_cstr(value, "0"))
            text = str_from(*value.data == '1' ? "TRUE" : "FALSE");
        break;
    case PLAIN:
        break;
    }
    rich_text_begin(&cells->rich);
    sheet_row_put(&cells->row, cells->column++, text);
    cells->text_bytes += (int64_t)text.length;
    if (cells->text_bytes > cells->options.text_limit) {
        struct err err = {0};

        err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                "the sheet's cells hold more than %lld MB of text: split the list",
                (long long)(cells->options.text_limit >> 20));
        xml_fail(cells->xml, &err);
    }
}

static void on_start(void *context, const char *name, const char **attributes)
{
    struct sheet_cells *cells = context;

    if (cells->in_inline)
        rich_text_start(&cells->rich, name);
    else if (cells->in_cell && !strcmp(name, "v"))
        cells->in_value = true;
    else if (cells->in_cell && !strcmp(name, "is"))
        cells->in_inline = true;
    else if (cells->in_row && !cells->in_cell && !strcmp(name, "c"))
        start_cell(cells, attributes);
    else if (!cells->in_row && !strcmp(name, "row"))
        start_row(cells, attributes);
}

static void on_end(void *context, const char *name)
{
    struct sheet_cells *cells = context;

    if (cells->in_inline) {
        rich_text_end(&cells->rich, name);
        cells->in_inline = strcmp(name, "is");
    } else if (cells->in_value) {
        cells->in_value = strcmp(name, "v");
    } else if (cells->in_cell && !strcmp(name, "c")) {
        end_cell(cells);
    } else if (cells->in_row && !cells->in_cell && !strcmp(name, "row")) {
        cells->in_row = false;
        if (!sheet_row_end(&cells->row))
            xml_pause(cells->xml);
    }
}

static void on_text(void *context, struct str text)
{
    struct sheet_cells *cells = context;

    if (cells->in_value) {
        size_t room = LIST_CELL_LIMIT_BYTES + 1 - cells->value.length;

        buf_put(&cells->value, text.data, text.length < room ? text.length : room);
    } else if (cells->in_inline) {
        rich_text_put(&cells->rich, text);
    }
}

const struct xml_handlers sheet_cells_handlers = {on_start, on_end, on_text};
