/* json: protobuf wire ⇄ JSON straight over the schema's tables, without message objects.
 * Index-then-emit one way, one strict pass the other. Pure: no I/O, no global state, any thread. */
#ifndef DIALPLANE_JSON_JSON_H
#define DIALPLANE_JSON_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "schema/schema.h"

/* How messages are written. JSON_PRINT_CONTRACT is what users see: snake_case keys, every key
 * present, null for what has no value, enum words, 64-bit integers as numbers, times with 6 digits
 * and Z. JSON_PRINT_COMPACT leaves out keys without a value (for jsonb columns). */
enum json_print_mode { JSON_PRINT_CONTRACT, JSON_PRINT_COMPACT };

/* Appends the JSON form of serialized `message` to out. False, with out as it was before, and err
 * INTERNAL when the bytes are not such a message or nest deeper than SCHEMA_DEPTH_LIMIT, or
 * RESOURCE_EXHAUSTED when memory is short or out's limit is passed (or fewer than 64 bytes away:
 * numbers are written into room for the longest). Linear in the size of the wire. */
bool json_print(const struct schema *schema, const struct schema_message *message, struct str wire,
                enum json_print_mode mode, struct buf *out, struct err *err);

struct json_parse_options {
    /* Of objects and arrays; recursion goes as deep. 0: SCHEMA_DEPTH_LIMIT. */
    unsigned depth_limit;
    /* When not NULL: called for every key of the root object that is a writable field, also for
     * null ones (for update masks); of a tagged union for the member that "type" names. */
    void (*on_root_key)(void *context, const struct schema_field *field);
    void *context;
};

/* Appends the wire form of `text` to out. Strict RFC 8259: bad syntax sets err INVALID_ARGUMENT,
 * reason MALFORMED_JSON (TOO_DEEP), with line and column in characters ("malformed JSON at line 3,
 * column 14: expected ',' or '}'") and gives false. What is well-formed but wrong (unknown key,
 * wrong type, unknown enum word, number out of the type's range, duplicate key, bad timestamp) is
 * added to `violations` with its path, all of it, and gives true: the caller looks at
 * violations->count. Paths are relative to `message`, in snake_case; "" is the root itself.
 * Fields that are OUTPUT_ONLY are skipped without a word, wherever they are. null is absent; an
 * unset member of a oneof reads back as unset. Linear in the size of the text; out grows to about
 * six times the text at most, and is as before when the result is false (RESOURCE_EXHAUSTED: out's
 * limit, or memory). */
bool json_parse(const struct schema *schema, const struct schema_message *message, struct str text,
                const struct json_parse_options *options, struct buf *out,
                struct violations *violations, struct err *err);

/* One scalar from a query string or path segment to a field (tag and value appended); the same
 * rules as JSON strings, and true/false, numbers and enum words bare. A wrong value is a violation
 * under `path`. Messages with a scalar JSON form (Timestamp, Duration, FieldMask, wrappers) are
 * accepted. */
void json_parse_scalar(const struct schema_field *field, struct str text, const char *path,
                       struct buf *out, struct violations *violations);

#endif
