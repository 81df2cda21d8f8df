/* generate: random messages of any type, as wire, from a seed. */
#ifndef DIALPLANE_TEST_JSON_GENERATE_H
#define DIALPLANE_TEST_JSON_GENERATE_H

#include "base/buf.h"
#include "base/time.h"
#include "schema/schema.h"

/* Appends a message that JSON can say whole: valid text, times in range, no OUTPUT_ONLY fields
 * (reading skips them). */
void generate_message(const struct schema *schema, const struct schema_message *message,
                      struct entropy *entropy, unsigned depth, struct buf *out);

#endif
