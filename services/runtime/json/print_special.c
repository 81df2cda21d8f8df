/* The well-known types, whose JSON is not an object of their fields. */
#include "json/number.h"
#include "json/print_internal.h"
#include "json/times.h"

#include <math.h>

/* Seconds (1) and nanos (2) of a Timestamp or a Duration. */
static bool read_seconds_and_nanos(struct json_printer *printer,
                                   const struct schema_message *message, struct json_span wire,
                                   int64_t *ret_seconds, int32_t *ret_nanos)
{
    *ret_seconds = 0;
    *ret_nanos = 0;
    while (wire.at < wire.end) {
        struct json_wire_field field;

        wire.at = json_wire_next(wire.at, wire.end, &field);
        if (!wire.at)
            return json_print_problem(printer, message, "its bytes are malformed");
        if (field.type != JSON_WIRE_VARINT)
            continue;
        if (field.number == 1)
            *ret_seconds = (int64_t)field.value;
        else if (field.number == 2)
            *ret_nanos = (int32_t)(uint32_t)field.value;
    }
    return true;
}

static bool print_time(struct json_printer *printer, const struct schema_message *message,
                       struct json_span wire)
{
    int64_t seconds;
    int32_t nanos;
    char *room = json_room(printer->out, JSON_TIME_TEXT_SIZE + 2);

    if (!room || !read_seconds_and_nanos(printer, message, wire, &seconds, &nanos))
        return false;
    size_t length = message->well_known == SCHEMA_TIMESTAMP
                        ? json_timestamp_put(seconds, nanos, printer->compact, room + 1)
                        : json_duration_put(seconds, nanos, room + 1);

    if (length == 0)
        return json_print_problem(printer, message, "it is out of range");
    room[0] = '"';
    room[length + 1] = '"';
    printer->out->length += length + 2;
    return true;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* snake_case → lowerCamelCase; only what lowerCamelCase gives back: each "_" is followed by a small
 * letter, no capitals. */
static bool print_path(struct json_printer *printer, const struct schema_message *message,
                       struct str path)
{
    char *room = json_room(printer->out, path.length);

    if (!room)
        return false;
    for (size_t i = 0; i < path.length; i++) {
        char c = path.data[i];

        if (c == '_') {
            if (++i == path.length || !is_lower(path.data[i]))
                return json_print_problem(printer, message, "a path has no JSON form");
            c = (char)(path.data[i] - 'a' + 'A');
        } else if (!is_lower(c) && !(c >= '0' && c <= '9') && c != '.') {
            return json_print_problem(printer, message, "a path has no JSON form");
        }
        *room++ = c;
        printer->out->length++;
    }
    return true;
}

static bool print_field_mask(struct json_printer *printer, const struct schema_message *message,
                             struct json_span wire)
{
    bool first = true;

    if (!json_print_char(printer, '"'))
        return false;
    while (wire.at < wire.end) {
        struct json_wire_field field;

        wire.at = json_wire_next(wire.at, wire.end, &field);
        if (!wire.at)
            return json_print_problem(printer, message, "its bytes are malformed");
        if (field.number != 1 || field.type != JSON_WIRE_BYTES)
            continue;
        if ((!first && !json_print_char(printer, ',')) ||
            !print_path(printer, message, (struct str){(const char *)field.bytes, field.value}))
            return false;
        first = false;
    }
    return json_print_char(printer, '"');
}

/* DoubleValue and its siblings: the bare value. */
static bool print_wrapper(struct json_printer *printer, const struct schema_message *message,
                          struct json_span wire)
{
    static const uint8_t nothing[1] = {0};
    const struct schema_field *field = &message->fields[0];
    struct json_wire_field last = {.bytes = nothing};

    while (wire.at < wire.end) {
        struct json_wire_field found;

        wire.at = json_wire_next(wire.at, wire.end, &found);
        if (!wire.at)
            return json_print_problem(printer, message, "its bytes are malformed");
        if (found.number == field->number && found.type == json_wire_type(field->type))
            last = found;
    }
    return json_print_scalar(printer, field, last.value, last.bytes, false);
}

static bool print_struct(struct json_printer *printer, const struct schema_message *message,
                         struct json_span wire)
{
    const uint8_t *first = wire.at;
    size_t count = 0;

