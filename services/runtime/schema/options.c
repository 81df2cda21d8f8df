/* dialplane.rules of fields and dialplane.message of messages: read, and refused where they make no
 * sense. Extensions that protobuf-c's generated descriptors do not know arrive as unknown fields of
 * the options message. */
#include "internal.h"

#include "base/buf.h"

#define MESSAGE_OPTION 50101
#define FIELD_OPTION 50100
#define MOST_DECIMAL_PLACES 18
#define HTTP_ADDITIONAL_BINDINGS 11 /* HttpRule's field: the one option that may nest */

/* protobuf-c keeps a length-delimited unknown field with its length in front. */
static bool strip_length(const ProtobufCMessageUnknownField *field, struct str *ret_bytes)
{
    uint64_t length = 0;
    size_t at = 0;

    for (unsigned shift = 0;; shift += 7) {
        if (at == field->len || shift > 35)
            return false;
        length |= (uint64_t)(field->data[at] & 0x7F) << shift;
        if (field->data[at++] < 0x80)
            break;
    }
    if (length != field->len - at)
        return false;
    *ret_bytes = (struct str){(const char *)field->data + at, (size_t)length};
    return true;
}

static void *scratch_alloc(void *data, size_t size)
{
    return arena_alloc(data, size);
}

static void scratch_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

bool options_find(struct loader *loader, const ProtobufCMessage *options, uint32_t number,
                  const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret_message)
{
    ProtobufCAllocator allocator = {scratch_alloc, scratch_free, loader->scratch};
    struct buf whole;
    bool found = false;

    *ret_message = NULL;
    buf_init(&whole, 0);
    /* An option that is set in several statements may come in several pieces; a message in pieces
     * is their concatenation. */
    for (size_t i = 0; options && i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];
        struct str piece;

        if (field->tag != number)
            continue;
        if (field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED ||
            !strip_length(field, &piece)) {
            buf_done(&whole);
            return false;
        }
        buf_put_str(&whole, piece);
        found = true;
    }
    if (found && !whole.failed && wire_nests_within(buf_str(&whole), HTTP_ADDITIONAL_BINDINGS, 4))
        *ret_message = protobuf_c_message_unpack(descriptor, &allocator, whole.length,
                                                 (const uint8_t *)whole.data);
    buf_done(&whole);
    return !found || *ret_message;
}

static bool is_text(enum schema_type type)
{
    return type == SCHEMA_STRING || type == SCHEMA_BYTES;
}

/* NULL, or why the rules do not suit the field. */
static const char *why_unsuitable(const struct schema_field *field)
{
    const struct schema_rules *rules = &field->rules;
    const struct schema_field *value = value_field(field);

    if ((rules->min_length || rules->max_length) && !is_text(value->type))
        return "min_length and max_length are for strings and bytes";
    if (rules->max_length && rules->min_length > rules->max_length)
        return "min_length is more than max_length";
    if ((rules->not_blank || rules->format) && value->type != SCHEMA_STRING)
        return "not_blank and format are for strings";
    if (rules->format && !schema_format_info(rules->format))
        return "format is not in the table of formats";
    if ((rules->has_minimum || rules->has_maximum) && !type_is_numeric(value->type))
        return "minimum and maximum are for numbers";
    if (rules->has_minimum && rules->has_maximum && rules->minimum > rules->maximum)
        return "minimum is more than maximum";
    if ((rules->min_items || rules->max_items) && !field->repeated)
        return "min_items and max_items are for repeated fields and maps";
    if (rules->max_items && rules->min_items > rules->max_items)
        return "min_items is more than max_items";
    if (rules->unique_items && (!field->repeated || field->type == SCHEMA_MESSAGE))
        return "unique_items is for repeated scalars";
    if (rules->decimal_places && (field->type != SCHEMA_INT64 || field->repeated))
        return "decimal_places is for int64";
    if (rules->decimal_places > MOST_DECIMAL_PLACES)
        return "decimal_places is at most 18";
    if (rules->revision && (field->repeated || field->type != SCHEMA_MESSAGE ||
                            field->message->well_known != SCHEMA_TIMESTAMP))
        return "revision is for a google.protobuf.Timestamp";
    if (field->personal == SCHEMA_PERSONAL_PHONE && (field->map || field->type != SCHEMA_STRING))
        return "personal phones are strings";
    if (field->personal == SCHEMA_PERSONAL_TEXT && !field->map && field->type != SCHEMA_STRING &&
        !(field->type == SCHEMA_MESSAGE && field->message->well_known == SCHEMA_STRUCT))
        return "personal text is a string, a map, or a google.protobuf.Struct";
    if (field->personal > SCHEMA_PERSONAL_TEXT)
        return "personal is PERSONAL_PHONE or PERSONAL_TEXT";
    if (field->required && field->output_only)
        return "cannot be both required and output_only";
    if (field->required && field->type == SCHEMA_BOOL && !field->repeated && !field->optional)
        return "a required bool must be optional: false cannot be told from absent";
    return NULL;
}

