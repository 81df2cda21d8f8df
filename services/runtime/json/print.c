/* Wire → JSON, index-then-emit. Pass 1 walks the tags of one message and notes per field where it
 * occurs, how often and its last value; what lies inside submessages is stepped over. Pass 2 writes
 * the fields in the order of the .proto. That alone gives defaults in their place, last-one-wins,
 * split and packed lists, and oneofs of which the last member counts. Each tag is looked at once
 * per pass (a list's once more per list of the same message), so the cost is linear in the wire's
 * size.
 *
 *   json_print → json_print_message ─┬─ json_print_object: index_message, then print_field for each
 * field │    └─ print_list, json_print_map, print_singular → json_print_message … └─
 * json_print_special (print_special.c): Timestamp, Struct, Any, …
 */
#include "json/print_internal.h"

#include "json/base64.h"
#include "json/double.h"
#include "json/number.h"

#include <math.h>
#include <stdlib.h>

bool json_print_problem(struct json_printer *printer, const struct schema_message *message,
                        const char *problem)
{
    if (!printer->problem) {
        printer->problem = problem;
        printer->problem_message = message ? message->full_name : NULL;
    }
    return false;
}

bool json_print_no_memory(struct json_printer *printer)
{
    printer->no_memory = true;
    return false;
}

/* Counts the nesting that JSON shows: messages, Structs and ListValues. Lists and maps of fields
 * nest nothing by themselves. */
bool json_print_enter(struct json_printer *printer, const struct schema_message *message)
{
    if (++printer->depth > SCHEMA_DEPTH_LIMIT)
        return json_print_problem(printer, message, "it is nested too deep");
    return true;
}

/* Slots */

static struct json_slot *take_slots(struct json_printer *printer, size_t count)
{
    struct json_slot *slots;

    if (count <= JSON_INLINE_SLOTS - printer->slots_used) {
        slots = printer->slots + printer->slots_used;
        printer->slots_used += count;
    } else {
        slots = malloc(count * sizeof(*slots)); /* bounded: fields of the .proto × depth */
        if (!slots) {
            json_print_no_memory(printer);
            return NULL;
        }
    }
    for (size_t i = 0; i < count; i++)
        slots[i].count = 0;
    return slots;
}

static void give_slots_back(struct json_printer *printer, struct json_slot *slots, size_t count)
{
    if (slots >= printer->slots && slots < printer->slots + JSON_INLINE_SLOTS)
        printer->slots_used -= count;
    else
        free(slots);
}

static inline const struct schema_field *find_field(const struct schema_message *message,
                                                    uint32_t number, size_t *hint)
{
    const struct schema_field *fields = message->fields;

    /* Wire comes in the order of numbers as a rule, and numbers count from 1 without gaps. */
    for (size_t i = *hint; i < message->field_count && i <= *hint + 1; i++)
        if (fields[i].number == number) {
            *hint = i;
            return &fields[i];
        }
    if (number - 1 < message->field_count && fields[number - 1].number == number) {
        *hint = number - 1;
        return &fields[*hint];
    }
    return schema_find_field_by_number(message, number);
}

static inline bool is_packable(const struct schema_field *field)
{
    return field->repeated && json_wire_type(field->type) != JSON_WIRE_BYTES;
}

/* False: such an occurrence counts as an unknown field. */
static inline bool fits(const struct schema_field *field, unsigned wire_type)
{
    return wire_type == json_wire_type(field->type) ||
           (wire_type == JSON_WIRE_BYTES && is_packable(field));
}

/* The member of a oneof that was there before this one does not count any more. active->count: its
 * index + 1. */
static void choose_member(struct json_slot *slots, struct json_slot *active, size_t index)
{
    if (active->count && active->count != index + 1)
        slots[active->count - 1].count = 0;
    active->count = (uint32_t)index + 1;
}

/* Pass 1. slots: one a field, then one a oneof. */
static bool index_message(struct json_printer *printer, const struct schema_message *message,
                          struct json_span wire, struct json_slot *slots)
{
    size_t hint = 0;

