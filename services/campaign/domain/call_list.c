#include "domain/call_list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES ((size_t)4 * 1024 * 1024)
#define PRIORITY_MOST 1000
#define QUOTED_BYTES 60 /* of a cell, in an error message */
#define WHOLE_ROW SIZE_MAX

struct call_list {
    struct call_list_options options;
    struct arena *arena; /* the header's */
    struct header header;
    bool has_header;
    char *column_names;        /* JSON */
    const char **data_names;   /* in the arena, with data_prefixes */
    struct str *data_prefixes; /* of each column, for contact_data: "\"city\":" */
    size_t data_count;
    int64_t total, error_count;
    char *errors[CALL_LIST_ERRORS_LISTED];
    size_t errors_listed;
    struct buf json, sealed, *out;
    char last_zone[64]; /* checked last: most lists have few */
    struct err err;     /* of the file as a whole */
};

struct call_list *call_list_new(const struct call_list_options *options)
{
    struct call_list *list = calloc(1, sizeof(*list));

    if (!list)
        return NULL;
    list->options = *options;
    buf_init(&list->json, 16 * LIST_ROW_LIMIT_BYTES); /* all of it may be escapes */
    buf_init(&list->sealed, 32 * LIST_ROW_LIMIT_BYTES);
    list->arena = arena_new(HEADER_BYTES);
    if (!list->arena) {
        free(list);
        return NULL;
    }
    return list;
}

void call_list_free(struct call_list *list)
{
    if (!list)
        return;
    arena_free(list->arena);
    free(list->column_names);
    buf_done(&list->json);
    buf_done(&list->sealed);
    for (size_t i = 0; i < list->errors_listed; i++)
        free(list->errors[i]);
    if (list->options.free_context)
        list->options.free_context(list->options.context);
    free(list);
}

void call_list_set_out(struct call_list *list, struct buf *out)
{
    list->out = out;
}

/* ---- COPY's text format ---- */

/* Backslash, tab and line ends escaped. */
static void put_copy_text(struct buf *out, struct str text)
{
    size_t plain = 0;

    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];

        if (byte > '\r' && byte != '\\')
            continue;
        const char *escaped = byte == '\\'   ? "\\\\"
                              : byte == '\t' ? "\\t"
                              : byte == '\n' ? "\\n"
                              : byte == '\r' ? "\\r"
                                             : NULL;
        if (!escaped)
            continue;
        buf_put(out, text.data + plain, i - plain);
        buf_put(out, escaped, 2);
        plain = i + 1;
    }
    buf_put(out, text.data + plain, text.length - plain);
}

static void put_cell(struct buf *out, struct str text)
{
    if (text.length)
        put_copy_text(out, text);
    else
        buf_put(out, "\\N", 2);
}

static void put_decimal(struct buf *out, int64_t value)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude);
    if (value < 0)
        digits[--at] = '-';
    buf_put(out, digits + at, sizeof(digits) - at);
}

/* ---- A bad row ---- */

static size_t kept(const struct list_row *row)
{
    return row->count < LIST_COLUMN_LIMIT ? row->count : LIST_COLUMN_LIMIT;
}

static void list_error(struct call_list *list, const struct list_row *row, const char *reason)
{
    char message[460];

    if (list->errors_listed == CALL_LIST_ERRORS_LISTED)
        return;
    snprintf(message, sizeof(message), "Row %lld: %s", (long long)row->number, reason);
    char *copy = strdup(message);

    if (copy)
        list->errors[list->errors_listed++] = copy;
}

static void put_original(struct call_list *list, const struct list_row *row)
{
    size_t left = CALL_LIST_ORIGINAL_BYTES;

    buf_reset(&list->json);
    buf_put_char(&list->json, '[');
    for (size_t i = 0; i < kept(row) && left; i++) {
        struct str cell = row->cells[i];

        if (cell.length > left)
            for (cell.length = left;
                 cell.length && ((unsigned char)cell.data[cell.length] & 0xC0) == 0x80;)
                cell.length--;
        left -= cell.length < row->cells[i].length ? left : cell.length;
        if (i)
            buf_put_char(&list->json, ',');
        buf_put_json_string(&list->json, cell);
    }
    buf_put_char(&list->json, ']');
    buf_reset(&list->sealed);
    if (!list->options.seal_original)
        put_copy_text(list->out, buf_str(&list->json));
    else if (list->options.seal_original(list->options.context, row->number, buf_str(&list->json),
                                         &list->sealed))
        put_copy_text(list->out, buf_str(&list->sealed));
    else
        list->out->failed = true;
}

