/* Finding by name and by number. */
#include "internal.h"

#include <stdlib.h>

#define DENSE_NUMBERS 1024 /* field numbers below this are looked up by index */

/* FNV-1a: names are short and come from our own files. */
uint32_t schema_hash(struct str text)
{
    uint32_t hash = UINT32_C(2166136261);

    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * UINT32_C(16777619);
    return hash;
}

bool symbol_add(struct loader *loader, const char *name, enum symbol_kind kind, size_t index,
                uint32_t file)
{
    struct schema_tables *tables = loader->tables;
    uint32_t hash = schema_hash(str_from(name));
    size_t slot = hash & tables->symbol_mask;

    for (; tables->symbols[slot].name; slot = (slot + 1) & tables->symbol_mask)
        if (strcmp(tables->symbols[slot].name, name) == 0)
            return loader_fail(loader, name, "is defined twice");
    tables->symbols[slot] = (struct symbol){name, kind, hash, (uint32_t)index, file};
    return true;
}

const struct symbol *symbol_find(const struct schema_tables *tables, struct str name)
{
    uint32_t hash = schema_hash(name);

    for (size_t slot = hash & tables->symbol_mask; tables->symbols[slot].name;
         slot = (slot + 1) & tables->symbol_mask)
        if (tables->symbols[slot].hash == hash && str_equal_cstr(name, tables->symbols[slot].name))
            return &tables->symbols[slot];
    return NULL;
}

static const struct symbol *find_kind(const struct schema *schema, struct str name,
                                      enum symbol_kind kind)
{
    const struct symbol *symbol = symbol_find((const struct schema_tables *)schema, name);

    return symbol && symbol->kind == kind ? symbol : NULL;
}

const struct schema_message *schema_find_message(const struct schema *schema, struct str full_name)
{
    const struct symbol *symbol = find_kind(schema, full_name, SYMBOL_MESSAGE);

    return symbol ? &schema->messages[symbol->index] : NULL;
}

const struct schema_service *schema_find_service(const struct schema *schema, struct str full_name)
{
    const struct symbol *symbol = find_kind(schema, full_name, SYMBOL_SERVICE);

    return symbol ? &schema->services[symbol->index] : NULL;
}

/* Splits "a.b.c" at the last `separator`. */
static bool split_last(struct str text, char separator, struct str *ret_head, struct str *ret_tail)
{
    size_t at = text.length;

    while (at > 0 && text.data[at - 1] != separator)
        at--;
    if (at == 0)
        return false;
    *ret_head = (struct str){text.data, at - 1};
    *ret_tail = (struct str){text.data + at, text.length - at};
    return true;
}

static const struct schema_method *find_in_service(const struct schema_service *service,
                                                   struct str name)
{
    for (size_t i = 0; service && i < service->method_count; i++)
        if (str_equal_cstr(name, service->methods[i].name))
            return &service->methods[i];
    return NULL;
}

const struct schema_method *schema_find_method(const struct schema *schema, struct str path)
{
    struct str service, name;

    if (!path.length || path.data[0] != '/')
        return NULL;
    path.data++;
    path.length--;
    if (!split_last(path, '/', &service, &name))
        return NULL;
    return find_in_service(schema_find_service(schema, service), name);
}

static bool has_oneof(const struct schema_message *message, struct str name)
{
    for (size_t i = 0; i < message->oneof_count; i++)
        if (str_equal_cstr(name, message->oneof_names[i]))
            return true;
    return false;
}

static bool has_field(const struct schema_message *message, struct str name)
{
    const struct schema_field *field = schema_find_field(message, name);

    return field && str_equal_cstr(name, field->name);
}

const struct schema_file *schema_find_file_of_symbol(const struct schema *schema, struct str symbol)
{
    const struct schema_tables *tables = (const struct schema_tables *)schema;
    const struct symbol *found = symbol_find(tables, symbol);
    struct str parent, member;

    if (!found && split_last(symbol, '.', &parent, &member)) {
        /* Members have no entry of their own: look for what holds them. */
        found = symbol_find(tables, parent);
        if (found && found->kind == SYMBOL_MESSAGE) {
            const struct schema_message *message = &schema->messages[found->index];

            if (!has_field(message, member) && !has_oneof(message, member))
                found = NULL;
        } else if (found && found->kind == SYMBOL_SERVICE) {
            if (!find_in_service(&schema->services[found->index], member))
                found = NULL;
        } else {
            found = NULL;
        }
    }
    return found ? &schema->files[found->file] : NULL;
}