    while (wire.at < wire.end) {
        struct json_wire_field entry;
        const uint8_t *next = json_wire_next(wire.at, wire.end, &entry);

        if (!next)
            return json_print_problem(printer, message, "its bytes are malformed");
        const struct schema_field *field = find_field(message, entry.number, &hint);

        if (field && fits(field, entry.type)) {
            size_t index = (size_t)(field - message->fields);
            struct json_slot *slot = &slots[index];

            if (field->oneof >= 0)
                choose_member(slots, &slots[message->field_count + (size_t)field->oneof], index);
            if (slot->count++ == 0)
                slot->first = wire.at;
            slot->value = entry.value;
            slot->bytes = entry.bytes;
        }
        wire.at = next;
    }
    return true;
}

/* Scalars */

static bool print_float(struct json_printer *printer, double value, bool single)
{
    char *room;

    if (isnan(value))
        return JSON_PRINT_LITERAL(printer, "\"NaN\"");
    if (isinf(value))
        return value < 0 ? JSON_PRINT_LITERAL(printer, "\"-Infinity\"")
                         : JSON_PRINT_LITERAL(printer, "\"Infinity\"");
    room = json_room(printer->out, JSON_NUMBER_TEXT_SIZE);
    if (!room)
        return false;
    printer->out->length +=
        single ? json_float_shortest((float)value, room) : json_number_put_double(value, room);
    return true;
}

static bool print_bytes(struct json_printer *printer, struct str bytes)
{
    size_t size = json_base64_size(bytes.length);
    char *room = json_room(printer->out, size + 2);

    if (!room)
        return false;
    room[0] = '"';
    json_base64_put(bytes, room + 1);
    room[size + 1] = '"';
    printer->out->length += size + 2;
    return true;
}

/* The word of a number; the number where there is no word (a newer sender knows more); null for
 * "unspecified", except where null could not be read back, and where compact text must tell it from
 * an absent one. */
static bool print_enum(struct json_printer *printer, const struct schema_field *field,
                       int32_t number, bool in_place)
{
    const struct schema_enum *enumeration = field->enumeration;
    const struct schema_enum_value *value;

    if (number >= 0 && (size_t)number < enumeration->value_count &&
        enumeration->values[number].number == number)
        value = &enumeration->values[number];
    else
        value = schema_find_enum_number(enumeration, number);
    if (!value) {
        char *room = json_room(printer->out, JSON_NUMBER_TEXT_SIZE);

        if (room)
            printer->out->length += json_number_put_int64(number, room);
        return room != NULL;
    }
    if (number == 0 && ((in_place && !printer->compact && !strcmp(value->word, "unspecified")) ||
                        !strcmp(enumeration->full_name, "google.protobuf.NullValue")))
        return JSON_PRINT_LITERAL(printer, "null");
    size_t length = strlen(value->word);
    char *room = json_room(printer->out, length + 2);

    if (!room)
        return false;
    room[0] = '"';
    memcpy(room + 1, value->word, length);
    room[length + 1] = '"';
    printer->out->length += length + 2;
    return true;
}

static int64_t zigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static bool print_integer(struct json_printer *printer, const struct schema_field *field,
                          uint64_t value)
{
    char *room = json_room(printer->out, JSON_NUMBER_TEXT_SIZE);
    int64_t number;

    if (!room)
        return false;
    switch (field->type) {
    case SCHEMA_UINT64:
    case SCHEMA_FIXED64:
        printer->out->length += json_number_put_uint64(value, room);
        return true;
    case SCHEMA_UINT32:
    case SCHEMA_FIXED32:
        printer->out->length += json_number_put_uint64((uint32_t)value, room);
        return true;
    case SCHEMA_SINT32:
        number = (int32_t)zigzag((uint32_t)value);
        break;
    case SCHEMA_SINT64:
        number = zigzag(value);
        break;
    case SCHEMA_INT32:
    case SCHEMA_SFIXED32:
        number = (int32_t)(uint32_t)value; /* a longer varint is cut, as everywhere */
        break;
    default:
        number = (int64_t)value;
        break;
    }
    printer->out->length += field->rules.decimal_places
                                ? json_number_put_decimal(number, field->rules.decimal_places, room)
                                : json_number_put_int64(number, room);
    return true;
}

