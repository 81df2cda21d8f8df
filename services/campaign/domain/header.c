#include "domain/header.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define FIELDS 4

static const struct {
    const char *name; /* of the field, as it is mapped and as a column is called */
    const char *other;
    enum column_kind kind;
} fields[FIELDS] = {
    {"phone_number", NULL, COLUMN_PHONE},
    {"contact_name", "name", COLUMN_NAME},
    {"priority", NULL, COLUMN_PRIORITY},
    {"timezone", NULL, COLUMN_TIMEZONE},
};

bool header_field_is_known(const char *field)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (!strcmp(fields[i].name, field))
            return true;
    return false;
}

/* ---- Names ---- */

/* One character of valid UTF-8, as its code point; moves behind it. */
static uint32_t take_character(struct str *text)
{
    const unsigned char *p = (const unsigned char *)text->data;
    size_t size = *p < 0x80 ? 1 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : 4;
    uint32_t point = size == 1 ? *p : *p & (0x7FU >> size);

    for (size_t i = 1; i < size && i < text->length; i++)
        point = point << 6 | (p[i] & 0x3F);
    if (size > text->length)
        size = text->length;
    *text = (struct str){text->data + size, text->length - size};
    return point;
}

/* Lower case of the alphabets that column names are written in: Latin, Greek, Cyrillic. The C
 * library's own depends on the locale. */
static uint32_t fold(uint32_t point)
{
    if ((point >= 'A' && point <= 'Z') || (point >= 0xC0 && point <= 0xDE && point != 0xD7) ||
        (point >= 0x391 && point <= 0x3A9) || (point >= 0x410 && point <= 0x42F))
        return point + 0x20;
    if (point >= 0x400 && point <= 0x40F)
        return point + 0x50;
    if ((point >= 0x100 && point <= 0x137) || (point >= 0x14A && point <= 0x177) ||
        (point >= 0x460 && point <= 0x52F))
        return point | 1;
    return point;
}

/* The next character that counts; 0 at the end. */
static uint32_t next_folded(struct str *text)
{
    while (text->length) {
        uint32_t point = take_character(text);

        if (point > ' ' && point != '_' && point != '-' && point != 0xA0 && point != 0xFEFF)
            return fold(point);
    }
    return 0;
}

static bool is_same_name(struct str a, struct str b)
{
    for (;;) {
        uint32_t point = next_folded(&a);

        if (point != next_folded(&b))
            return false;
        if (!point)
            return true;
    }
}

static bool is_in_list(struct str name, const char *list)
{
    while (list && *list) {
        size_t length = strcspn(list, ",");

        if (is_same_name(name, (struct str){list, length}))
            return true;
        list += length + (list[length] == ',');
    }
    return false;
}

/* White space, also the kind that does not break, and a byte-order mark. */
static struct str trim_name(struct str name)
{
    static const struct str marks[] = {{"\xC2\xA0", 2}, {"\xEF\xBB\xBF", 3}};

    for (bool changed = true; changed;) {
        changed = false;
        name = str_trim(name);
        for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
            struct str mark = marks[i];

            if (str_starts_with(name, mark)) {
                name = (struct str){name.data + mark.length, name.length - mark.length};
                changed = true;
            } else if (name.length > mark.length &&
                       !memcmp(name.data + name.length - mark.length, mark.data, mark.length)) {
                name.length -= mark.length;
                changed = true;
            }
        }
    }
    return name;
}

/* ---- What is wrong ---- */

/* Sentences one after the other; one that does not fit any more is left out. */
struct problems {
    char text[380];
    size_t length;
};

static void problem(struct problems *problems, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void problem(struct problems *problems, const char *format, ...)
{
    size_t room = sizeof(problems->text) - problems->length;
    char *at = problems->text + problems->length;
    int used = problems->length ? snprintf(at, room, "; ") : 0;
    va_list arguments;

    va_start(arguments, format);
    int written =
        vsnprintf(at + used, room > (size_t)used ? room - (size_t)used : 0, format, arguments);

    va_end(arguments);
    if (problems->length && (size_t)(used + written) >= room)
        *at = '\0';
    else
        problems->length = strlen(problems->text);
}

/* A name for a sentence, cut at a character. */
static struct str shown(struct str name, size_t most)
{
    if (name.length > most) {
        name.length = most;
        while (name.length && ((unsigned char)name.data[name.length] & 0xC0) == 0x80)
            name.length--;
    }
    return name;
}

/* "a, b, c", as far as there is room. */
static void list_names(const struct header *header, char *out, size_t size)
{
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; i < header->count; i++) {
        struct str name = shown(header->names[i], 40);
        bool is_cut = name.length < header->names[i].length;

        if (used + name.length + 8 > size) {
            snprintf(out + used, size - used, ", …");
            return;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%.*s%s", i ? ", " : "",
                                 (int)name.length, name.data, is_cut ? "…" : "");
    }
}

/* ---- Columns ---- */

