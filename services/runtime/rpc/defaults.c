/* Defaults of the .proto (FieldRules.default_json), filled into a decoded message. The defaults of
 * one message are written as one JSON object and go through the transcoder and protobuf-c, so that
 * every kind of field (words, decimals, lists, messages) is read by the one code that knows how;
 * then the fields are moved over. */
#include "rpc/internal.h"

#include "base/log.h"
#include "json/json.h"

#include <string.h>

static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    return 0;
}

static char *member_of(const ProtobufCMessage *message, unsigned offset)
{
    return (char *)(uintptr_t)message + offset;
}

static uint32_t *case_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (uint32_t *)(void *)member_of(message, field->quantifier_offset);
}

static size_t *count_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (size_t *)(void *)member_of(message, field->quantifier_offset);
}

/* proto3 `optional` is a one-member oneof here (see proto/protoc-gen-c-optional): its case says
 * whether it is there. */
static bool has_case(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static bool is_absent(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (has_case(field))
        return *case_of(message, field) != field->id;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *count_of(message, field) == 0;
    const char *member = member_of(message, field->offset);
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(char *const *)(const void *)member;
        return !text || !text[0];
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)(const void *)member)->len == 0;
    static const char zeros[8];
    return memcmp(member, zeros, element_size(field->type)) == 0;
}

static void move_field(ProtobufCMessage *to, const ProtobufCMessage *from,
                       const ProtobufCFieldDescriptor *field)
{
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    memcpy(member_of(to, field->offset), member_of(from, field->offset),
           repeated ? sizeof(void *) : element_size(field->type));
    if (repeated)
        *count_of(to, field) = *count_of(from, field);
    else if (has_case(field))
        *case_of(to, field) = *case_of(from, field);
}

static bool wants_default(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                          const struct schema_field *rules)
{
    return rules && rules->rules.default_json && rules->oneof < 0 && is_absent(message, field);
}

/* {"temperature":0.7,"is_active":true} for what is absent; empty when nothing is. */
static void write_defaults(const ProtobufCMessage *message, const struct schema_message *schema,
                           struct buf *out)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const struct schema_field *rules = schema_find_field_by_number(schema, field->id);
        if (!wants_default(message, field, rules))
            continue;
        buf_put_char(out, out->length ? ',' : '{');
        buf_put_json_string(out, str_from(rules->name));
        buf_put_char(out, ':');
        buf_put_cstr(out, rules->rules.default_json);
    }
    if (out->length)
        buf_put_char(out, '}');
}

static ProtobufCMessage *read_defaults(const struct schema *all,
                                       const struct schema_message *schema,
                                       const ProtobufCMessageDescriptor *descriptor,
                                       struct str text, struct arena *arena)
{
    struct buf wire;
    struct violations violations;
    struct err err = {0};
    buf_init(&wire, 0);
    violations_init(&violations, arena, 1);
    ProtobufCMessage *defaults = NULL;
    if (!json_parse(all, schema, text, NULL, &wire, &violations, &err) || violations.count)
        log_event(LOG_LEVEL_ERROR, "bad_default", log_text("message", schema->full_name),
                  log_text("field", violations.first ? violations.first->field : NULL),
                  log_text("error", violations.first ? violations.first->message : err.message));
    else
        defaults = rpc_unpack(descriptor, buf_str(&wire), arena);
    buf_done(&wire);
    return defaults;
}

static bool fill_own(const struct schema *all, ProtobufCMessage *message,
                     const struct schema_message *schema, struct arena *arena)
{
    struct buf text;
    buf_init(&text, 64 << 10);
    write_defaults(message, schema, &text);
    bool good = !text.failed;
    if (good && text.length) {
        const ProtobufCMessage *defaults =
            read_defaults(all, schema, message->descriptor, buf_str(&text), arena);
        good = defaults != NULL;
        for (unsigned i = 0; good && i < message->descriptor->n_fields; i++) {
            const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
            if (wants_default(message, field, schema_find_field_by_number(schema, field->id)))
                move_field(message, defaults, field);
        }
    }
    buf_done(&text);
    return good;
}

static bool fill(const struct schema *all, ProtobufCMessage *message,
                 const struct schema_message *schema, struct arena *arena)
{
    /* Struct, Timestamp and their like have no rules; requests are at most SCHEMA_DEPTH_LIMIT deep.
     */
    if (!schema || schema->well_known != SCHEMA_ORDINARY)
        return true;
    if (!fill_own(all, message, schema, arena))
        return false;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || is_absent(message, field))
            continue;
        const struct schema_field *rules = schema_find_field_by_number(schema, field->id);
        if (!rules)
            continue;
        void *member = member_of(message, field->offset);
        bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
        ProtobufCMessage **items = repeated ? *(ProtobufCMessage ***)member : member;
        size_t count = repeated ? *count_of(message, field) : 1;
        for (size_t item = 0; item < count; item++) {
            if (!fill(all, items[item], rules->message, arena))
                return false;
        }
    }
    return true;
}

bool rpc_apply_defaults(const struct schema *schema, ProtobufCMessage *message, struct arena *arena)
{
    return fill(schema, message, schema_find_message(schema, str_from(message->descriptor->name)),
                arena);
}