bool json_print_scalar(struct json_printer *printer, const struct schema_field *field,
                       uint64_t value, const uint8_t *bytes, bool in_place)
{
    double number;
    float single;
    uint32_t low = (uint32_t)value;

    switch (field->type) {
    case SCHEMA_STRING:
        if (json_put_string(printer->out, (struct str){(const char *)bytes, value},
                            (const char *)printer->readable_end))
            return true;
        return printer->out->failed ? false
                                    : json_print_problem(printer, NULL, "a string is not UTF-8");
    case SCHEMA_BYTES:
        return print_bytes(printer, (struct str){(const char *)bytes, value});
    case SCHEMA_BOOL:
        return value ? JSON_PRINT_LITERAL(printer, "true") : JSON_PRINT_LITERAL(printer, "false");
    case SCHEMA_ENUM:
        return print_enum(printer, field, (int32_t)low, in_place);
    case SCHEMA_DOUBLE:
        memcpy(&number, &value, sizeof(number));
        return print_float(printer, number, false);
    case SCHEMA_FLOAT:
        memcpy(&single, &low, sizeof(single));
        return print_float(printer, (double)single, true);
    default:
        return print_integer(printer, field, value);
    }
}

/* Fields */

bool json_print_gather(struct json_printer *printer, const struct schema_message *message,
                       uint32_t number, const uint8_t *first, const uint8_t *end, size_t count,
                       uint8_t **ret_memory, struct json_span *ret_wire)
{
    struct json_wire_field entry;
    size_t size = 0, left = count;
    const uint8_t *at = first;

    for (; left && (at = json_wire_next(at, end, &entry)) != NULL;)
        if (entry.number == number && entry.type == JSON_WIRE_BYTES) {
            size += entry.value;
            left--;
        }
    /* Each level of nesting may be split again: without a budget the copies could sum up to depth ×
     * size. */
    if (left || size > printer->scratch_left)
        return json_print_problem(printer, message, "it comes in too many pieces");
    uint8_t *memory = malloc(size ? size : 1);

    if (!memory)
        return json_print_no_memory(printer);
    printer->scratch_left -= size;
    size = 0;
    for (at = first, left = count; left;) {
        at = json_wire_next(at, end, &entry);
        if (entry.number == number && entry.type == JSON_WIRE_BYTES) {
            if (entry.value)
                memcpy(memory + size, entry.bytes, entry.value);
            size += entry.value;
            left--;
        }
    }
    *ret_memory = memory;
    *ret_wire = json_span_of(memory, size);
    printer->readable_end = ret_wire->end;
    return true;
}

void json_print_ungather(struct json_printer *printer, uint8_t *memory, struct json_span wire,
                         const uint8_t *readable_end)
{
    printer->scratch_left += (size_t)(wire.end - wire.at);
    printer->readable_end = readable_end;
    free(memory);
}

static bool print_singular(struct json_printer *printer, const struct schema_field *field,
                           const struct json_slot *slot, const uint8_t *end)
{
    if (field->type != SCHEMA_MESSAGE)
        return json_print_scalar(printer, field, slot->value, slot->bytes, true);
    if (slot->count == 1)
        return json_print_message(printer, field->message, json_span_of(slot->bytes, slot->value));
    /* A message that occurs twice is the merger of its pieces, which is what their concatenation
     * reads as. */
    const uint8_t *readable_end = printer->readable_end;
    struct json_span wire;
    uint8_t *memory;

    if (!json_print_gather(printer, field->message, field->number, slot->first, end, slot->count,
                           &memory, &wire))
        return false;
    bool ok = json_print_message(printer, field->message, wire);

    json_print_ungather(printer, memory, wire, readable_end);
    return ok;
}

static bool print_packed(struct json_printer *printer, const struct schema_field *field,
                         struct json_span wire)
{
    unsigned type = json_wire_type(field->type);

