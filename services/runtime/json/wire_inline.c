#include "json/wire_inline.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "fixed32 and fixed64 are copied as they stand");

#define MOST_GROUPS 100

const uint8_t *json_varint_rest(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        uint64_t byte = *at++;

        value |= (byte & 0x7F) << shift; /* of the tenth byte only the lowest bit is kept */
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

/* Without recursion: what is open is a list of numbers. */
const uint8_t *json_skip_group(const uint8_t *at, const uint8_t *end, uint32_t number)
{
    uint32_t open[MOST_GROUPS];
    unsigned depth = 0;

    open[depth++] = number;
    while (depth) {
        uint64_t tag, ignored;

        at = json_varint(at, end, &tag);
        if (!at || tag > UINT32_MAX || tag < 8)
            return NULL;
        unsigned type = (unsigned)tag & 7;

        if (type == JSON_WIRE_GROUP) {
            if (depth == MOST_GROUPS)
                return NULL;
            open[depth++] = (uint32_t)tag >> 3;
        } else if (type == JSON_WIRE_GROUP_END) {
            if (open[--depth] != (uint32_t)tag >> 3)
                return NULL;
        } else if (type == JSON_WIRE_VARINT) {
            at = json_varint(at, end, &ignored);
        } else if (type == JSON_WIRE_BYTES) {
            at = json_varint(at, end, &ignored);
            at = at && ignored <= (size_t)(end - at) ? at + ignored : NULL;
        } else if (type == JSON_WIRE_FIXED64 || type == JSON_WIRE_FIXED32) {
            size_t size = type == JSON_WIRE_FIXED64 ? 8 : 4;

            at = size <= (size_t)(end - at) ? at + size : NULL;
        } else {
            return NULL;
        }
        if (!at)
            return NULL;
    }
    return at;
}
