/* openapi_writer: a JSON writer that knows where commas go, and what both halves of the OpenAPI
 * document share. */
#ifndef GATEWAY_PAGES_OPENAPI_WRITER_H
#define GATEWAY_PAGES_OPENAPI_WRITER_H

#include "base/buf.h"
#include "schema/schema.h"

#include <stdbool.h>

struct writer {
    struct buf *out;
    bool needs_comma;
};

void write_open(struct writer *writer, char bracket);  /* '{' or '[' */
void write_close(struct writer *writer, char bracket); /* '}' or ']' */
void write_key(struct writer *writer, const char *key);
void write_text(struct writer *writer, const char *text);
void write_raw(struct writer *writer, const char *json); /* a whole JSON value */
void write_int(struct writer *writer, long long value);
void write_double(struct writer *writer, double value);
void write_bool(struct writer *writer, bool value);
/* "key": "text", "key": number … */
void write_member(struct writer *writer, const char *key, const char *text);

/* {"$ref": "#/components/schemas/<last part of the name>"} for ordinary messages; inline for those
 * with a JSON form of their own. */
void write_message_reference(struct writer *writer, const struct schema_message *message);
/* The schema of one field: type, rules, description. */
void write_field_schema(struct writer *writer, const struct schema_field *field);
/* "components": {"schemas": {…}} for every ordinary message of our packages and the problem answer.
 */
void write_components(struct writer *writer, const struct schema *schema);
/* The last part of "dialplane.v1.Skillbase". */
const char *short_name(const char *full_name);
/* A message of ours that has its own schema. */
bool has_own_schema(const struct schema_message *message);

#endif
