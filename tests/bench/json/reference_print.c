#include "reference.h"

#include "json/double.h"

#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

typedef Google__Protobuf__Value value_message;
typedef Google__Protobuf__Struct struct_message;
typedef Google__Protobuf__Timestamp timestamp_message;

static void put_text(struct buf *out, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    const char *plain = text, *at = text;

    buf_put_char(out, '"');
    for (; *at; at++) {
        unsigned char c = (unsigned char)*at;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_put(out, plain, (size_t)(at - plain));
        if (c == '"' || c == '\\') {
            char escaped[2] = {'\\', (char)c};

            buf_put(out, escaped, 2);
        } else if (c == '\n') {
            buf_put(out, "\\n", 2);
        } else {
            char escaped[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

            buf_put(out, escaped, 6);
        }
        plain = at + 1;
    }
    buf_put(out, plain, (size_t)(at - plain));
    buf_put_char(out, '"');
}

static void put_double(struct buf *out, double value)
{
    char text[JSON_DOUBLE_TEXT_SIZE];

    buf_put(out, text, json_double_shortest(value, text));
}

static void put_value(struct buf *out, const value_message *value);

static void put_struct(struct buf *out, const struct_message *object)
{
    buf_put_char(out, '{');
    for (size_t i = 0; i < object->n_fields; i++) {
        if (i)
            buf_put_char(out, ',');
        put_text(out, object->fields[i]->key);
        buf_put_char(out, ':');
        put_value(out, object->fields[i]->value);
    }
    buf_put_char(out, '}');
}

static void put_value(struct buf *out, const value_message *value)
{
    switch (value->kind_case) {
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        put_double(out, value->number_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        put_text(out, value->string_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        buf_put_cstr(out, value->bool_value ? "true" : "false");
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        put_struct(out, value->struct_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        buf_put_char(out, '[');
        for (size_t i = 0; i < value->list_value->n_values; i++) {
            if (i)
                buf_put_char(out, ',');
            put_value(out, value->list_value->values[i]);
        }
        buf_put_char(out, ']');
        break;
    default:
        buf_put_cstr(out, "null");
        break;
    }
}

static void put_timestamp(struct buf *out, const timestamp_message *timestamp)
{
    time_t seconds = (time_t)timestamp->seconds;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    buf_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, timestamp->nanos / 1000);
}

/* The value's name in small letters, without the part that all names of the enum share. */
static void put_enum(struct buf *out, const ProtobufCEnumDescriptor *descriptor, int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    const ProtobufCEnumValue *zero = protobuf_c_enum_descriptor_get_value(descriptor, 0);

    if (number == 0 || !value) {
        buf_put_cstr(out, "null");
        return;
    }
    size_t shared = strlen(zero->name) - strlen("UNSPECIFIED");

    buf_put_char(out, '"');
    for (const char *c = value->name + shared; *c; c++)
        buf_put_char(out, (char)tolower((unsigned char)*c));
    buf_put_char(out, '"');
}

static void put_field_value(struct buf *out, const ProtobufCFieldDescriptor *field,
                            const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        put_text(out, *(const char *const *)member);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buf_put_cstr(out, *(const protobuf_c_boolean *)member ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(out, field->descriptor, *(const int *)member);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        put_double(out, *(const double *)member);
        break;
    case PROTOBUF_C_TYPE_INT32:
        buf_printf(out, "%d", *(const int32_t *)member);
        break;
    case PROTOBUF_C_TYPE_INT64:
        buf_printf(out, "%lld", (long long)*(const int64_t *)member);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        reference_print(*(const ProtobufCMessage *const *)member, out);
        break;
    default:
        fprintf(stderr, "the reference does not print type %d\n", (int)field->type);
        buf_put_cstr(out, "null");
        break;
    }
}

static bool is_map(const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;

    return field->type == PROTOBUF_C_TYPE_MESSAGE && entry->n_fields == 2 &&
           strcmp(entry->fields[0].name, "key") == 0;
}

static void put_repeated(struct buf *out, const ProtobufCFieldDescriptor *field, size_t count,
                         const char *array)
{
    bool map = is_map(field);
    size_t size = field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE
                      ? sizeof(void *)
                  : field->type == PROTOBUF_C_TYPE_DOUBLE || field->type == PROTOBUF_C_TYPE_INT64
                      ? 8
                      : 4;

    buf_put_char(out, map ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_put_char(out, ',');
        if (map) {
            const ProtobufCMessage *entry =
                ((const ProtobufCMessage *const *)(const void *)array)[i];
            const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
            const char *base = (const char *)entry;

            put_field_value(out, &fields[0], base + fields[0].offset);
            buf_put_char(out, ':');
            put_field_value(out, &fields[1], base + fields[1].offset);
        } else {
            put_field_value(out, field, array + i * size);
        }
    }
    buf_put_char(out, map ? '}' : ']');
}

static bool is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;

    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(const void *const *)(const void *)(base + field->offset) != NULL;
    return true;
}

/* A state that has only its id is written as the id. */
static bool is_bare_state(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;

    if (strcmp(descriptor->name, "dialplane.v1.FlowState") != 0)
        return false;
    for (unsigned i = 1; i < descriptor->n_fields; i++)
        if (is_present(message, &descriptor->fields[i]))
            return false;
    return true;
}

void reference_print(const ProtobufCMessage *message, struct buf *out)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    const char *base = (const char *)message;

    if (descriptor == &google__protobuf__struct__descriptor) {
        put_struct(out, (const struct_message *)(const void *)message);
        return;
    }
    if (descriptor == &google__protobuf__timestamp__descriptor) {
        put_timestamp(out, (const timestamp_message *)(const void *)message);
        return;
    }
    if (is_bare_state(message)) {
        put_text(out, *(const char *const *)(const void *)(base + descriptor->fields[0].offset));
        return;
    }
    buf_put_char(out, '{');
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *member = base + field->offset;

        if (i)
            buf_put_char(out, ',');
        buf_put_char(out, '"');
        buf_put_cstr(out, field->name);
        buf_put(out, "\":", 2);
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            put_repeated(out, field,
                         *(const size_t *)(const void *)(base + field->quantifier_offset),
                         *(const char *const *)(const void *)member);
        else if (!is_present(message, field))
            buf_put_cstr(out, "null");
        else
            put_field_value(out, field, member);
    }
    buf_put_char(out, '}');
}