    while (wire.at < wire.end) {
        uint64_t value = 0;
        size_t size = type == JSON_WIRE_FIXED64 ? 8 : 4;

        if (type == JSON_WIRE_VARINT) {
            wire.at = json_varint(wire.at, wire.end, &value);
            if (!wire.at)
                return json_print_problem(printer, NULL, "a packed list is malformed");
        } else {
            if ((size_t)(wire.end - wire.at) < size)
                return json_print_problem(printer, NULL, "a packed list is malformed");
            memcpy(&value, wire.at, size);
            wire.at += size;
        }
        if (!json_print_scalar(printer, field, value, NULL, false) ||
            !json_print_char(printer, ','))
            return false;
    }
    return true;
}

static bool print_list(struct json_printer *printer, const struct schema_field *field,
                       const struct json_slot *slot, const uint8_t *end)
{
    const uint8_t *at = slot->first;

    if (!json_print_char(printer, '['))
        return false;
    for (size_t left = slot->count; left;) {
        struct json_wire_field entry;

        at = json_wire_next(at, end, &entry); /* well-formed: the index walked it */
        if (entry.number != field->number || !fits(field, entry.type))
            continue;
        left--;
        if (is_packable(field) && entry.type == JSON_WIRE_BYTES) {
            if (!print_packed(printer, field, json_span_of(entry.bytes, entry.value)))
                return false;
            continue;
        }
        if (field->type == SCHEMA_MESSAGE
                ? !json_print_message(printer, field->message,
                                      json_span_of(entry.bytes, entry.value))
                : !json_print_scalar(printer, field, entry.value, entry.bytes, false))
            return false;
        if (!json_print_char(printer, ','))
            return false;
    }
    return json_print_close(printer, ']');
}

/* What stands for a field that does not occur. */
static bool print_absent(struct json_printer *printer, const struct schema_field *field)
{
    static const uint8_t nothing[1] = {0};

    if (field->map)
        return JSON_PRINT_LITERAL(printer, "{}");
    if (field->repeated)
        return JSON_PRINT_LITERAL(printer, "[]");
    if (field->optional)
        return JSON_PRINT_LITERAL(printer, "null");
    return json_print_scalar(printer, field, 0, nothing, true);
}

/* True when the occurrences say more than leaving the field out would. */
static bool has_value(const struct schema_field *field, const struct json_slot *slot)
{
    if (slot->count == 0)
        return false;
    if (field->repeated)
        return slot->count > 1 || !slot->bytes || slot->value || !is_packable(field);
    return field->optional || slot->value;
}

static bool print_field_value(struct json_printer *printer, const struct schema_field *field,
                              const struct json_slot *slot, const uint8_t *end)
{
    if (slot->count == 0)
        return print_absent(printer, field);
    if (field->map)
        return json_print_map(printer, field, slot->first, end, slot->count);
    if (field->repeated)
        return print_list(printer, field, slot, end);
    return print_singular(printer, field, slot, end);
}

static inline bool print_field(struct json_printer *printer, const struct schema_field *field,
                               const struct json_slot *slot, const uint8_t *end)
{
    if (printer->compact && !has_value(field, slot))
        return true;
    return json_print_key(printer, field->name) && print_field_value(printer, field, slot, end) &&
           json_print_char(printer, ',');
}

/* {"type": <member>, <other fields>, "data": <its value>} */
static bool print_union_fields(struct json_printer *printer, const struct schema_message *message,
                               const struct json_slot *slots, const uint8_t *end)
{
    const struct schema_field *member = NULL;

    for (size_t i = 0; i < message->field_count && !member; i++)
        if (message->fields[i].oneof >= 0 && slots[i].count)
            member = &message->fields[i];
    if (member) {
        if (!json_print_key(printer, "type") || !json_print_char(printer, '"') ||
            !json_print_text(printer, member->name, strlen(member->name)) ||
            !JSON_PRINT_LITERAL(printer, "\","))
            return false;
    } else if (!printer->compact && !JSON_PRINT_LITERAL(printer, "\"type\":null,")) {
        return false;
    }
    for (size_t i = 0; i < message->field_count; i++)
        if (message->fields[i].oneof < 0 &&
            !print_field(printer, &message->fields[i], &slots[i], end))
            return false;
    if (!member)
        return printer->compact || JSON_PRINT_LITERAL(printer, "\"data\":null,");
    return json_print_key(printer, "data") &&
           print_field_value(printer, member, &slots[member - message->fields], end) &&
           json_print_char(printer, ',');
}

