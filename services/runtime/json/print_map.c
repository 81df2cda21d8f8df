#include "json/keys.h"
#include "json/number.h"
#include "json/print_internal.h"

#include <stdlib.h>

/* One entry of a map, as far as its last key and value go. */
struct entry {
    uint64_t key; /* the integer, or the length of a string */
    const uint8_t *key_bytes;
    uint64_t value;
    const uint8_t *value_bytes;
    const uint8_t *first_value; /* its tag, for a value in several pieces */
    size_t value_count;
};

static const uint8_t nothing[1] = {0};

static bool read_entry(struct json_printer *printer, const struct schema_message *message,
                       struct json_span wire, struct entry *ret_entry)
{
    unsigned key_type = json_wire_type(message->fields[0].type);
    unsigned value_type = json_wire_type(message->fields[1].type);
    struct entry entry = {.key_bytes = nothing, .value_bytes = nothing};

    while (wire.at < wire.end) {
        struct json_wire_field field;
        const uint8_t *next = json_wire_next(wire.at, wire.end, &field);

        if (!next)
            return json_print_problem(printer, message, "its bytes are malformed");
        if (field.number == 1 && field.type == key_type) {
            entry.key = field.value;
            entry.key_bytes = field.bytes;
        } else if (field.number == 2 && field.type == value_type) {
            if (entry.value_count++ == 0)
                entry.first_value = wire.at;
            entry.value = field.value;
            entry.value_bytes = field.bytes;
        }
        wire.at = next;
    }
    *ret_entry = entry;
    return true;
}

/* Walks on to the next entry of the map. */
static bool next_entry(struct json_printer *printer, const struct schema_field *field,
                       const uint8_t **at, const uint8_t *end, struct entry *ret_entry,
                       const uint8_t **ret_entry_end)
{
    struct json_wire_field found;

    do {
        *at = json_wire_next(*at, end, &found);
        if (!*at) /* of a Struct nothing has been walked before */
            return json_print_problem(printer, field->message, "its bytes are malformed");
    } while (found.number != field->number || found.type != JSON_WIRE_BYTES);
    *ret_entry_end = found.bytes + found.value;
    return read_entry(printer, field->message, json_span_of(found.bytes, found.value), ret_entry);
}

static bool print_key(struct json_printer *printer, const struct schema_field *key,
                      const struct entry *entry)
{
    if (key->type == SCHEMA_STRING)
        return json_print_scalar(printer, key, entry->key, entry->key_bytes, false) &&
               json_print_char(printer, ':');
    return json_print_char(printer, '"') &&
           json_print_scalar(printer, key, entry->key, entry->key_bytes, false) &&
           JSON_PRINT_LITERAL(printer, "\":");
}

static bool print_value(struct json_printer *printer, const struct schema_field *value,
                        const struct entry *entry, const uint8_t *entry_end)
{
    if (value->type != SCHEMA_MESSAGE)
        return json_print_scalar(printer, value, entry->value, entry->value_bytes, false);
    if (entry->value_count <= 1)
        return json_print_message(printer, value->message,
                                  json_span_of(entry->value_bytes, entry->value));
    const uint8_t *readable_end = printer->readable_end;
    struct json_span wire;
    uint8_t *memory;

    if (!json_print_gather(printer, value->message, 2, entry->first_value, entry_end,
                           entry->value_count, &memory, &wire))
        return false;
    bool ok = json_print_message(printer, value->message, wire);

    json_print_ungather(printer, memory, wire, readable_end);
    return ok;
}

/* Prints all entries but those marked in repeated (NULL: none). */
static bool print_entries(struct json_printer *printer, const struct schema_field *field,
                          const uint8_t *at, const uint8_t *end, size_t count, const bool *repeated)
{
    const struct schema_field *key = &field->message->fields[0];
    const struct schema_field *value = &field->message->fields[1];

    if (!json_print_char(printer, '{'))
        return false;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *entry_end;
        struct entry entry;

        if (!next_entry(printer, field, &at, end, &entry, &entry_end))
            return false;
        if (repeated && repeated[i])
            continue;
        if (!print_key(printer, key, &entry) || !print_value(printer, value, &entry, entry_end) ||
            !json_print_char(printer, ','))
            return false;
    }
    return json_print_close(printer, '}');
}

/* The key as what it means, whatever varint spelled it. */
static struct json_key key_of(const struct schema_field *key, const struct entry *entry)
{
    switch (key->type) {
    case SCHEMA_STRING:
        return (struct json_key){.data = (const char *)entry->key_bytes, .length = entry->key};
    case SCHEMA_BOOL:
        return (struct json_key){.number = entry->key != 0};
    case SCHEMA_INT32:
    case SCHEMA_UINT32:
    case SCHEMA_SINT32:
        return (struct json_key){.number = (uint32_t)entry->key};
    default:
        return (struct json_key){.number = entry->key};
    }
}

static bool find_repeated(struct json_printer *printer, const struct schema_field *field,
                          const uint8_t *at, const uint8_t *end, size_t count,
                          struct json_key *keys, bool *repeated)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *entry_end;
        struct entry entry;

        if (!next_entry(printer, field, &at, end, &entry, &entry_end))
            return false;
        keys[i] = key_of(&field->message->fields[0], &entry);
    }
    json_keys_find_repeated(keys, count, true, repeated);
    return true;
}

/* Of entries with the same key the last one counts; JSON must not show the others. */
bool json_print_map(struct json_printer *printer, const struct schema_field *field,
                    const uint8_t *first, const uint8_t *end, size_t count)
{
    if (count <= 1)
        return print_entries(printer, field, first, end, count, NULL);
    if (count <= JSON_KEYS_SMALL) {
        bool repeated[JSON_KEYS_SMALL];
        struct json_key keys[JSON_KEYS_SMALL];

        return find_repeated(printer, field, first, end, count, keys, repeated) &&
               print_entries(printer, field, first, end, count, repeated);
    }
    size_t size = count * (sizeof(struct json_key) + sizeof(bool));

    if (size > printer->scratch_left)
        return json_print_problem(printer, field->message, "it has too many entries");
    struct json_key *keys = malloc(size);

    if (!keys)
        return json_print_no_memory(printer);
    bool *repeated = (bool *)(keys + count);

    printer->scratch_left -= size;
    bool ok = find_repeated(printer, field, first, end, count, keys, repeated) &&
              print_entries(printer, field, first, end, count, repeated);

    printer->scratch_left += size;
    free(keys);
    return ok;
}
