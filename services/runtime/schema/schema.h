/* schema: the .proto files as tables at run time: messages, fields, rules, methods, routes.
 * Read-only after load. */
#ifndef DIALPLANE_SCHEMA_SCHEMA_H
#define DIALPLANE_SCHEMA_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers as in google.protobuf.FieldDescriptorProto.Type. */
enum schema_type {
    SCHEMA_DOUBLE = 1,
    SCHEMA_FLOAT,
    SCHEMA_INT64,
    SCHEMA_UINT64,
    SCHEMA_INT32,
    SCHEMA_FIXED64,
    SCHEMA_FIXED32,
    SCHEMA_BOOL,
    SCHEMA_STRING,
    SCHEMA_GROUP,
    SCHEMA_MESSAGE,
    SCHEMA_BYTES,
    SCHEMA_UINT32,
    SCHEMA_ENUM,
    SCHEMA_SFIXED32,
    SCHEMA_SFIXED64,
    SCHEMA_SINT32,
    SCHEMA_SINT64,
};

/* Messages whose JSON form is special (proto3 JSON mapping). */
enum schema_well_known {
    SCHEMA_ORDINARY,
    SCHEMA_ANY,
    SCHEMA_TIMESTAMP,
    SCHEMA_DURATION,
    SCHEMA_STRUCT,
    SCHEMA_VALUE,
    SCHEMA_LIST_VALUE,
    SCHEMA_FIELD_MASK,
    SCHEMA_WRAPPER,
    SCHEMA_EMPTY,
};

/* Numbers as in dialplane.Format. */
enum schema_format {
    SCHEMA_FORMAT_NONE,
    SCHEMA_FORMAT_UUID,
    SCHEMA_FORMAT_SLUG,
    SCHEMA_FORMAT_TIME_OF_DAY,
    SCHEMA_FORMAT_TIME_ZONE,
    SCHEMA_FORMAT_DATE,
    SCHEMA_FORMAT_WORD,
    SCHEMA_FORMAT_REGION,
};

/* Numbers as in dialplane.Personal. */
enum schema_personal { SCHEMA_NOT_PERSONAL, SCHEMA_PERSONAL_PHONE, SCHEMA_PERSONAL_TEXT };

struct schema_enum_value {
    const char *name; /* CAMPAIGN_STATUS_RUNNING */
    const char *word; /* running: the name without the enum's prefix, lower case */
    int32_t number;
    const char *comment;
};

struct schema_enum {
    const char *full_name;
    struct schema_enum_value *values;
    size_t value_count;
    const char *comment;
};

struct schema_rules {
    uint32_t min_length, max_length, min_items, max_items, decimal_places;
    bool not_blank, unique_items, revision;
    bool has_minimum, has_maximum;
    double minimum,
        maximum; /* in the unit of the wire, also where decimal_places changes what JSON shows */
    enum schema_format format;
    const char *default_json; /* NULL: none */
};

struct schema_field {
    const char *name;      /* snake_case: what JSON shows */
    const char *json_name; /* lowerCamelCase: also understood */
    uint32_t number;
    enum schema_type type;
    bool repeated, map, packed;
    bool optional; /* proto3 optional, or a member of a oneof, or a message: may be absent */
    int oneof;     /* index of its real oneof in the message, or -1 */
    const struct schema_message *message; /* type SCHEMA_MESSAGE (for a map: the entry message) */
    const struct schema_enum *enumeration;
    bool required, output_only, immutable;
    enum schema_personal personal; /* what is masked for those who may not see phones */
    struct schema_rules rules;
    const char *comment; /* leading comment of the .proto, "" when none */
};

struct schema_message {
    const char *full_name; /* "dialplane.v1.Skillbase" */
    enum schema_well_known well_known;
    struct schema_field *fields; /* in the order of the .proto, which is the order of printing */
    size_t field_count;
    const char **oneof_names; /* real oneofs only */
    size_t oneof_count;
    bool map_entry;
    bool carries_personal; /* one of its fields is personal, or a message in it has one */
    bool tagged_union;
    const struct schema_field *shorthand; /* NULL: none */
    const char *comment;
    void *lookup; /* the schema's own tables by name and number */
};

/* One google.api.http binding (additional_bindings count as bindings of their own). */
struct schema_binding {
    const char *verb;                      /* "GET", "POST", ... */
    const char *template_text;             /* "/api/skillbases/{id}/versions/{version}" */
    const struct schema_field *body_field; /* NULL: no body, or the whole request */
    bool body_whole;                       /* body: "*" */
};

/* Role of options.proto. */
enum schema_role {
    SCHEMA_ROLE_PLATFORM = 1,
    SCHEMA_ROLE_ADMIN,
    SCHEMA_ROLE_MANAGER,
    SCHEMA_ROLE_VIEWER,
    SCHEMA_ROLE_AGENT,
    SCHEMA_ROLES_END
};

/* A header of the HTTP request that becomes a field. */
struct schema_header {
    const char *name; /* in lower case */
    const struct schema_field *field;
};

struct schema_method {
    const char *name; /* "GetSkillbase" */
    const char *path; /* "/dialplane.v1.SkillbaseService/GetSkillbase" */
    const struct schema_service *service;
    const struct schema_message *input, *output;
    bool client_streaming, server_streaming;
    struct schema_binding *bindings;
    size_t binding_count;
    unsigned http_status;                     /* of success, 200 when not said */
    const char *location, *multipart_part;    /* NULL: none */
    const struct schema_field *stream_cursor; /* field of input, or NULL */
    uint32_t timeout_ms;                      /* 0: not said */
    bool websocket;
    uint32_t roles; /* who may call it: bits 1 << enum schema_role; 0: not said */
    struct schema_header *headers;
    size_t header_count;
    const struct schema_field *async_field;   /* set by "Prefer: respond-async"; NULL: none */
    const char *async_location;               /* of the 202 that answers it; NULL: none */
    const char *download_type;                /* server-streaming: a file; NULL: messages */
    const struct schema_field *download_data; /* the bytes of it in output; NULL: messages */
    const char **error_reasons;
    size_t error_reason_count;
    const char *comment;
};

