/* support: what the tests of schema share: the test's descriptor set, and messages written by hand.
 */
#ifndef SCHEMA_TEST_SUPPORT_H
#define SCHEMA_TEST_SUPPORT_H

#include "base/buf.h"
#include "schema/schema.h"

/* The bytes of rules.proto's descriptor set; the process keeps them. */
struct str rules_set(void);
struct schema *load_rules(void);
const struct schema_message *find(const struct schema *schema, const char *name);

void put_text(struct buf *out, uint32_t number, const char *text);
void put_number(struct buf *out, uint32_t number, uint64_t value);
void put_double(struct buf *out, uint32_t number, double value);
/* Takes the bytes of `child` and empties it. */
void put_child(struct buf *out, uint32_t number, struct buf *child);

#endif