/* Counts and lists it, and keeps it with what it was. Always true, that is: a bad row never stops
 * the others. `column`: WHOLE_ROW or the index of the one that it is about. */
static void refuse(struct call_list *list, const struct list_row *row, size_t column,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
static void refuse(struct call_list *list, const struct list_row *row, size_t column,
                   const char *format, ...)
{
    struct buf *out = list->out;
    char reason[440];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    list->error_count++;
    list_error(list, row, reason);
    if (list->error_count > list->options.error_rows)
        return;
    put_decimal(out, row->number);
    buf_put_cstr(out, "\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t");
    put_cell(out, column == WHOLE_ROW ? (struct str){0} : list->header.names[column]);
    buf_put_char(out, '\t');
    put_copy_text(out, str_from(reason));
    buf_put_char(out, '\t');
    put_original(list, row);
    buf_put_char(out, '\n');
}

/* A cell for a message: cut at a character, control characters as spaces. */
static const char *quoted(struct str cell, char out[QUOTED_BYTES + 8])
{
    size_t length = cell.length;
    bool is_cut = length > QUOTED_BYTES;

    if (is_cut)
        for (length = QUOTED_BYTES; length && ((unsigned char)cell.data[length] & 0xC0) == 0x80;)
            length--;
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)cell.data[i] < 0x20 ? ' ' : cell.data[i];
    strcpy(out + length, is_cut ? "…" : "");
    return out;
}

/* ---- A good row ---- */

/* UUIDv7 whose bits after the time count the rows (22 bits), so that ids grow in the order of the
 * file. */
