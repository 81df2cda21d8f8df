#include "domain/call_list.h"

#include "domain/csv.h"
#include "domain/header.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES ((size_t)4 * 1024 * 1024)
#define PRIORITY_MOST 1000
#define QUOTED_BYTES 60 /* of a cell, in an error message */

struct call_list {
    struct call_list_options options;
    struct csv_reader *reader;
    struct arena *arena; /* the header's */
    struct header header;
    bool has_header;
    int64_t total, error_count;
    char *errors[CALL_LIST_ERRORS_LISTED];
    size_t errors_listed;
    struct buf json, *out;
    char last_zone[64]; /* checked last: most lists have few */
    struct err *err;    /* of the feed under way */
};

static bool on_row(void *context, const struct csv_row *row);

struct call_list *call_list_new(const struct call_list_options *options)
{
    struct call_list *list = calloc(1, sizeof(*list));

    if (!list)
        return NULL;
    list->options = *options;
    buf_init(&list->json, 8 * CSV_ROW_LIMIT_BYTES);
    list->arena = arena_new(HEADER_BYTES);
    list->reader = csv_reader_new(on_row, list);
    if (!list->arena || !list->reader) {
        list->options.free_context = NULL; /* still the caller's */
        call_list_free(list);
        return NULL;
    }
    return list;
}

void call_list_free(struct call_list *list)
{
    if (!list)
        return;
    csv_reader_free(list->reader);
    arena_free(list->arena);
    buf_done(&list->json);
    for (size_t i = 0; i < list->errors_listed; i++)
        free(list->errors[i]);
    if (list->options.free_context)
        list->options.free_context(list->options.context);
    free(list);
}

/* ---- Errors of a row ---- */

