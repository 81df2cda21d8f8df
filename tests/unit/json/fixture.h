/* fixture: the schema of everything.proto, and one-line ways to print and parse with it. */
#ifndef DIALPLANE_TEST_JSON_FIXTURE_H
#define DIALPLANE_TEST_JSON_FIXTURE_H

#include "base/arena.h"
#include "json/json.h"

/* For cmocka's group. */
int fixture_up(void **state);
int fixture_down(void **state);

const struct schema *fixture_schema(void);
/* "Everything" or a full name with a dot. */
const struct schema_message *fixture_message(const char *name);

/* Each gives a malloc'ed text that fixture_release() frees; it lives until then. */
/* Prints wire; fails the test when it cannot. */
const char *fixture_print(const char *message, struct str wire, enum json_print_mode mode);
/* The error's sentence; fails the test when printing works. */
const char *fixture_print_error(const char *message, struct str wire);
/* Parses text to wire; fails the test when anything is wrong with it. */
struct str fixture_parse(const char *message, const char *text);
/* All that is wrong with the text: "path: message" lines, or the error's sentence; "" when nothing
 * is. */
const char *fixture_complaints(const char *message, const char *text);
const char *fixture_complaints_bytes(const char *message, struct str text);
/* Bytes from hexadecimal digits; spaces are passed over. */
struct str fixture_hex(const char *digits);
/* A text that lives until release. */
const char *fixture_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fixture_release(void);

#endif
