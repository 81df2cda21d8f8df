#include "reference.h"

#include "google/protobuf/struct.pb-c.h"

#include <ctype.h>
#include <stdlib.h>

typedef Google__Protobuf__Value value_message;
typedef Google__Protobuf__Struct struct_message;
typedef Google__Protobuf__Struct__FieldsEntry entry_message;
typedef Google__Protobuf__ListValue list_message;

static value_message *build_value(const json_t *json);

static struct_message *build_struct(const json_t *json)
{
    struct_message *object = malloc(sizeof(*object));
    const char *key;
    json_t *value;

    google__protobuf__struct__init(object);
    object->fields = malloc(sizeof(*object->fields) * (json_object_size(json) + 1));
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        entry_message *entry = malloc(sizeof(*entry));

        google__protobuf__struct__fields_entry__init(entry);
        entry->key = strdup(key);
        entry->value = build_value(value);
        object->fields[object->n_fields++] = entry;
    }
    return object;
}

static list_message *build_list(const json_t *json)
{
    list_message *list = malloc(sizeof(*list));

    google__protobuf__list_value__init(list);
    list->n_values = json_array_size(json);
    list->values = malloc(sizeof(*list->values) * (list->n_values + 1));
    for (size_t i = 0; i < list->n_values; i++)
        list->values[i] = build_value(json_array_get(json, i));
    return list;
}

static value_message *build_value(const json_t *json)
{
    value_message *value = malloc(sizeof(*value));

    google__protobuf__value__init(value);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
        value->struct_value = build_struct(json);
        break;
    case JSON_ARRAY:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
        value->list_value = build_list(json);
        break;
    case JSON_STRING:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
        value->string_value = strdup(json_string_value(json));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
        value->number_value = json_number_value(json);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
        value->bool_value = json_is_true(json);
        break;
    default:
        value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
        break;
    }
    return value;
}

/* "graph" → FLOW_TYPE_GRAPH: the prefix is what stands before UNSPECIFIED. */
static int enum_number(const ProtobufCEnumDescriptor *descriptor, const char *word)
{
    const char *zero = protobuf_c_enum_descriptor_get_value(descriptor, 0)->name;
    size_t prefix = strlen(zero) - strlen("UNSPECIFIED");
    char name[128];
    size_t length = prefix;

    memcpy(name, zero, prefix);
    for (; *word && length + 1 < sizeof(name); word++)
        name[length++] = (char)toupper((unsigned char)*word);
    name[length] = '\0';
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value_by_name(descriptor, name);

    return value ? value->value : -1;
}

static bool build_field(const ProtobufCFieldDescriptor *field, const json_t *json, char *member)
{
    int number;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)(void *)member = strdup(json_string_value(json) ? json_string_value(json) : "");
        return json_is_string(json);
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)(void *)member = json_is_true(json);
        return json_is_boolean(json);
    case PROTOBUF_C_TYPE_ENUM:
        number =
            json_is_string(json) ? enum_number(field->descriptor, json_string_value(json)) : -1;
        *(int *)(void *)member = number;
        return number >= 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)(void *)member = json_number_value(json);
        return json_is_number(json);
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *)(void *)member = (int32_t)json_integer_value(json);
        return json_is_integer(json);
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)(void *)member = reference_build(field->descriptor, json);
        return *(ProtobufCMessage **)(void *)member != NULL;
    default:
        return false;
    }
}

/* Lists of strings and messages, and maps of strings: what the sample has. */
static bool build_repeated(const ProtobufCFieldDescriptor *field, const json_t *json, size_t *count,
                           void ***array)
{
    const char *key;
    json_t *value;
    size_t size = json_is_array(json) ? json_array_size(json) : json_object_size(json);

    *array = malloc(sizeof(void *) * (size + 1));
    if (json_is_array(json)) {
        for (*count = 0; *count < size; ++*count)
            if (!build_field(field, json_array_get(json, *count), (char *)&(*array)[*count]))
                return false;
        return true;
    }
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        const ProtobufCMessageDescriptor *descriptor = field->descriptor;
        ProtobufCMessage *entry = malloc(descriptor->sizeof_message);

        descriptor->message_init(entry);
        *(char **)(void *)((char *)entry + descriptor->fields[0].offset) = strdup(key);
        if (!build_field(&descriptor->fields[1], value,
                         (char *)entry + descriptor->fields[1].offset))
            return false;
        (*array)[(*count)++] = entry;
    }
    return true;
}

ProtobufCMessage *reference_build(const ProtobufCMessageDescriptor *descriptor, const json_t *value)
{
    if (descriptor == &google__protobuf__struct__descriptor)
        return (ProtobufCMessage *)(void *)build_struct(value);
    ProtobufCMessage *message = malloc(descriptor->sizeof_message);
    char *base = (char *)message;
    const char *key;
    json_t *json;

    descriptor->message_init(message);
    if (json_is_string(value)) { /* a state by its bare id */
        *(char **)(void *)(base + descriptor->fields[0].offset) = strdup(json_string_value(value));
        return message;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, json)
    {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(descriptor, key);

        if (!field)
            return NULL;
        if (json_is_null(json))
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            if (!build_repeated(field, json, (size_t *)(void *)(base + field->quantifier_offset),
                                (void ***)(void *)(base + field->offset)))
                return NULL;
            continue;
        }
        if (!build_field(field, json, base + field->offset))
            return NULL;
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
            *(uint32_t *)(void *)(base + field->quantifier_offset) = field->id;
    }
    return message;
}
