/* check_support: asks schema_check() both ways, with the short cut and without, and compares what
 * is wrong. */
#ifndef SCHEMA_TEST_CHECK_SUPPORT_H
#define SCHEMA_TEST_CHECK_SUPPORT_H

#include "support.h"

extern struct schema *rules_schema; /* rules.proto */
extern struct schema *real_schema;  /* the platform's */
/* Group set-up and tear-down. */
int load_schemas(void **state);
int free_schemas(void **state);

/* expected: all that is wrong, a line each, "path: message"; "! message" when the bytes are
 * refused; "" when all is right. */
void assert_check_of(const struct schema_message *message, struct str wire,
                     const char *partial_field, const char *expected);
/* The same for a test.NAME; empties `wire`. */
void assert_check(const char *name, struct buf *wire, const char *expected);
/* Right, and seen to be without a second look; empties `wire`. */
void assert_right_at_once(const char *name, struct buf *wire);

#endif