static const char *mapped_column(const struct header_options *options, const char *field)
{
    for (size_t i = 0; i < options->mapping_count; i++)
        if (!strcmp(options->mappings[i].field, field))
            return options->mappings[i].column;
    return NULL;
}

/* Finds the column of one field, by the mapping or by its names. */
static void resolve(struct header *header, const struct header_options *options, size_t field,
                    struct problems *problems)
{
    const char *mapped = mapped_column(options, fields[field].name);
    size_t found = header->count;

    for (size_t i = 0; i < header->count; i++) {
        struct str name = header->names[i];
        bool is_it = mapped ? is_same_name(name, str_from(mapped))
                            : is_same_name(name, str_from(fields[field].name)) ||
                                  is_in_list(name, fields[field].other) ||
                                  (fields[field].kind == COLUMN_PHONE &&
                                   is_in_list(name, options->phone_aliases));

        /* A nameless column is never meant. */
        if (!is_it || header->kinds[i] != COLUMN_DATA || !trim_name(name).length)
            continue;
        if (found == header->count) {
            found = i;
            header->kinds[i] = fields[field].kind;
        } else if (mapped || fields[field].kind != COLUMN_NAME) {
            /* (name beside contact_name: the first is the name, the other is data.) */
            struct str first = shown(header->names[found], 60), second = shown(name, 60);

            problem(problems,
                    "the file has two columns for %s: \"%.*s\" and \"%.*s\" (columns %zu and "
                    "%zu)%s%s",
                    fields[field].name, (int)first.length, first.data, (int)second.length,
                    second.data, found + 1, i + 1, mapped ? "" : ": say which it is with column.",
                    mapped ? "" : fields[field].name);
            return;
        }
    }
    if (found < header->count)
        return;
    char names[180];

    list_names(header, names, sizeof(names));
    if (mapped)
        problem(problems,
                "the file has no column \"%.*s\", which column.%s names; its first row has: %s",
                (int)shown(str_from(mapped), 60).length, mapped, fields[field].name, names);
    else if (fields[field].kind == COLUMN_PHONE)
        problem(problems, "the file has no column phone_number%s%.80s; its first row has: %s",
                options->phone_aliases ? " and none of its other names " : "",
                options->phone_aliases ? options->phone_aliases : "", names);
}

static bool is_taken(const struct header *header, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (header->kinds[i] == COLUMN_DATA && str_equal(header->names[i], name))
            return true;
    return false;
}

static struct str data_name(const struct header *header, size_t column, struct arena *arena)
{
    struct str name = header->names[column];

    if (!name.length)
        name = str_from(arena_printf(arena, "column_%zu", column + 1));
    struct str unique = name;

    for (int n = 2; unique.data && is_taken(header, column, unique); n++)
        unique = str_from(arena_printf(arena, "%.*s_%d", (int)name.length, name.data, n));
    return unique;
}

/* What is wrong with the row as such. */
static bool check_row(const struct list_row *row, struct err *err)
{
    if (row->count > LIST_COLUMN_LIMIT)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the file has %zu columns, at most %d are allowed", row->count,
                       LIST_COLUMN_LIMIT);
    for (size_t i = 0; i < row->count; i++) {
        if (!utf8_is_valid(row->cells[i].data, row->cells[i].length))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "the file's first row is not valid %s: save the file as CSV in UTF-8, "
                           "or name its encoding with charset",
                           row->charset ? row->charset : "UTF-8");
        if (trim_name(row->cells[i]).length > COLUMN_NAME_LIMIT_BYTES)
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "the name of column %zu in the first row is longer than %d bytes", i + 1,
                           COLUMN_NAME_LIMIT_BYTES);
    }
    return !row->is_too_long ||
           err_set(err, ERR_INVALID_ARGUMENT, NULL, "the file's first row is too long");
}

bool header_read(struct header *header, const struct header_options *options,
                 const struct list_row *row, struct arena *arena, struct err *err)
{
    struct problems problems = {.length = 0};

    if (!check_row(row, err))
        return false;
    header->count = 0;
    header->kinds = ARENA_ARRAY(arena, enum column_kind, row->count);
    header->names = ARENA_ARRAY(arena, struct str, row->count);
    if (!header->kinds || !header->names)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    for (size_t i = 0; i < row->count; i++) {
        struct str name = trim_name(row->cells[i]);

        header->kinds[i] = COLUMN_DATA;
        header->names[i] = (struct str){arena_strndup(arena, name.data, name.length), name.length};
        if (!header->names[i].data)
            return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the file's first row is too long");
    }
    header->count = row->count;
    for (size_t field = 0; field < FIELDS; field++)
        resolve(header, options, field, &problems);
    for (size_t i = 0; i < header->count; i++)
        if (header->kinds[i] == COLUMN_DATA)
            header->names[i] = data_name(header, i, arena);
    if (arena_is_exhausted(arena))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the file's first row is too long");
    return !problems.length || err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s", problems.text);
}
