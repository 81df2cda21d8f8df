#include "readers/xlsx.h"

#include "readers/package.h"
#include "readers/shared_strings.h"
#include "readers/sheet_cells.h"
#include "readers/string_table.h"
#include "readers/workbook.h"
#include "readers/xml.h"

#include <stdlib.h>

#define ARENA_BYTES ((size_t)8 * 1024 * 1024)
#define PIECE_BYTES ((size_t)32 * 1024)
/* Unpacked in one go, some milliseconds. */
#define PIECES_IN_ONE_GO 32

enum stage { AT_STRINGS, IN_STRINGS, AT_SHEET, IN_SHEET, AT_END };

struct xlsx {
    const struct sheet_options *options;
    struct sheet_options own_options;
    struct package *package;
    struct arena *arena;
    struct workbook workbook;
    enum stage stage;
    struct shared_strings *strings; /* NULL: none */
    struct string_table *table;     /* while the strings are read */
    struct sheet_cells *cells;      /* while the sheet is */
    struct xml *xml;
    bool is_suspended, is_end;
    char piece[PIECE_BYTES];
};

struct xlsx *xlsx_open(const struct spool *spool, const struct sheet_options *options,
                       struct err *err)
{
    struct xlsx *xlsx = calloc(1, sizeof(*xlsx));

    if (!xlsx) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    xlsx->own_options = *options;
    xlsx->options = &xlsx->own_options;
    xlsx->arena = arena_new(ARENA_BYTES);
    xlsx->package = package_open(spool, options->limits->unpacked_bytes, err);
    if (!xlsx->arena || !xlsx->package ||
        !workbook_read(&xlsx->workbook, xlsx->package, options->sheet, xlsx->arena, err)) {
        if (!err_is_set(err))
            err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        xlsx_free(xlsx);
        return NULL;
    }
    return xlsx;
}

void xlsx_free(struct xlsx *xlsx)
{
    if (!xlsx)
        return;
    xml_free(xlsx->xml);
    string_table_free(xlsx->table);
    sheet_cells_free(xlsx->cells);
    shared_strings_free(xlsx->strings);
    package_close(xlsx->package);
    arena_free(xlsx->arena);
    free(xlsx);
}

const char *xlsx_sheet_name(const struct xlsx *xlsx)
{
    return xlsx->workbook.sheet_name;
}

/* ---- One part through the parser ---- */

static bool begin_part(struct xlsx *xlsx, const char *part, const struct xml_handlers *handlers,
                       void *context, const char *said_name, struct err *err)
{
    xlsx->is_suspended = xlsx->is_end = false;
    if (!context)
        return err_is_set(err) ? false
                               : err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    if (!package_open_part(xlsx->package, part, err))
        return false;
    xlsx->xml = xml_new(handlers, context, said_name);
    return xlsx->xml || err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}

static void end_part(struct xlsx *xlsx)
{
    xml_free(xlsx->xml);
    xlsx->xml = NULL;
    package_close_part(xlsx->package);
}

/* LIST_ENDED: the part has. */
static enum list_result read_part(struct xlsx *xlsx, struct err *err)
{
    for (unsigned pieces = 0; pieces < PIECES_IN_ONE_GO; pieces++) {
        enum xml_result result;

        if (xlsx->is_suspended) {
            result = xml_resume(xlsx->xml, err);
        } else {
            long got = package_read(xlsx->package, xlsx->piece, PIECE_BYTES, err);

            if (got < 0)
                return LIST_FAILED;
            xlsx->is_end = got == 0;
            result = xml_feed(xlsx->xml, (struct str){xlsx->piece, (size_t)got}, xlsx->is_end, err);
        }
        if (result == XML_FAILED)
            return LIST_FAILED;
        xlsx->is_suspended = result == XML_PAUSED;
        if (xlsx->is_suspended)
            return LIST_PAUSED;
        if (xlsx->is_end)
            return LIST_ENDED;
    }
    return LIST_PAUSED;
}

/* ---- Strings, then the sheet ---- */

static bool begin_strings(struct xlsx *xlsx, struct err *err)
{
    const char *part = xlsx->workbook.strings_part;

    if (!part) {
        xlsx->stage = AT_SHEET;
        return true;
    }
    xlsx->stage = IN_STRINGS;
    xlsx->strings = shared_strings_new(xlsx->options->limits->spool_directory,
                                       xlsx->options->limits->unpacked_bytes, err);
    if (!xlsx->strings)
        return false;
    xlsx->table = string_table_new(xlsx->strings);
    if (!begin_part(xlsx, part, &string_table_handlers, xlsx->table, "its table of strings", err))
        return false;
    string_table_set_xml(xlsx->table, xlsx->xml);
    return true;
}

static bool begin_sheet(struct xlsx *xlsx, struct err *err)
{
    const struct sheet_cells_options options = {
        .workbook = &xlsx->workbook,
        .strings = xlsx->strings,
        .on_row = xlsx->options->on_row,
        .context = xlsx->options->context,
        .text_limit = xlsx->options->limits->unpacked_bytes,
    };

    xlsx->stage = IN_SHEET;
    xlsx->cells = sheet_cells_new(&options);
    if (!begin_part(xlsx, xlsx->workbook.sheet_part, &sheet_cells_handlers, xlsx->cells,
                    "the sheet", err))
        return false;
    sheet_cells_set_xml(xlsx->cells, xlsx->xml);
    return true;
}

enum list_result xlsx_read(struct xlsx *xlsx, struct err *err)
{
    enum list_result result;

    switch (xlsx->stage) {
    case AT_STRINGS:
        return begin_strings(xlsx, err) ? LIST_PAUSED : LIST_FAILED;
    case IN_STRINGS:
        result = read_part(xlsx, err);
        if (result != LIST_ENDED)
            return result;
        end_part(xlsx);
        if (!shared_strings_finish(xlsx->strings, err))
            return LIST_FAILED;
        xlsx->stage = AT_SHEET;
        return LIST_PAUSED;
    case AT_SHEET:
        return begin_sheet(xlsx, err) ? LIST_PAUSED : LIST_FAILED;
    case IN_SHEET:
        result = read_part(xlsx, err);
        if (result == LIST_ENDED) {
            end_part(xlsx);
            xlsx->stage = AT_END;
        }
        return result;
    case AT_END:
        break;
    }
    return LIST_ENDED;
}