    while (wire.at < wire.end) {
        struct json_wire_field field;

        wire.at = json_wire_next(wire.at, wire.end, &field);
        if (!wire.at)
            return json_print_problem(printer, message, "its bytes are malformed");
        count += field.number == 1 && field.type == JSON_WIRE_BYTES;
    }
    if (!json_print_enter(printer, message) ||
        !json_print_map(printer, &message->fields[0], first, wire.end, count))
        return false;
    printer->depth--;
    return true;
}

static bool print_list_value(struct json_printer *printer, const struct schema_message *message,
                             struct json_span wire)
{
    if (!json_print_enter(printer, message) || !json_print_char(printer, '['))
        return false;
    while (wire.at < wire.end) {
        struct json_wire_field field;

        wire.at = json_wire_next(wire.at, wire.end, &field);
        if (!wire.at)
            return json_print_problem(printer, message, "its bytes are malformed");
        if (field.number != 1 || field.type != JSON_WIRE_BYTES)
            continue;
        if (!json_print_message(printer, message->fields[0].message,
                                json_span_of(field.bytes, field.value)) ||
            !json_print_char(printer, ','))
            return false;
    }
    printer->depth--;
    return json_print_close(printer, ']');
}

/* Numbers of the members of google.protobuf.Value's oneof. */
enum value_kind { KIND_NULL = 1, KIND_NUMBER, KIND_STRING, KIND_BOOL, KIND_STRUCT, KIND_LIST };

static unsigned wire_type_of_kind(uint32_t kind)
{
    static const uint8_t types[] = {
        [KIND_NULL] = JSON_WIRE_VARINT,  [KIND_NUMBER] = JSON_WIRE_FIXED64,
        [KIND_STRING] = JSON_WIRE_BYTES, [KIND_BOOL] = JSON_WIRE_VARINT,
        [KIND_STRUCT] = JSON_WIRE_BYTES, [KIND_LIST] = JSON_WIRE_BYTES};

    return kind >= KIND_NULL && kind <= KIND_LIST ? types[kind] : JSON_WIRE_GROUP_END;
}

static bool print_kind(struct json_printer *printer, const struct schema_message *message,
                       const struct json_wire_field *last)
{
    const struct schema_field *field = &message->fields[last->number - 1];
    double number;

    switch (last->number) {
    case KIND_STRUCT:
    case KIND_LIST:
        return json_print_message(printer, field->message, json_span_of(last->bytes, last->value));
    case KIND_NUMBER:
        memcpy(&number, &last->value, sizeof(number));
        if (!isfinite(number))
            return json_print_problem(printer, message, "a number is not finite");
        break;
    default:
        break;
    }
    return json_print_scalar(printer, field, last->value, last->bytes, false);
}

/* A Value may come in pieces: the last member counts, and a Struct or list in several pieces is
 * their merger. One without any member has no JSON form; null is the nearest. */
static bool print_value(struct json_printer *printer, const struct schema_message *message,
                        struct json_span wire)
{
    struct json_wire_field last = {0};
    const uint8_t *first = NULL, *end = wire.end;
    size_t count = 0;

    while (wire.at < wire.end) {
        struct json_wire_field field;
        const uint8_t *next = json_wire_next(wire.at, wire.end, &field);

        if (!next)
            return json_print_problem(printer, message, "its bytes are malformed");
        if (field.type == wire_type_of_kind(field.number)) {
            if (field.number != last.number) {
                first = wire.at;
                count = 0;
            }
            count++;
            last = field;
        }
        wire.at = next;
    }
    if (count == 0 || last.number == KIND_NULL)
        return JSON_PRINT_LITERAL(printer, "null");
    if (count == 1 || (last.number != KIND_STRUCT && last.number != KIND_LIST))
        return print_kind(printer, message, &last);
    const uint8_t *readable_end = printer->readable_end;
    struct json_span merged;
    uint8_t *memory;

    if (!json_print_gather(printer, message, last.number, first, end, count, &memory, &merged))
        return false;
    bool ok = json_print_message(printer, message->fields[last.number - 1].message, merged);

    json_print_ungather(printer, memory, merged, readable_end);
    return ok;
}

/* {"@type": <url>, <fields>}, or {"@type": <url>, "value": <JSON form>} for the types of this file.
 */
static bool print_any(struct json_printer *printer, const struct schema_message *message,
                      struct json_span wire)
{
    struct str url = {"", 0};
    struct json_span value = {wire.end, wire.end};

    if (wire.at == wire.end)
        return JSON_PRINT_LITERAL(printer, "{}");
    while (wire.at < wire.end) {
        struct json_wire_field field;

        wire.at = json_wire_next(wire.at, wire.end, &field);
        if (!wire.at)
            return json_print_problem(printer, message, "its bytes are malformed");
        if (field.type == JSON_WIRE_BYTES && field.number == 1)
            url = (struct str){(const char *)field.bytes, field.value};
        else if (field.type == JSON_WIRE_BYTES && field.number == 2)
            value = json_span_of(field.bytes, field.value);
    }
    const char *slash = url.length ? memrchr(url.data, '/', url.length) : NULL;
    const struct schema_message *type =
        slash ? schema_find_message(
                    printer->schema,
                    (struct str){slash + 1, (size_t)(url.data + url.length - slash - 1)})
              : NULL;

    if (!type)
        return json_print_problem(printer, message, "a type is unknown");
    if (type->well_known == SCHEMA_ORDINARY || type->well_known == SCHEMA_EMPTY)
        return json_print_object(printer, type, value, &url);
    if (!json_print_enter(printer, message) || !JSON_PRINT_LITERAL(printer, "{\"@type\":"))
        return false;
    if (!json_put_string(printer->out, url, url.data + url.length))
        return printer->out->failed
                   ? false
                   : json_print_problem(printer, message, "a type URL is not UTF-8");
    if (!JSON_PRINT_LITERAL(printer, ",\"value\":") || !json_print_message(printer, type, value))
        return false;
    printer->depth--;
    return json_print_char(printer, '}');
}

bool json_print_special(struct json_printer *printer, const struct schema_message *message,
                        struct json_span wire)
{
    switch (message->well_known) {
    case SCHEMA_TIMESTAMP:
    case SCHEMA_DURATION:
        return print_time(printer, message, wire);
    case SCHEMA_STRUCT:
        return print_struct(printer, message, wire);
    case SCHEMA_VALUE:
        return print_value(printer, message, wire);
    case SCHEMA_LIST_VALUE:
        return print_list_value(printer, message, wire);
    case SCHEMA_FIELD_MASK:
        return print_field_mask(printer, message, wire);
    case SCHEMA_WRAPPER:
        return print_wrapper(printer, message, wire);
    case SCHEMA_ANY:
        return print_any(printer, message, wire);
    case SCHEMA_ORDINARY:
    case SCHEMA_EMPTY:
        break;
    }
    return json_print_object(printer, message, wire, NULL);
}
