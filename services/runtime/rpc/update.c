#include "rpc/update.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static bool scalar_is_set(const ProtobufCFieldDescriptor *field, const char *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)member;
        return text && *text;
    }
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)member)->len > 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)member != NULL;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)member;
    case PROTOBUF_C_TYPE_DOUBLE:
        return *(const double *)member < 0 || *(const double *)member > 0;
    case PROTOBUF_C_TYPE_FLOAT:
        return *(const float *)member < 0 || *(const float *)member > 0;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return *(const uint64_t *)member != 0;
    default:
        return *(const uint32_t *)member != 0;
    }
}

bool rpc_field_has_value(const ProtobufCMessage *message, const char *field_name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, field_name);
    if (!field) {
        log_event(LOG_LEVEL_ERROR, "no_such_field", log_text("message", message->descriptor->name),
                  log_text("field", field_name));
        abort();
    }
    const char *base = (const char *)message;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)(base + field->quantifier_offset) > 0;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
    return scalar_is_set(field, base + field->offset);
}

bool rpc_update_changes(const Google__Protobuf__FieldMask *mask, const ProtobufCMessage *resource,
                        const char *field_name)
{
    bool has_value = rpc_field_has_value(resource, field_name);
    if (!mask || mask->n_paths == 0)
        return has_value;
    for (size_t i = 0; i < mask->n_paths; i++)
        if (!strcmp(mask->paths[i], field_name))
            return true;
    return false;
}