const struct schema_field *schema_find_field(const struct schema_message *message, struct str name)
{
    const struct message_lookup *lookup = lookup_of(message);
    uint32_t hash = schema_hash(name);

    for (uint32_t slot = hash & lookup->name_mask; lookup->names[slot].field;
         slot = (slot + 1) & lookup->name_mask) {
        const struct schema_field *field = &message->fields[lookup->names[slot].field - 1];

        if (lookup->names[slot].hash == hash &&
            (str_equal_cstr(name, field->name) || str_equal_cstr(name, field->json_name)))
            return field;
    }
    return NULL;
}

const struct schema_field *schema_find_field_by_number(const struct schema_message *message,
                                                       uint32_t number)
{
    const struct message_lookup *lookup = lookup_of(message);

    if (number < lookup->dense_limit)
        return lookup->dense[number] ? &message->fields[lookup->dense[number] - 1] : NULL;
    size_t low = 0, high = message->field_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct schema_field *field = &message->fields[lookup->by_number[middle] - 1];

        if (field->number == number)
            return field;
        if (field->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct schema_enum_value *schema_find_enum_value(const struct schema_enum *enumeration,
                                                       struct str word)
{
    for (size_t i = 0; i < enumeration->value_count; i++)
        if (str_equal_cstr(word, enumeration->values[i].word) ||
            str_equal_cstr(word, enumeration->values[i].name))
            return &enumeration->values[i];
    return NULL;
}

const struct schema_enum_value *schema_find_enum_number(const struct schema_enum *enumeration,
                                                        int32_t number)
{
    /* Nearly every enum counts from 0 without gaps. */
    if (number >= 0 && (size_t)number < enumeration->value_count &&
        enumeration->values[number].number == number)
        return &enumeration->values[number];
    for (size_t i = 0; i < enumeration->value_count; i++)
        if (enumeration->values[i].number == number)
            return &enumeration->values[i];
    return NULL;
}

static bool add_name(struct loader *loader, const struct schema_message *message,
                     struct message_lookup *lookup, size_t index, const char *name)
{
    uint32_t hash = schema_hash(str_from(name));
    uint32_t slot = hash & lookup->name_mask;

    for (; lookup->names[slot].field; slot = (slot + 1) & lookup->name_mask) {
        const struct schema_field *other = &message->fields[lookup->names[slot].field - 1];

        if (lookup->names[slot].hash == hash &&
            (strcmp(name, other->name) == 0 || strcmp(name, other->json_name) == 0)) {
            if (other == &message->fields[index])
                return true; /* both spellings are the same word */
            return loader_fail(loader, message->full_name,
                               "\"%s\" names two fields, in one spelling or the other", name);
        }
    }
    lookup->names[slot].hash = hash;
    lookup->names[slot].field = (uint16_t)(index + 1);
    return true;
}

/* The message's fields' indices + 1 in ascending order of number; they mostly are already. */
static void sort_by_number(const struct schema_message *message, uint16_t *order)
{
    for (size_t i = 0; i < message->field_count; i++) {
        size_t at = i;

        for (; at > 0 && message->fields[order[at - 1] - 1].number > message->fields[i].number;
             at--)
            order[at] = order[at - 1];
        order[at] = (uint16_t)(i + 1);
    }
}

bool build_lookup(struct loader *loader, struct schema_message *message)
{
    struct message_lookup *lookup = loader_array(loader, 1, sizeof(*lookup));
    uint32_t slots = 4;

    if (!lookup)
        return false;
    if (message->field_count > UINT16_MAX / 2)
        return loader_fail(loader, message->full_name, "has too many fields");
    while (slots < 4 * message->field_count)
        slots *= 2;
    lookup->name_mask = slots - 1;
    lookup->names = loader_array(loader, slots, sizeof(*lookup->names));
    lookup->by_number = loader_array(loader, message->field_count, sizeof(*lookup->by_number));
    for (size_t i = 0; i < message->field_count; i++)
        if (message->fields[i].number < DENSE_NUMBERS &&
            message->fields[i].number >= lookup->dense_limit)
            lookup->dense_limit = message->fields[i].number + 1;
    lookup->dense = loader_array(loader, lookup->dense_limit, sizeof(*lookup->dense));
    if (!lookup->names || !lookup->by_number || !lookup->dense)
        return false;
    for (size_t i = 0; i < message->field_count; i++) {
        const struct schema_field *field = &message->fields[i];

        if (field->number < lookup->dense_limit) {
            if (lookup->dense[field->number])
                return loader_fail(loader, message->full_name, "number %u is used twice",
                                   field->number);
            lookup->dense[field->number] = (uint16_t)(i + 1);
        }
        if (!add_name(loader, message, lookup, i, field->name) ||
            !add_name(loader, message, lookup, i, field->json_name))
            return false;
    }
    sort_by_number(message, lookup->by_number);
    message->lookup = lookup;
    return true;
}

static uint8_t wire_type_of(enum schema_type type)
{
    switch (type) {
    case SCHEMA_DOUBLE:
    case SCHEMA_FIXED64:
    case SCHEMA_SFIXED64:
        return 1;
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_MESSAGE:
        return 2;
    case SCHEMA_FLOAT:
    case SCHEMA_FIXED32:
    case SCHEMA_SFIXED32:
        return 5;
    default:
        return 0;
    }
}

static bool has_value_rules(const struct schema_message *message, const struct schema_field *field)
{
    const struct schema_rules *rules = &field->rules;

    return rules->min_length || rules->max_length || rules->not_blank || rules->has_minimum ||
           rules->has_maximum || rules->format || field->type == SCHEMA_ENUM ||
           field->type == SCHEMA_STRING || /* no U+0000 */
           (message->well_known == SCHEMA_VALUE && field->type == SCHEMA_DOUBLE);
}

/* What check.c and check_fast.c want to know of each field without thinking. */
bool build_plans(struct loader *loader, struct schema_message *message)
{
    struct message_lookup *lookup = message->lookup;

    lookup->plans = loader_array(loader, message->field_count, sizeof(*lookup->plans));
    if (!lookup->plans)
        return false;
    lookup->too_wide = message->field_count > FAST_FIELDS || message->oneof_count > FAST_ONEOFS;
    for (size_t i = 0; i < message->field_count; i++) {
        const struct schema_field *field = &message->fields[i];
        const struct schema_rules *rules = &field->rules;
        struct field_plan *plan = &lookup->plans[i];

        plan->wire_type = wire_type_of(field->type);
        plan->has_rules = has_value_rules(message, field);
        /* A proto3 number cannot be left out: absent is 0, and 0 must keep the rules, unless a
         * default steps in. */
        plan->always_present = !field->optional && !field->repeated && !rules->default_json &&
                               type_is_numeric(field->type);
        bool counted = field->repeated && !field->output_only &&
                       (rules->min_items || rules->max_items || rules->unique_items);

        plan->counter = -1;
        if (counted && lookup->counter_count < FAST_COUNTERS) {
            plan->counter = (int8_t)lookup->counter_count;
            lookup->counter_fields[lookup->counter_count++] = (uint16_t)i;
        } else if (counted) {
            lookup->too_wide = true;
        }
        union wire_value zero = {0};

        plan->needed =
            !field->output_only &&
            (field->required || (rules->min_items && !rules->default_json) ||
             (plan->always_present && plan->has_rules && !value_keeps_rules(message, field, zero)));
        if (plan->needed && i < FAST_FIELDS)
            lookup->needed[i / 64] |= UINT64_C(1) << (i % 64);
    }
    /* A map value that is left out is the type's zero, and must keep the rules of the map's values.
     */
    if (message->map_entry && message->field_count == 2) {
        const struct schema_field *value = &message->fields[1];
        union wire_value zero = {0};

        if (value->type == SCHEMA_STRING || value->type == SCHEMA_BYTES)
            zero.bytes = STR_LITERAL("");
        lookup->has_default_value_rules = value->type != SCHEMA_MESSAGE &&
                                          lookup->plans[1].has_rules &&
                                          !value_keeps_rules(message, value, zero);
    }
    return true;
}