static const char *why_bad_default(const struct schema_field *field)
{
    const struct schema_rules *rules = &field->rules;
    bool can_be_absent =
        field->optional || field->repeated || is_text(field->type) || field->type == SCHEMA_ENUM;

    if (!default_is_valid(field, str_from(rules->default_json)))
        return "default_json is not a value of the field";
    if (field->required)
        return "cannot be both required and have default_json";
    if (field->oneof >= 0)
        return "a member of a oneof cannot have default_json";
    /* Else a zero that was sent would become the default. */
    if (!can_be_absent &&
        !(type_is_numeric(field->type) && ((rules->has_minimum && rules->minimum > 0) ||
                                           (rules->has_maximum && rules->maximum < 0))))
        return "default_json needs an optional field: zero cannot be told from absent";
    return NULL;
}

static bool read_rules(struct loader *loader, const struct schema_message *message,
                       struct schema_field *field, const Dialplane__FieldRules *from)
{
    struct schema_rules *rules = &field->rules;

    rules->min_length = from->min_length;
    rules->max_length = from->max_length;
    rules->not_blank = from->not_blank;
    rules->has_minimum = from->_minimum_case == DIALPLANE__FIELD_RULES___MINIMUM_MINIMUM;
    rules->minimum = rules->has_minimum ? from->minimum : 0;
    rules->has_maximum = from->_maximum_case == DIALPLANE__FIELD_RULES___MAXIMUM_MAXIMUM;
    rules->maximum = rules->has_maximum ? from->maximum : 0;
    rules->min_items = from->min_items;
    rules->max_items = from->max_items;
    rules->format = (enum schema_format)from->format;
    rules->unique_items = from->unique_items;
    rules->decimal_places = from->decimal_places;
    rules->revision = from->revision;
    field->required = from->required;
    field->output_only = from->output_only;
    field->immutable = from->immutable;
    field->personal = (enum schema_personal)from->personal;
    const char *why = why_unsuitable(field);

    if (!why && from->default_json && *from->default_json) {
        rules->default_json = loader_keep(loader, from->default_json);
        if (!rules->default_json)
            return false;
        why = why_bad_default(field);
    }
    if (why)
        return loader_fail(loader, message->full_name, "%s: %s", field->name, why);
    if (field->map) {
        /* Each map has an entry type of its own: the rules of its values move to where the values
         * are. */
        const struct schema_message *entry = field->message;
        struct schema_rules *value = &entry->fields[1].rules;

        value->min_length = rules->min_length;
        value->max_length = rules->max_length;
        value->not_blank = rules->not_blank;
        value->format = rules->format;
        value->has_minimum = rules->has_minimum;
        value->has_maximum = rules->has_maximum;
        value->minimum = rules->minimum;
        value->maximum = rules->maximum;
    }
    return true;
}

static bool read_message_rules(struct loader *loader, struct schema_message *message,
                               const Dialplane__MessageRules *rules)
{
    message->tagged_union = rules->tagged_union;
    if (rules->tagged_union) {
        if (message->oneof_count != 1)
            return loader_fail(loader, message->full_name,
                               "tagged_union needs exactly one oneof, there are %zu",
                               message->oneof_count);
        for (size_t i = 0; i < message->field_count; i++) {
            const struct schema_field *field = &message->fields[i];

            if (field->oneof < 0 &&
                (strcmp(field->name, "type") == 0 || strcmp(field->name, "data") == 0))
                return loader_fail(loader, message->full_name,
                                   "%s: a tagged union's JSON has a key of that name already",
                                   field->name);
        }
    }
    if (!rules->shorthand_field || !*rules->shorthand_field)
        return true;
    const struct schema_field *field = schema_find_field(message, str_from(rules->shorthand_field));

    if (!field)
        return loader_fail(loader, message->full_name, "shorthand_field \"%s\" is not a field",
                           rules->shorthand_field);
    if (field->type != SCHEMA_STRING || field->repeated)
        return loader_fail(loader, message->full_name, "shorthand_field \"%s\" must be a string",
                           rules->shorthand_field);
    message->shorthand = field;
    return true;
}

static bool load_message_options(struct loader *loader, struct schema_message *message,
                                 const message_proto *proto)
{
    ProtobufCMessage *rules;

    if (!proto->options)
        return true;
    if (!options_find(loader, &proto->options->base, MESSAGE_OPTION,
                      &dialplane__message_rules__descriptor, &rules))
        return loader_fail(loader, message->full_name, "dialplane.message is malformed");
    return !rules || read_message_rules(loader, message, (Dialplane__MessageRules *)rules);
}

static bool load_field_options(struct loader *loader, struct schema_message *message,
                               const message_proto *proto)
{
    for (size_t i = 0; i < proto->n_field; i++) {
        ProtobufCMessage *rules;

        if (!proto->field[i]->options)
            continue;
        if (!options_find(loader, &proto->field[i]->options->base, FIELD_OPTION,
                          &dialplane__field_rules__descriptor, &rules))
            return loader_fail(loader, message->full_name, "%s: dialplane.rules is malformed",
                               message->fields[i].name);
        if (rules &&
            !read_rules(loader, message, &message->fields[i], (const Dialplane__FieldRules *)rules))
            return false;
    }
    return true;
}

bool load_field_rules(struct loader *loader)
{
    struct schema *schema = &loader->tables->schema;

    /* All shorthands first: a default_json may use one. */
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < schema->message_count; i++) {
            const message_proto *proto = loader->messages[i].proto;

            loader->file_name = loader->files[loader->messages[i].file]->name;
            if (!(pass == 0 ? load_message_options(loader, &schema->messages[i], proto)
                            : load_field_options(loader, &schema->messages[i], proto)))
                return false;
        }
    return true;
}
