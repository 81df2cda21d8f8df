#include "base/wire.h"

#define LARGEST_FIELD_NUMBER ((UINT32_C(1) << 29) - 1)

void wire_put_varint(struct buf *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t size = 0;

    while (value >= 0x80) {
        bytes[size++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (unsigned char)value;
    buf_put(out, bytes, size);
}

void wire_put_tag(struct buf *out, uint32_t field_number, unsigned wire_type)
{
    wire_put_varint(out, (uint64_t)field_number << 3 | wire_type);
}

void wire_put_bytes(struct buf *out, uint32_t field_number, struct str bytes)
{
    wire_put_tag(out, field_number, 2);
    wire_put_varint(out, bytes.length);
    buf_put_str(out, bytes);
}

void wire_reader_init(struct wire_reader *reader, struct str wire)
{
    static const uint8_t nothing[1];
    const uint8_t *at = wire.length ? (const uint8_t *)wire.data : nothing;

    *reader = (struct wire_reader){.at = at, .end = at + wire.length};
}

static bool read_varint(struct wire_reader *reader, uint64_t *ret_value)
{
    const uint8_t *at = reader->at;
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && at < reader->end; shift += 7) {
        uint8_t byte = *at++;

        if (shift == 63 && byte > 1)
            return false; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            reader->at = at;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* size 4 or 8, little-endian whatever the machine. */
static bool read_fixed(struct wire_reader *reader, unsigned size)
{
    if ((size_t)(reader->end - reader->at) < size)
        return false;
    reader->integer = 0;
    for (unsigned i = 0; i < size; i++)
        reader->integer |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += size;
    return true;
}

static bool read_value(struct wire_reader *reader)
{
    uint64_t length;

    switch (reader->type) {
    case 0:
        return read_varint(reader, &reader->integer);
    case 1:
        return read_fixed(reader, 8);
    case 5:
        return read_fixed(reader, 4);
    case 2:
        if (!read_varint(reader, &length) || length > (uint64_t)(reader->end - reader->at))
            return false;
        reader->bytes = (struct str){(const char *)reader->at, (size_t)length};
        reader->at += length;
        return true;
    default: /* groups (3, 4) do not exist in proto3, and 6 and 7 nowhere */
        return false;
    }
}

bool wire_reader_next(struct wire_reader *reader)
{
    uint64_t tag;

    if (reader->at == reader->end || reader->malformed)
        return false;
    if (!read_varint(reader, &tag) || tag >> 3 == 0 || tag >> 3 > LARGEST_FIELD_NUMBER) {
        reader->malformed = true;
        return false;
    }
    reader->number = (uint32_t)(tag >> 3);
    reader->type = (unsigned)(tag & 7);
    if (!read_value(reader)) {
        reader->malformed = true;
        return false;
    }
    return true;
}
