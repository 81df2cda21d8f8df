/* wire_inline: the hot half of base/wire.h, as inline functions over bare pointers. */
#ifndef DIALPLANE_JSON_WIRE_INLINE_H
#define DIALPLANE_JSON_WIRE_INLINE_H

#include "schema/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_WIRE_VARINT 0
#define JSON_WIRE_FIXED64 1
#define JSON_WIRE_BYTES 2
#define JSON_WIRE_GROUP 3
#define JSON_WIRE_GROUP_END 4
#define JSON_WIRE_FIXED32 5

/* The rest of a varint of more than one byte; NULL when it does not end within ten bytes or before
 * `end`. */
const uint8_t *json_varint_rest(const uint8_t *at, const uint8_t *end, uint64_t *ret_value);

static inline const uint8_t *json_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    if (at < end && *at < 0x80) {
        *ret_value = *at;
        return at + 1;
    }
    return json_varint_rest(at, end, ret_value);
}

/* One field of a message. For groups, which no proto3 file has, `bytes` is the inside and its end
 * tag is checked. */
struct json_wire_field {
    uint32_t number;
    unsigned type;
    uint64_t value;       /* the integer of types 0, 1 and 5, or the length of type 2 */
    const uint8_t *bytes; /* type 2 */
};

const uint8_t *json_skip_group(const uint8_t *at, const uint8_t *end, uint32_t number);

/* Reads the field at `at` (< end); returns what follows it, or NULL when malformed. */
static inline const uint8_t *json_wire_next(const uint8_t *at, const uint8_t *end,
                                            struct json_wire_field *ret_field)
{
    uint64_t tag;

    at = json_varint(at, end, &tag);
    if (!at || tag > UINT32_MAX || tag < 8)
        return NULL;
    ret_field->number = (uint32_t)tag >> 3;
    ret_field->type = (unsigned)tag & 7;
    ret_field->bytes = NULL;
    switch (ret_field->type) {
    case JSON_WIRE_VARINT:
        return json_varint(at, end, &ret_field->value);
    case JSON_WIRE_BYTES:
        at = json_varint(at, end, &ret_field->value);
        if (!at || ret_field->value > (size_t)(end - at))
            return NULL;
        ret_field->bytes = at;
        return at + ret_field->value;
    case JSON_WIRE_FIXED64:
        if (end - at < 8)
            return NULL;
        memcpy(&ret_field->value, at,
               8); /* little-endian machines only: checked in wire_inline.c */
        return at + 8;
    case JSON_WIRE_FIXED32: {
        uint32_t value;

        if (end - at < 4)
            return NULL;
        memcpy(&value, at, 4);
        ret_field->value = value;
        return at + 4;
    }
    case JSON_WIRE_GROUP:
        return json_skip_group(at, end, ret_field->number);
    default:
        return NULL;
    }
}

/* The wire type that a field of this type has when it is not packed. */
static inline unsigned json_wire_type(enum schema_type type)
{
    static const uint8_t types[19] = {
        [SCHEMA_DOUBLE] = JSON_WIRE_FIXED64,   [SCHEMA_FLOAT] = JSON_WIRE_FIXED32,
        [SCHEMA_INT64] = JSON_WIRE_VARINT,     [SCHEMA_UINT64] = JSON_WIRE_VARINT,
        [SCHEMA_INT32] = JSON_WIRE_VARINT,     [SCHEMA_FIXED64] = JSON_WIRE_FIXED64,
        [SCHEMA_FIXED32] = JSON_WIRE_FIXED32,  [SCHEMA_BOOL] = JSON_WIRE_VARINT,
        [SCHEMA_STRING] = JSON_WIRE_BYTES,     [SCHEMA_GROUP] = JSON_WIRE_GROUP,
        [SCHEMA_MESSAGE] = JSON_WIRE_BYTES,    [SCHEMA_BYTES] = JSON_WIRE_BYTES,
        [SCHEMA_UINT32] = JSON_WIRE_VARINT,    [SCHEMA_ENUM] = JSON_WIRE_VARINT,
        [SCHEMA_SFIXED32] = JSON_WIRE_FIXED32, [SCHEMA_SFIXED64] = JSON_WIRE_FIXED64,
        [SCHEMA_SINT32] = JSON_WIRE_VARINT,    [SCHEMA_SINT64] = JSON_WIRE_VARINT};

    return types[type];
}

#endif
