/* Enums and the fields of messages, from their descriptors. */
#include "internal.h"

#include <ctype.h>

bool type_is_integer(enum schema_type type)
{
    switch (type) {
    case SCHEMA_INT64:
    case SCHEMA_UINT64:
    case SCHEMA_INT32:
    case SCHEMA_FIXED64:
    case SCHEMA_FIXED32:
    case SCHEMA_UINT32:
    case SCHEMA_SFIXED32:
    case SCHEMA_SFIXED64:
    case SCHEMA_SINT32:
    case SCHEMA_SINT64:
        return true;
    default:
        return false;
    }
}

bool type_is_numeric(enum schema_type type)
{
    return type == SCHEMA_DOUBLE || type == SCHEMA_FLOAT || type_is_integer(type);
}

/* "TtsProvider" → "TTS_PROVIDER_", "HTTPStatus" → "HTTP_STATUS_". */
static char *enum_prefix(struct loader *loader, const char *name)
{
    size_t length = strlen(name), written = 0;
    char *prefix = arena_alloc(loader->scratch, 2 * length + 2);

    if (!prefix)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i], next = (unsigned char)name[i + 1];
        bool starts_word = i > 0 && isupper(c) && name[i - 1] != '_' &&
                           (!isupper((unsigned char)name[i - 1]) || islower(next));

        if (starts_word)
            prefix[written++] = '_';
        prefix[written++] = (char)toupper(c);
    }
    prefix[written++] = '_';
    prefix[written] = '\0';
    return prefix;
}