/* Always true: a bad row never stops the others. */
static bool refuse(struct call_list *list, const struct csv_row *row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(struct call_list *list, const struct csv_row *row, const char *format, ...)
{
    char message[400];
    int used = snprintf(message, sizeof(message), "Row %lld: ", (long long)row->number);
    va_list arguments;

    list->error_count++;
    if (list->errors_listed == CALL_LIST_ERRORS_LISTED)
        return true;
    va_start(arguments, format);
    vsnprintf(message + used, sizeof(message) - (size_t)used, format, arguments);
    va_end(arguments);
    char *copy = strdup(message);

    if (copy)
        list->errors[list->errors_listed++] = copy;
    return true;
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

/* ---- A good row as a line of COPY ---- */

/* COPY's text format: backslash, tab and line ends escaped. */
static void put_copy_text(struct buf *out, struct str text)
{
    size_t plain = 0;

    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
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

static void put_contact_data(struct call_list *list, const struct csv_row *row)
{
    const struct header *header = &list->header;
    bool is_first = true;

    buf_reset(&list->json);
    buf_put_char(&list->json, '{');
    for (size_t i = 0; i < row->count; i++) {
        if (header->kinds[i] != COLUMN_DATA)
            continue;
        if (!is_first)
            buf_put_char(&list->json, ',');
        is_first = false;
        buf_put_json_string(&list->json, header->names[i]);
        buf_put_char(&list->json, ':');
        buf_put_json_string(&list->json, row->cells[i]);
    }
    buf_put_char(&list->json, '}');
}

struct contact {
    const char *phone;
    struct str name, timezone;
    int64_t priority;
};

static bool put_contact(struct call_list *list, const struct csv_row *row,
                        const struct contact *contact)
{
    struct buf *out = list->out;
    char id[UUID_TEXT_SIZE];

    make_id(list, id);
    put_contact_data(list, row);
    buf_put_cstr(out, id);
    buf_put_char(out, '\t');
    buf_put_cstr(out, contact->phone);
    buf_put_char(out, '\t');
    if (contact->name.length)
        put_copy_text(out, contact->name);
    else
        buf_put_cstr(out, "\\N");
    buf_printf(out, "\t%d\t", (int)contact->priority);
    if (contact->timezone.length)
        put_copy_text(out, contact->timezone);
    else
        buf_put_cstr(out, "\\N");
    buf_put_char(out, '\t');
    put_copy_text(out, buf_str(&list->json));
    buf_put_char(out, '\n');
    if (out->failed || list->json.failed)
        return err_set(list->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    return true;
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
static bool is_blank(const struct csv_row *row)
{
    for (size_t i = 0; i < row->count && i < CSV_COLUMN_LIMIT; i++)
        if (row->cells[i].length)
            return false;
    return row->count <= CSV_COLUMN_LIMIT;
}

/* What is wrong with the row's form; NULL when nothing is. */
static const char *form_problem(const struct call_list *list, const struct csv_row *row,
                                char out[200])
{
    if (row->count > list->header.count)
        snprintf(out, 200, "%zu cells, but there are only %zu columns", row->count,
                 list->header.count);
    else if (row->long_cell)
        snprintf(out, 200, "column %zu is longer than 64 KB", row->long_cell);
    else if (row->is_too_long)
        snprintf(out, 200, "the row is longer than 1 MB");
    else
        for (size_t i = 0;; i++) {
            if (i == row->count)
                return NULL;
            if (!utf8_is_valid(row->cells[i].data, row->cells[i].length)) {
                snprintf(out, 200, "column %zu is not valid UTF-8", i + 1);
                break;
            }
        }
    return out;
}

static bool on_contact(struct call_list *list, const struct csv_row *row)
{
    struct str phone = {0};
    struct contact contact = {0};
    char form[200], e164[PHONE_TEXT_SIZE], text[QUOTED_BYTES + 8];
    const char *problem = form_problem(list, row, form);

    if (problem)
        return refuse(list, row, "%s", problem);
    for (size_t i = 0; i < row->count; i++) {
        struct str cell = str_trim(row->cells[i]);

        switch (list->header.kinds[i]) {
        case COLUMN_PHONE:
            phone = cell;
            break;
        case COLUMN_NAME:
            contact.name = cell;
            break;
        case COLUMN_PRIORITY:
            if (cell.length &&
                (!str_parse_int64(cell, &contact.priority) || contact.priority < -PRIORITY_MOST ||
                 contact.priority > PRIORITY_MOST))
                return refuse(list, row, "priority \"%s\" is not a whole number from -1000 to 1000",
                              quoted(cell, text));
            break;
        case COLUMN_TIMEZONE:
            if (cell.length && !is_known_zone(list, cell))
                return refuse(list, row, "timezone \"%s\" is not known", quoted(cell, text));
            contact.timezone = cell;
            break;
        case COLUMN_DATA:
            break;
        }
    }
    if (!phone.length)
        return refuse(list, row, "phone_number is empty");
    switch (list->options.normalise_phone(list->options.context, phone, e164)) {
    case PHONE_INVALID:
        return refuse(list, row, "phone_number \"%s\" is not a valid phone number",
                      quoted(phone, text));
    case PHONE_NO_COUNTRY:
        return refuse(list, row,
                      "phone_number \"%s\" is not a valid phone number: it has no country code "
                      "(begin with +)",
                      quoted(phone, text));
    case PHONE_OK:
        break;
    }
    contact.phone = e164;
    return put_contact(list, row, &contact);
}

static bool on_row(void *context, const struct csv_row *row)
{
    struct call_list *list = context;

    if (!list->has_header) {
        list->has_header = true;
        return header_read(&list->header, row, list->arena, list->err);
    }
    if (is_blank(row))
        return true;
    if (list->total == list->options.row_limit)
        return err_set(list->err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                       "the file has more than %lld rows", (long long)list->options.row_limit);
    list->total++;
    return on_contact(list, row);
}

bool call_list_feed(struct call_list *list, struct str bytes, struct buf *out, struct err *err)
{
    list->out = out;
    list->err = err;
    return csv_reader_feed(list->reader, bytes, err);
}

bool call_list_end(struct call_list *list, struct buf *out, struct err *err)
{
    list->out = out;
    list->err = err;
    if (!csv_reader_end(list->reader, err))
        return false;
    return list->has_header || err_set(err, ERR_INVALID_ARGUMENT, NULL, "the file is empty");
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