struct schema_service {
    const char *full_name; /* "dialplane.v1.SkillbaseService" */
    const char *backend;   /* "skillbase"; "" for services that are not ours */
    struct schema_method *methods;
    size_t method_count;
    const char *comment;
};

/* One FileDescriptorProto kept raw, for reflection. */
struct schema_file {
    const char *name; /* "dialplane/v1/skillbase.proto" */
    struct str raw;
    const char **dependencies;
    size_t dependency_count;
};

struct schema {
    struct schema_message *messages;
    size_t message_count;
    struct schema_enum *enums;
    size_t enum_count;
    struct schema_service *services;
    size_t service_count;
    struct schema_file *files;
    size_t file_count;
    struct arena *arena;
};

/* The FileDescriptorSet of proto/ and all it imports, embedded at build time (with source info). */
extern const unsigned char dialplane_descriptor_set[];
extern const size_t dialplane_descriptor_set_size;

/* Reads a serialized FileDescriptorSet. Anything that it does not understand (a rule on a field of
 * the wrong type, a location that names no field, an unknown body field) is an error, so that a
 * wrong .proto does not start. The bytes must stay. */
struct schema *schema_load(const void *descriptor_set, size_t size, struct err *err);
void schema_free(struct schema *schema);

/* NULL when there is none. Names without a leading dot. */
const struct schema_message *schema_find_message(const struct schema *schema, struct str full_name);
const struct schema_service *schema_find_service(const struct schema *schema, struct str full_name);
/* By "/package.Service/Method". */
const struct schema_method *schema_find_method(const struct schema *schema, struct str path);
/* The file that defines a symbol (message, enum, service, method, field), for reflection. */
const struct schema_file *schema_find_file_of_symbol(const struct schema *schema,
                                                     struct str symbol);
/* By either spelling. */
const struct schema_field *schema_find_field(const struct schema_message *message, struct str name);
const struct schema_field *schema_find_field_by_number(const struct schema_message *message,
                                                       uint32_t number);
/* By word or full name; NULL when unknown. */
const struct schema_enum_value *schema_find_enum_value(const struct schema_enum *enumeration,
                                                       struct str word);
const struct schema_enum_value *schema_find_enum_number(const struct schema_enum *enumeration,
                                                        int32_t number);

/* Deepest nesting of messages that any request may have. Every Struct and ListValue counts; map
 * entries and Values do not, so that the depth is never more than that of the JSON text. A level
 * can so be three messages on the wire, and most protobuf libraries (C++, Java, Python) decode at
 * most 100 in each other: what is stored must stay readable for them, or one row breaks lists. */
#define SCHEMA_DEPTH_LIMIT 32

/* Checks serialized bytes of `message`: well-formed wire, depth at most SCHEMA_DEPTH_LIMIT, UTF-8
 * (and no U+0000, which neither C strings nor PostgreSQL hold), known enum numbers, times that RFC
 * 3339 can write, and every rule; adds what is wrong to `violations` with its path as JSON shows it
 * ("skillbase.config.flow.states[2].id", "config.agent.crm_field_mapping["name"]",
 * "settings["a"][0]"). What has no value is not asked for its rules: an empty string, 0 of an
 * enum or of a number with default_json, unless the field is `optional` and present. A number
 * without presence and without default is a number: its 0 must keep minimum and maximum. Missing
 * REQUIRED fields are violations ("is required"), and so are too few items, except directly in the
 * message `partial_field` of the root (the resource of an update, checked only for what is there;
 * NULL: no exception) — but when the root message has a google.protobuf.FieldMask `update_mask`,
 * what it names must have a value when REQUIRED ("must not be empty"), and a path that names no
 * field of the resource is a violation of `update_mask`. OUTPUT_ONLY fields need only be
 * well-formed. Unknown numbers are ignored, groups are malformed, a known number with a wire type
 * that is not its own is refused (protobuf-c cannot decode it either). Call before protobuf-c sees
 * the bytes: protobuf-c has no depth limit. False, with err INVALID_ARGUMENT (RESOURCE_EXHAUSTED:
 * no memory), only when the bytes are not a message at all (malformed, too deep, bad UTF-8); rule
 * failures go to `violations` and give true. A message without any fault is checked without
 * allocating. Any thread. */
bool schema_check(const struct schema_message *message, struct str wire, const char *partial_field,
                  struct violations *violations, struct err *err);

/* Appends `wire`, which schema_check() has let through, to out with every singular message in one
 * piece, for protobuf-c, which cannot merge pieces: to be tried when it refuses to decode. False
 * when memory is short or out's limit is passed. */
bool schema_join_pieces(const struct schema_message *message, struct str wire, struct buf *out);

/* Appends `wire`, a message of ours, to out with every field that is personal masked (base/mask.h):
 * a phone, the phone numbers in a text, and in a free-form object those of every value. False when
 * memory is short, out's limit is passed, or the bytes are no message. */
bool schema_mask(const struct schema_message *message, struct str wire, struct buf *out);

/* One row of the table of formats: checks text and describes it. */
struct schema_format_info {
    bool (*is_valid)(struct str text);
    const char *expectation; /* "a UUID such as 018f…": used as "must be <expectation>" */
    const char *pattern;     /* ECMA-262, or NULL */
    const char *openapi;     /* OpenAPI "format", or NULL */
};
const struct schema_format_info *schema_format_info(enum schema_format format);

#endif