static bool print_fields(struct json_printer *printer, const struct schema_message *message,
                         const struct json_slot *slots, const uint8_t *end)
{
    if (message->tagged_union)
        return print_union_fields(printer, message, slots, end);
    for (size_t i = 0; i < message->field_count; i++)
        if (!print_field(printer, &message->fields[i], &slots[i], end))
            return false;
    return true;
}

/* The slot of the shorthand field, when it has a value and no other field has. */
static const struct json_slot *find_shorthand(const struct schema_message *message,
                                              const struct json_slot *slots)
{
    for (size_t i = 0; i < message->field_count; i++)
        if (has_value(&message->fields[i], &slots[i]) !=
            (&message->fields[i] == message->shorthand))
            return NULL;
    return &slots[message->shorthand - message->fields];
}

/* Pass 2. */
static bool print_indexed(struct json_printer *printer, const struct schema_message *message,
                          const struct json_slot *slots, const uint8_t *end,
                          const struct str *any_type)
{
    if (message->shorthand && !any_type) {
        const struct json_slot *slot = find_shorthand(message, slots);

        if (slot)
            return json_print_scalar(printer, message->shorthand, slot->value, slot->bytes, false);
    }
    if (!json_print_char(printer, '{'))
        return false;
    if (any_type && (!json_print_key(printer, "@type") ||
                     !json_put_string(printer->out, *any_type, any_type->data + any_type->length) ||
                     !json_print_char(printer, ',')))
        return printer->out->failed ? false
                                    : json_print_problem(printer, NULL, "a type URL is not UTF-8");
    return print_fields(printer, message, slots, end) && json_print_close(printer, '}');
}

bool json_print_object(struct json_printer *printer, const struct schema_message *message,
                       struct json_span wire, const struct str *any_type)
{
    size_t count = message->field_count + message->oneof_count;

    if (!json_print_enter(printer, message))
        return false;
    struct json_slot *slots = take_slots(printer, count);

    if (!slots)
        return false;
    bool ok = index_message(printer, message, wire, slots) &&
              print_indexed(printer, message, slots, wire.end, any_type);

    give_slots_back(printer, slots, count);
    printer->depth--;
    return ok;
}

bool json_print_message(struct json_printer *printer, const struct schema_message *message,
                        struct json_span wire)
{
    if (message->well_known == SCHEMA_ORDINARY || message->well_known == SCHEMA_EMPTY)
        return json_print_object(printer, message, wire, NULL);
    return json_print_special(printer, message, wire);
}

bool json_print(const struct schema *schema, const struct schema_message *message, struct str wire,
                enum json_print_mode mode, struct buf *out, struct err *err)
{
    static const uint8_t nothing[1] = {0};
    struct json_printer printer;
    size_t start = out->length;
    const uint8_t *at = wire.length ? (const uint8_t *)wire.data : nothing;

    printer.schema = schema;
    printer.out = out;
    printer.compact = mode == JSON_PRINT_COMPACT;
    printer.depth = 0;
    printer.readable_end = at + wire.length;
    /* Far above what any sensible message needs, and still proportional to what came in. */
    printer.scratch_left = (size_t)64 * 1024 + 24 * wire.length;
    printer.no_memory = false;
    printer.problem = NULL;
    printer.problem_message = NULL;
    printer.slots_used = 0;
    if (wire.length > INT32_MAX)
        json_print_problem(&printer, message, "it is larger than 2 GB");
    else if (json_print_message(&printer, message, json_span_of(at, wire.length)) && !out->failed)
        return true;
    out->length = start;
    if (printer.no_memory)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    if (printer.problem)
        return err_set(err, ERR_INTERNAL, "BAD_MESSAGE", "cannot write a %s as JSON: %s%s%s",
                       message->full_name, printer.problem, printer.problem_message ? " in " : "",
                       printer.problem_message ? printer.problem_message : "");
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                   "the JSON text would be larger than the limit");
}
