/* reference: what one would write without runtime/json: protobuf-c messages, a reflective printer,
 * and a DOM parser (jansson). */
#ifndef DIALPLANE_BENCH_JSON_REFERENCE_H
#define DIALPLANE_BENCH_JSON_REFERENCE_H

#include "base/buf.h"

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* An unpacked message as contract JSON. Enum words come from the names with the prefix removed. */
void reference_print(const ProtobufCMessage *message, struct buf *out);

/* A message built from a parsed text, in memory of the default allocator; NULL when the text does
 * not fit. */
ProtobufCMessage *reference_build(const ProtobufCMessageDescriptor *descriptor,
                                  const json_t *value);

#endif
