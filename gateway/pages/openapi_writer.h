/* openapi_writer: a JSON writer that knows where commas go, and what the parts of the OpenAPI
 * document share. */
#ifndef GATEWAY_PAGES_OPENAPI_WRITER_H
#define GATEWAY_PAGES_OPENAPI_WRITER_H

#include "base/buf.h"
#include "schema/schema.h"

#include <stdbool.h>

/* The same message is not the same object in every place: an answer has every key, a body that
 * creates has the required ones, one that changes has what is changed. */
enum openapi_form {
    OPENAPI_ANSWER,
    OPENAPI_INPUT,  /* within a body, or a whole body */
    OPENAPI_CREATE, /* the resource that a POST carries: "CompanyCreate" */
    OPENAPI_UPDATE, /* the resource that a PUT or PATCH carries: "CompanyUpdate" */
};

/* In which forms one message occurs. */
struct openapi_use {
    bool answer, input, create, update;
    const struct schema_binding *body; /* the whole body of this binding, whose path variables it
                                          lacks; NULL: none */
};

struct writer {
    struct buf *out;
    bool needs_comma;
    const struct schema *schema;
    struct openapi_use *uses; /* one for each of schema->messages */
    enum openapi_form form;   /* of what is being written */
};

void write_open(struct writer *writer, char bracket);  /* '{' or '[' */
void write_close(struct writer *writer, char bracket); /* '}' or ']' */
void write_key(struct writer *writer, const char *key);
void write_text(struct writer *writer, const char *text);
void write_raw(struct writer *writer, const char *json); /* a whole JSON value */
void write_raw_str(struct writer *writer, struct str json);
void write_int(struct writer *writer, long long value);
void write_double(struct writer *writer, double value);
void write_bool(struct writer *writer, bool value);
/* "key": "text" */
void write_member(struct writer *writer, const char *key, const char *text);

/* Which messages the bindings need, in which forms. NULL: out of memory; free() it. */
struct openapi_use *openapi_uses(const struct schema *schema);

/* {"$ref": "#/components/schemas/<name>"} for ordinary messages, in the writer's form; inline for
 * those with a JSON form of their own. */
void write_message_reference(struct writer *writer, const struct schema_message *message);
/* {"$ref": …} to a body's own form. */
void write_body_reference(struct writer *writer, const struct schema_message *message,
                          enum openapi_form form);
/* The schema of one field in the writer's form: type, rules, description. */
void write_field_schema(struct writer *writer, const struct schema_field *field);
/* The schema of a query or path parameter: never null. */
void write_parameter_schema(struct writer *writer, const struct schema_field *field);
/* Whether a request must name the field. */
bool openapi_is_required(const struct schema_field *field);
/* "schemas": {…}: every message in every form that is used, and Problem. */
void write_schemas(struct writer *writer);

/* "responses": {…} of one operation: its answer, with its example, and the errors it can have. */
void write_responses(struct writer *writer, const struct schema_method *method,
                     const struct schema_binding *binding, const char *operation_id);
/* "responses" and "headers" under components: what several operations answer alike. */
void write_shared_responses(struct writer *writer, bool has_websocket);
/* Whether a method answers this ErrorInfo reason, as its .proto says. */
bool openapi_has_reason(const struct schema_method *method, const char *reason);

/* "example": a line of gateway/pages/examples/<operation>.json: "request", "answer", "path.id" …
 * False, and nothing is written, when there is none. */
bool write_example(struct writer *writer, const char *operation, const char *part);

bool is_path_variable(const struct schema_binding *binding, const char *name);
/* The last part of "dialplane.v1.Skillbase". */
const char *short_name(const char *full_name);
/* A message of ours that has its own schema. */
bool has_own_schema(const struct schema_message *message);

#endif
