/* The parts of a workbook that can be large, without the zip around them: up to a NUL byte the
 * table of strings, then the sheet. Fed whole and byte by byte it gives the same rows. */
#include "readers/sheet_cells.h"
#include "readers/string_table.h"

#include "base/buf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_row(void *context, const struct list_row *row)
{
    struct buf *shown = context;

    buf_printf(shown, "%lld:", (long long)row->number);
    for (size_t i = 0; i < row->count && i < LIST_COLUMN_LIMIT; i++) {
        buf_put_str(shown, row->cells[i]);
        buf_put_char(shown, '|');
    }
    return row->number % 3;
}

static bool feed(struct xml *xml, struct str part, size_t piece, struct err *err)
{
    for (;;) {
        size_t length = part.length < piece ? part.length : piece;
        bool is_end = length == part.length;
        /* A copy, so that a sanitizer sees a byte too many. */
        char *copy = malloc(length ? length : 1);

        memcpy(copy, part.data, length);
        enum xml_result result = xml_feed(xml, (struct str){copy, length}, is_end, err);

        while (result == XML_PAUSED)
            result = xml_resume(xml, err);
        free(copy);
        if (result == XML_FAILED || is_end)
            return result != XML_FAILED;
        part = (struct str){part.data + length, part.length - length};
    }
}

static bool read_strings(struct shared_strings *strings, struct str part, size_t piece,
                         struct err *err)
{
    struct string_table *table = string_table_new(strings);
    struct xml *xml = xml_new(&string_table_handlers, table, "strings");

    string_table_set_xml(table, xml);
    bool is_read = feed(xml, part, piece, err) && shared_strings_finish(strings, err);

    xml_free(xml);
    string_table_free(table);
    return is_read;
}

static void read_sheet(struct shared_strings *strings, struct str part, size_t piece,
                       struct buf *shown, struct err *err)
{
    static const unsigned char formats[] = {SHEET_NUMBER, SHEET_DATE, SHEET_DATE_TIME, SHEET_TIME,
                                            SHEET_ELAPSED};
    const struct workbook workbook = {.formats = formats, .format_count = sizeof(formats)};
    const struct sheet_cells_options options = {.workbook = &workbook,
                                                .strings = strings,
                                                .on_row = on_row,
                                                .context = shown,
                                                .text_limit = 1 << 20};
    struct sheet_cells *cells = sheet_cells_new(&options);
    struct xml *xml = xml_new(&sheet_cells_handlers, cells, "sheet");

    sheet_cells_set_xml(cells, xml);
    feed(xml, part, piece, err);
    xml_free(xml);
    sheet_cells_free(cells);
}

static void read_both(struct str strings_part, struct str sheet_part, size_t piece,
                      struct buf *shown)
{
    struct err err = {0};
    struct shared_strings *strings = shared_strings_new(NULL, 1 << 20, &err);

    buf_init(shown, 16 << 20);
    if (strings && read_strings(strings, strings_part, piece, &err))
        read_sheet(strings, sheet_part, piece, shown, &err);
    buf_printf(shown, "%d", (int)err.code);
    shared_strings_free(strings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *nul = size ? memchr(text, 0, size) : NULL;
    size_t first = nul ? (size_t)(nul - text) : 0, second = nul ? first + 1 : 0;
    const struct str strings = {text, first}, sheet = {text + second, size - second};
    struct buf whole, pieces;

    read_both(strings, sheet, SIZE_MAX, &whole);
    read_both(strings, sheet, 1, &pieces);
    if (!str_equal(buf_str(&whole), buf_str(&pieces)))
        abort();
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