static bool load_enum(struct loader *loader, struct schema_enum *enumeration,
                      const enum_proto *proto)
{
    const char *prefix = enum_prefix(loader, proto->name);

    enumeration->values = loader_array(loader, proto->n_value, sizeof(*enumeration->values));
    if (!enumeration->values || !prefix)
        return loader_short_of_memory(loader);
    size_t prefix_length = strlen(prefix);

    for (size_t i = 0; i < proto->n_value; i++) {
        struct schema_enum_value *value = &enumeration->values[i];
        const char *name = proto->value[i]->name;
        bool has_prefix = strncmp(name, prefix, prefix_length) == 0 && name[prefix_length];
        char *word = arena_strdup(loader->arena, has_prefix ? name + prefix_length : name);

        value->name = loader_keep(loader, name);
        if (!value->name || !word)
            return loader_short_of_memory(loader);
        for (char *c = word; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        value->word = word;
        value->number = proto->value[i]->number;
        value->comment = "";
        if (schema_find_enum_value(enumeration, str_from(word)))
            return loader_fail(loader, name, "the word \"%s\" stands for two values", word);
        enumeration->value_count++;
    }
    return true;
}

bool load_enums(struct loader *loader)
{
    struct schema *schema = &loader->tables->schema;

    for (size_t i = 0; i < schema->enum_count; i++)
        if (!load_enum(loader, &schema->enums[i], loader->enums[i]))
            return false;
    return true;
}

static enum schema_well_known well_known_of(const char *full_name)
{
    static const struct {
        const char *name;
        enum schema_well_known kind;
    } table[] = {
        {"Any", SCHEMA_ANY},
        {"Timestamp", SCHEMA_TIMESTAMP},
        {"Duration", SCHEMA_DURATION},
        {"Struct", SCHEMA_STRUCT},
        {"Value", SCHEMA_VALUE},
        {"ListValue", SCHEMA_LIST_VALUE},
        {"FieldMask", SCHEMA_FIELD_MASK},
        {"Empty", SCHEMA_EMPTY},
        {"DoubleValue", SCHEMA_WRAPPER},
        {"FloatValue", SCHEMA_WRAPPER},
        {"Int64Value", SCHEMA_WRAPPER},
        {"UInt64Value", SCHEMA_WRAPPER},
        {"Int32Value", SCHEMA_WRAPPER},
        {"UInt32Value", SCHEMA_WRAPPER},
        {"BoolValue", SCHEMA_WRAPPER},
        {"StringValue", SCHEMA_WRAPPER},
        {"BytesValue", SCHEMA_WRAPPER},
    };
    static const char package[] = "google.protobuf.";

    if (strncmp(full_name, package, sizeof(package) - 1) == 0)
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
            if (strcmp(full_name + sizeof(package) - 1, table[i].name) == 0)
                return table[i].kind;
    return SCHEMA_ORDINARY;
}

/* protoc fills json_name in; other writers of descriptor sets may not. */
static const char *json_name_of(struct loader *loader, const field_proto *proto)
{
    if (proto->json_name)
        return loader_keep(loader, proto->json_name);
    char *name = arena_strdup(loader->arena, proto->name);
    char *to = name;

    if (!name) {
        loader_short_of_memory(loader);
        return NULL;
    }
    for (const char *from = name; *from; from++) {
        if (*from == '_' && from[1])
            *to++ = (char)toupper((unsigned char)*++from);
        else if (*from != '_')
            *to++ = *from;
    }
    *to = '\0';
    return name;
}

static bool resolve_type(struct loader *loader, struct schema_message *message,
                         struct schema_field *field, const field_proto *proto)
{
    struct schema *schema = &loader->tables->schema;
    enum symbol_kind kind = field->type == SCHEMA_ENUM ? SYMBOL_ENUM : SYMBOL_MESSAGE;

    if (field->type == SCHEMA_GROUP)
        return loader_fail(loader, message->full_name, "%s: groups are not supported", field->name);
    if (field->type != SCHEMA_ENUM && field->type != SCHEMA_MESSAGE)
        return true;
    const struct symbol *symbol = loader_resolve(loader, proto->type_name, kind);

    if (!symbol)
        return loader_fail(loader, message->full_name, "%s: type %s is not in the set", field->name,
                           proto->type_name ? proto->type_name : "(none)");
    if (kind == SYMBOL_ENUM) {
        field->enumeration = &schema->enums[symbol->index];
        return true;
    }
    const message_proto *target = loader->messages[symbol->index].proto;

    field->message = &schema->messages[symbol->index];
    field->map = field->repeated && target->options && target->options->map_entry;
    if (field->map && target->n_field != 2)
        return loader_fail(loader, message->full_name, "%s: a map entry has two fields",
                           field->name);
    return true;
}

/* real_oneof[i]: the place of oneof_decl[i] among the real ones, -1 for those protoc makes up for
 * `optional`. */
static bool load_field(struct loader *loader, struct schema_message *message,
                       struct schema_field *field, const field_proto *proto, const int *real_oneof,
                       bool proto3)
{
    if (!proto->name || proto->number <= 0 || !proto->has_type)
        return loader_fail(loader, message->full_name, "has a field without name, number or type");
    field->name = loader_keep(loader, proto->name);
    field->json_name = json_name_of(loader, proto);
    if (!field->name || !field->json_name)
        return false;
    field->comment = "";
    field->number = (uint32_t)proto->number;
    field->type = (enum schema_type)proto->type;
    field->repeated =
        proto->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
    field->oneof = proto->has_oneof_index ? real_oneof[proto->oneof_index] : -1;
    if (!resolve_type(loader, message, field, proto))
        return false;
    field->optional =
        !field->repeated && (proto->has_oneof_index || field->type == SCHEMA_MESSAGE || !proto3);
    bool packable = field->repeated && field->type != SCHEMA_STRING &&
                    field->type != SCHEMA_BYTES && field->type != SCHEMA_MESSAGE;

    field->packed =
        packable &&
        (proto->options && proto->options->has_packed ? proto->options->packed != 0 : proto3);
    return true;
}

static bool load_oneofs(struct loader *loader, struct schema_message *message,
                        const message_proto *proto, int *ret_real_oneof)
{
    for (size_t i = 0; i < proto->n_oneof_decl; i++)
        ret_real_oneof[i] = 0;
    for (size_t i = 0; i < proto->n_field; i++) {
        const field_proto *field = proto->field[i];

        if (!field->has_oneof_index)
            continue;
        if (field->oneof_index < 0 || (size_t)field->oneof_index >= proto->n_oneof_decl)
            return loader_fail(loader, message->full_name, "%s: no such oneof", field->name);
        if (field->proto3_optional)
            ret_real_oneof[field->oneof_index] = -1;
    }
    message->oneof_names = loader_array(loader, proto->n_oneof_decl, sizeof(*message->oneof_names));
    if (!message->oneof_names)
        return false;
    for (size_t i = 0; i < proto->n_oneof_decl; i++) {
        if (ret_real_oneof[i] < 0)
            continue;
        ret_real_oneof[i] = (int)message->oneof_count;
        message->oneof_names[message->oneof_count] =
            loader_keep(loader, proto->oneof_decl[i]->name);
        if (!message->oneof_names[message->oneof_count++])
            return false;
    }
    return true;
}

static bool load_message(struct loader *loader, struct schema_message *message,
                         const message_proto *proto, bool proto3)
{
    int *real_oneof = arena_calloc(loader->scratch, proto->n_oneof_decl, sizeof(*real_oneof));

    message->well_known = well_known_of(message->full_name);
    message->map_entry = proto->options && proto->options->map_entry;
    message->fields = loader_array(loader, proto->n_field, sizeof(*message->fields));
    if (!message->fields || !real_oneof)
        return loader_short_of_memory(loader);
    if (!load_oneofs(loader, message, proto, real_oneof))
        return false;
    message->field_count = proto->n_field;
    for (size_t i = 0; i < proto->n_field; i++)
        if (!load_field(loader, message, &message->fields[i], proto->field[i], real_oneof, proto3))
            return false;
    return build_lookup(loader, message);
}

bool load_messages(struct loader *loader)
{
    struct schema *schema = &loader->tables->schema;

    for (size_t i = 0; i < schema->message_count; i++) {
        const file_proto *file = loader->files[loader->messages[i].file];
        bool proto3 = file->syntax && strcmp(file->syntax, "proto3") == 0;

        loader->file_name = file->name;
        if (!load_message(loader, &schema->messages[i], loader->messages[i].proto, proto3))
            return false;
    }
    return true;
}
