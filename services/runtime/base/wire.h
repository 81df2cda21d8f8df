/* wire: the protobuf wire format by hand: tags, varints, and a reader over one message's fields. */
#ifndef DIALPLANE_BASE_WIRE_H
#define DIALPLANE_BASE_WIRE_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Writers of wire format for whoever composes messages by hand. */
void wire_put_varint(struct buf *out, uint64_t value);
void wire_put_tag(struct buf *out, uint32_t field_number, unsigned wire_type);
void wire_put_bytes(struct buf *out, uint32_t field_number, struct str bytes);

/* A reader over one message's fields; stops at the end or at malformed bytes. */
struct wire_reader {
    const uint8_t *at, *end;
    uint32_t number;
    unsigned type;
    uint64_t integer; /* types 0, 1, 5 */
    struct str bytes; /* type 2 */
    bool malformed;
};
void wire_reader_init(struct wire_reader *reader, struct str wire);
bool wire_reader_next(struct wire_reader *reader);

#endif
