#include "domain/header.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    enum column_kind kind;
} known[] = {
    {"phone_number", COLUMN_PHONE}, {"contact_name", COLUMN_NAME}, {"name", COLUMN_NAME},
    {"priority", COLUMN_PRIORITY},  {"timezone", COLUMN_TIMEZONE},
};

static enum column_kind kind_of(struct str name)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (str_equal_ignore_case(name, str_from(known[i].name)))
            return known[i].kind;
    return COLUMN_DATA;
}

/* "the columns found are: a, b, c", as far as a sentence holds. */
static bool no_phone(const struct csv_row *row, struct err *err)
{
    char found[256];
    size_t used = 0;

    for (size_t i = 0; i < row->count && used + 8 < sizeof(found); i++) {
        struct str name = str_trim(row->cells[i]);
        size_t most = sizeof(found) - used - 8;
        bool is_cut = name.length > most;
        size_t length = is_cut ? most : name.length;

        while (is_cut && length && ((unsigned char)name.data[length] & 0xC0) == 0x80)
            length--;
        used += (size_t)snprintf(found + used, sizeof(found) - used, "%s%.*s%s", i ? ", " : "",
                                 (int)length, name.data, is_cut ? "…" : "");
        if (is_cut)
            break;
    }
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "the file has no column phone_number; its first row has: %s", found);
}

static bool is_taken(const struct header *header, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (header->kinds[i] == COLUMN_DATA && str_equal(header->names[i], name))
            return true;
    return false;
}

static struct str data_name(const struct header *header, size_t column, struct str name,
                            struct arena *arena)
{
    if (!name.length)
        name = str_from(arena_printf(arena, "column_%zu", column + 1));
    struct str unique = name;

    for (int n = 2; is_taken(header, column, unique); n++)
        unique = str_from(arena_printf(arena, "%.*s_%d", (int)name.length, name.data, n));
    return unique;
}

bool header_read(struct header *header, const struct csv_row *row, struct arena *arena,
                 struct err *err)
{
    bool has_phone = false, has_name = false, has_priority = false, has_timezone = false;

    if (row->count > CSV_COLUMN_LIMIT)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the file has %zu columns, at most %d are allowed", row->count,
                       CSV_COLUMN_LIMIT);
    for (size_t i = 0; i < row->count; i++)
        if (!utf8_is_valid(row->cells[i].data, row->cells[i].length))
            return err_set(
                err, ERR_INVALID_ARGUMENT, NULL,
                "the file's first row is not valid UTF-8: save the file as CSV in UTF-8");
    if (row->long_cell || row->is_too_long)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "a column name in the first row is too long");
    header->count = 0;
    header->kinds = ARENA_ARRAY(arena, enum column_kind, row->count);
    header->names = ARENA_ARRAY(arena, struct str, row->count);
    if (!header->kinds || !header->names)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    for (size_t i = 0; i < row->count; i++) {
        struct str trimmed = str_trim(row->cells[i]);
        struct str name = {arena_strndup(arena, trimmed.data, trimmed.length), trimmed.length};
        enum column_kind kind = kind_of(name);
        bool *is_there = kind == COLUMN_PHONE      ? &has_phone
                         : kind == COLUMN_NAME     ? &has_name
                         : kind == COLUMN_PRIORITY ? &has_priority
                         : kind == COLUMN_TIMEZONE ? &has_timezone
                                                   : NULL;

        if (is_there && *is_there) {
            /* name beside contact_name: the first is the name, the other is data like any other. */
            if (kind != COLUMN_NAME)
                return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the file has two columns %.*s",
                               (int)name.length, name.data);
            kind = COLUMN_DATA;
        } else if (is_there) {
            *is_there = true;
        }
        header->kinds[i] = kind;
        header->names[i] = kind == COLUMN_DATA ? data_name(header, i, name, arena) : name;
        if (arena_is_exhausted(arena))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the file's first row is too long");
    }
    header->count = row->count;
    return has_phone || no_phone(row, err);
}