static void make_id(struct call_list *list, char out[UUID_TEXT_SIZE])
{
    uint64_t ms = (uint64_t)list->options.now_ms, row = (uint64_t)list->total & 0x3FFFFF;
    uint64_t high = ms << 16 | 0x7000 | row >> 10;
    uint64_t low = UINT64_C(0x8000000000000000) | (row & 0x3FF) << 52 |
                   (list->options.random(list->options.context) & UINT64_C(0xFFFFFFFFFFFFF));
    struct uuid id;

    for (int i = 0; i < 8; i++) {
        id.bytes[i] = (uint8_t)(high >> (56 - 8 * i));
        id.bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    uuid_format(&id, out);
}

/* Every column of the header has its key. A spreadsheet's row ends with its last cell that has
 * something in it: the others are empty; a text file that leaves cells out has none. Cells beyond
 * the header, which only a spreadsheet may have, are called by their number. */
static void put_contact_data(struct call_list *list, const struct list_row *row)
{
    const struct header *header = &list->header;
    struct buf *json = &list->json;
    bool is_first = true;

    buf_reset(json);
    buf_put_char(json, '{');
    for (size_t i = 0; i < header->count; i++) {
        if (header->kinds[i] != COLUMN_DATA || (i >= row->count && !row->is_sheet))
            continue;
        if (!is_first)
            buf_put_char(json, ',');
        is_first = false;
        buf_put_str(json, list->data_prefixes[i]);
        if (i < row->count)
            buf_put_json_string(json, row->cells[i]);
        else
            buf_put(json, "\"\"", 2);
    }
    for (size_t i = header->count; i < kept(row); i++) {
        if (!row->cells[i].length)
            continue;
        buf_printf(json, "%s\"column_%zu\":", is_first ? "" : ",", i + 1);
        is_first = false;
        buf_put_json_string(json, row->cells[i]);
    }
    buf_put_char(json, '}');
}

struct contact {
    struct str phone;      /* the cell, trimmed */
    struct str phone_cell; /* as it was */
    struct str name, timezone;
    int64_t priority;
};

/* The row's contact_data, which are in list->json. */
static void put_data(struct call_list *list, const char *e164)
{
    buf_reset(&list->sealed);
    if (!list->options.seal_contact)
        put_copy_text(list->out, buf_str(&list->json));
    else if (list->options.seal_contact(list->options.context, e164, buf_str(&list->json),
                                        &list->sealed))
        put_copy_text(list->out, buf_str(&list->sealed));
    else
        list->out->failed = true;
}

static void put_contact(struct call_list *list, const struct list_row *row,
                        const struct contact *contact, const char *e164)
{
    struct buf *out = list->out;
    char id[UUID_TEXT_SIZE];

    make_id(list, id);
    put_contact_data(list, row);
    put_decimal(out, row->number);
    buf_put_char(out, '\t');
    buf_put(out, id, UUID_TEXT_SIZE - 1);
    buf_put_char(out, '\t');
    buf_put_cstr(out, e164);
    buf_put_char(out, '\t');
    put_cell(out, contact->name);
    buf_put_char(out, '\t');
    put_decimal(out, contact->priority);
    buf_put_char(out, '\t');
    put_cell(out, contact->timezone);
    buf_put_char(out, '\t');
    put_data(list, e164);
    buf_put_char(out, '\t');
    put_cell(out,
             str_equal_cstr(contact->phone_cell, e164) ? (struct str){0} : contact->phone_cell);
    buf_put(out, "\t\\N\t\\N\t\\N\n", 10);
}

/* ---- Checks of a row ---- */

static bool is_known_zone(struct call_list *list, struct str zone)
{
    if (str_equal_cstr(zone, list->last_zone))
        return true;
    if (zone.length >= sizeof(list->last_zone) || !list->options.is_time_zone(zone))
        return false;
    memcpy(list->last_zone, zone.data, zone.length);
    list->last_zone[zone.length] = 0;
    return true;
}

/* Blank as a spreadsheet shows it: no cell has anything in it. */
static bool is_blank(const struct list_row *row)
{
    for (size_t i = 0; i < kept(row); i++)
        if (row->cells[i].length)
            return false;
    return row->count <= LIST_COLUMN_LIMIT;
}

/* Refuses a row whose form is wrong. */
static bool check_form(struct call_list *list, const struct list_row *row)
{
    size_t most = row->is_sheet ? LIST_COLUMN_LIMIT : list->header.count;

    if (row->count > most) {
        if (row->is_sheet)
            refuse(list, row, WHOLE_ROW, "%zu cells, at most %d are allowed", row->count,
                   LIST_COLUMN_LIMIT);
        else
            refuse(list, row, WHOLE_ROW, "%zu cells, but there are only %zu columns", row->count,
                   list->header.count);
        return false;
    }
    if (row->long_cell) {
        refuse(list, row, row->long_cell <= list->header.count ? row->long_cell - 1 : WHOLE_ROW,
               "column %zu is longer than 64 KB", row->long_cell);
        return false;
    }
    if (row->is_too_long) {
        refuse(list, row, WHOLE_ROW, "the row is longer than 1 MB");
        return false;
    }
    for (size_t i = 0; i < row->count; i++) {
        if (utf8_is_valid(row->cells[i].data, row->cells[i].length))
            continue;
        refuse(list, row, i < list->header.count ? i : WHOLE_ROW, "column %zu is not valid %s%s",
               i + 1, row->charset ? row->charset : "UTF-8",
               row->charset ? "" : ": save the file in UTF-8, or name its encoding with charset");
        return false;
    }
    return true;
}

static bool check_cells(struct call_list *list, const struct list_row *row,
                        struct contact *ret_contact, size_t *ret_phone_column)
{
    char text[QUOTED_BYTES + 8];

    for (size_t i = 0; i < list->header.count; i++) {
        struct str cell = i < row->count ? row->cells[i] : (struct str){0};

        switch (list->header.kinds[i]) {
        case COLUMN_PHONE:
            *ret_phone_column = i;
            ret_contact->phone_cell = cell;
            ret_contact->phone = str_trim(cell);
            break;
        case COLUMN_NAME:
            ret_contact->name = str_trim(cell);
            break;
        case COLUMN_PRIORITY:
            cell = str_trim(cell);
            if (!cell.length ||
                (str_parse_int64(cell, &ret_contact->priority) &&
                 ret_contact->priority >= -PRIORITY_MOST && ret_contact->priority <= PRIORITY_MOST))
                break;
            refuse(list, row, i, "priority \"%s\" is not a whole number from -1000 to 1000",
                   quoted(cell, text));
            return false;
        case COLUMN_TIMEZONE:
            ret_contact->timezone = str_trim(cell);
            if (!ret_contact->timezone.length || is_known_zone(list, ret_contact->timezone))
                break;
            refuse(list, row, i, "timezone \"%s\" is not known",
                   quoted(ret_contact->timezone, text));
            return false;
        case COLUMN_DATA:
            break;
        }
    }
    return true;
}

static void take_contact(struct call_list *list, const struct list_row *row)
{
    struct contact contact = {.priority = 0};
    struct phone_answer answer;
    char text[QUOTED_BYTES + 8];
    size_t phone_column = WHOLE_ROW;

    if (!check_form(list, row) || !check_cells(list, row, &contact, &phone_column))
        return;
    if (!contact.phone.length)
        refuse(list, row, phone_column, "phone_number is empty");
    else if (!list->options.normalise_phone(list->options.context, contact.phone, &answer))
        refuse(list, row, phone_column, "phone_number \"%s\" %s", quoted(contact.phone, text),
               answer.problem);
    else
        put_contact(list, row, &contact, answer.e164);
}

/* ---- Rows ---- */

/* What every row needs of the header, made once. */
static bool prepare_header(struct call_list *list, const struct list_row *row)
{
    struct header *header = &list->header;
    struct buf names;

    if (!header_read(header, &list->options.header, row, list->arena, &list->err))
        return false;
    list->data_names = ARENA_ARRAY(list->arena, const char *, header->count);
    list->data_prefixes = ARENA_ARRAY(list->arena, struct str, header->count);
    buf_init(&names, 8 * LIST_ROW_LIMIT_BYTES);
    for (size_t i = 0; i < header->count && list->data_names && list->data_prefixes; i++) {
        buf_put_char(&names, i ? ',' : '[');
        size_t start = names.length;

        buf_put_json_string(&names, header->names[i]);
        if (header->kinds[i] != COLUMN_DATA || names.failed)
            continue;
        list->data_names[list->data_count++] =
            arena_strndup(list->arena, header->names[i].data, header->names[i].length);
        const char *prefix =
            arena_printf(list->arena, "%.*s:", (int)(names.length - start), names.data + start);

        list->data_prefixes[i] = str_from(prefix);
    }
    buf_put_char(&names, ']');
    bool failed = names.failed || arena_is_exhausted(list->arena);

    list->column_names = failed ? NULL : buf_take_cstr(&names);
    buf_done(&names);
    return list->column_names ||
           err_set(&list->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}

bool call_list_on_row(void *list_, const struct list_row *row)
{
    struct call_list *list = list_;

    if (is_blank(row))
        return true;
    if (!list->has_header) {
        list->has_header = true;
        return prepare_header(list, row);
    }
    if (list->total == list->options.row_limit)
        return err_set(&list->err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                       "the file has more than %lld rows", (long long)list->options.row_limit);
    list->total++;
    take_contact(list, row);
    if (list->out->failed || list->json.failed)
        return err_set(&list->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    return list->out->length < list->options.pause_bytes;
}

bool call_list_end(struct call_list *list, struct err *err)
{
    return list->has_header || err_set(err, ERR_INVALID_ARGUMENT, NULL, "the file is empty");
}

const struct err *call_list_err(const struct call_list *list)
{
    return &list->err;
}

int64_t call_list_total(const struct call_list *list)
{
    return list->total;
}

int64_t call_list_error_count(const struct call_list *list)
{
    return list->error_count;
}

size_t call_list_errors(const struct call_list *list, const char *const **ret_errors)
{
    *ret_errors = (const char *const *)list->errors;
    return list->errors_listed;
}

const char *call_list_column_names(const struct call_list *list)
{
    return list->column_names ? list->column_names : "[]";
}

size_t call_list_columns(const struct call_list *list, const char *const **ret_names)
{
    *ret_names = list->data_names;
    return list->data_count;
}
