/* internal: what the files of schema/ share: the tables behind struct schema, and the state of a
 * load. */
#ifndef DIALPLANE_SCHEMA_INTERNAL_H
#define DIALPLANE_SCHEMA_INTERNAL_H

#include "schema/schema.h"

#include "dialplane/options.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;
typedef Google__Protobuf__MethodDescriptorProto method_proto;

/* Names of a whole schema: open addressing, at most half full. */
enum symbol_kind { SYMBOL_NONE, SYMBOL_MESSAGE, SYMBOL_ENUM, SYMBOL_SERVICE, SYMBOL_OTHER };
struct symbol {
    const char *name;
    enum symbol_kind kind;
    uint32_t hash;
    uint32_t index; /* into messages, enums or services */
    uint32_t file;
};

/* What schema_load() gives out is the first member. */
struct schema_tables {
    struct schema schema;
    struct symbol *symbols;
    size_t symbol_mask;
};

/* What the walk over the wire asks of a field, prepared at load. Index: that of the field in its
 * message. */
struct field_plan {
    uint8_t wire_type;   /* of one value */
    bool has_rules;      /* anything of value_breaks_rules() */
    bool always_present; /* zero is a value like any other: no way to leave the field out */
    int8_t counter; /* where the fast walk counts the items; -1: nobody asks for their number */
    bool needed;    /* the fast walk must have seen a value */
};

/* Room of the fast walk: fields, counted fields and oneofs of one message. */
#define FAST_FIELDS 128
#define FAST_COUNTERS 8
#define FAST_ONEOFS 32

/* schema_message.lookup. Fields are named by index + 1, so that 0 is "none". */
struct message_lookup {
    uint16_t *dense; /* by number, below dense_limit */
    uint32_t dense_limit;
    uint16_t *by_number; /* all, sorted by number, for those above */
    struct {
        uint32_t hash;
        uint16_t field;
    } * names; /* both spellings, open addressing */
    uint32_t name_mask;
    struct field_plan *plans;
    bool too_wide; /* more fields, counters or oneofs than the fast walk has room for */
    bool has_default_value_rules; /* map entry: a value that is left out breaks a rule or may */
    uint64_t needed[FAST_FIELDS / 64]; /* bit set of plans[].needed */
    unsigned counter_count;
    uint16_t counter_fields[FAST_COUNTERS]; /* index of the field that each counter counts */
};

#define SCHEMA_LARGEST_NUMBER ((UINT32_C(1) << 29) - 1)

static inline const struct message_lookup *lookup_of(const struct schema_message *message)
{
    return message->lookup;
}

/* The state of one schema_load(). Functions that return bool give false with err set. */
struct loader {
    struct schema_tables *tables;
    struct arena *arena;   /* the schema's */
    struct arena *scratch; /* the parsed descriptors, gone after the load */
    file_proto **files;
    struct message_source {
        message_proto *proto;
        uint32_t file;
    } * messages;             /* as schema.messages */
    enum_proto **enums;       /* as schema.enums */
    service_proto **services; /* as schema.services */
    const char *file_name;    /* being read, for errors */
    struct err *err;
};

/* load.c */
bool loader_fail(struct loader *loader, const char *symbol, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool loader_short_of_memory(struct loader *loader);
/* NULL-safe: NULL becomes "". NULL only when memory is short, with err set. */
const char *loader_keep(struct loader *loader, const char *text);
void *loader_array(struct loader *loader, size_t count, size_t size);
/* True when the length-delimited field `number` holds itself at most `limit` deep. */
bool wire_nests_within(struct str wire, uint32_t number, unsigned limit);
/* A type name as in descriptors, with its leading dot. NULL: unknown, or not of that kind. */
const struct symbol *loader_resolve(struct loader *loader, const char *type_name,
                                    enum symbol_kind kind);

/* fields.c: enums and the fields of messages */
bool load_enums(struct loader *loader);
bool load_messages(struct loader *loader);
/* options.c: dialplane.rules and dialplane.message */
bool load_field_rules(struct loader *loader);
/* Decodes the extension `number` of an options message, merged over its occurrences; *ret_message
 * is NULL when it is not there. False: malformed. */
bool options_find(struct loader *loader, const ProtobufCMessage *options, uint32_t number,
                  const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret_message);
/* default.c */
bool default_is_valid(const struct schema_field *field, struct str json);
/* routes.c: services, methods, bindings */
bool load_services(struct loader *loader);
/* mask.c: fills carries_personal of every message. */
void note_personal(struct schema *schema);
/* comments.c */
bool load_comments(struct loader *loader);
/* lookup.c */
uint32_t schema_hash(struct str text);
bool build_lookup(struct loader *loader, struct schema_message *message);
bool build_plans(struct loader *loader, struct schema_message *message);
bool symbol_add(struct loader *loader, const char *name, enum symbol_kind kind, size_t index,
                uint32_t file);
const struct symbol *symbol_find(const struct schema_tables *tables, struct str name);

/* The type of one value: that of the map's values for a map. */
static inline const struct schema_field *value_field(const struct schema_field *field)
{
    return field->map ? &field->message->fields[1] : field;
}
bool type_is_numeric(enum schema_type type); /* not bool, not enum */
bool type_is_integer(enum schema_type type);

/* check_rules.c: one value against its field's rules. An integer value comes as on the wire (zigzag
 * undone, sign-extended). */
union wire_value {
    uint64_t bits;    /* integers, bool, enum; floats as their bits */
    struct str bytes; /* strings, bytes */
};
/* True when no rule (known enum numbers and finite Values included) is broken. Text is valid UTF-8.
 */
bool value_keeps_rules(const struct schema_message *owner, const struct schema_field *field,
                       union wire_value value);
/* What is wrong, for people; out is cut to size. Call when value_keeps_rules() is false. */
void value_describe_failure(const struct schema_message *owner, const struct schema_field *field,
                            union wire_value value, char *out, size_t size);
/* Undoes zigzag and cuts to 32 bits as the type asks. */
uint64_t value_from_wire(enum schema_type type, uint64_t bits);
bool timestamp_is_valid(int64_t seconds, int32_t nanos);
bool duration_is_valid(int64_t seconds, int32_t nanos);
/* `text` in quotes, escaped, at most 40 characters of it. */
void quote_text(struct str text, char *out, size_t size);

/* Whether a message is a level of nesting. Map entries and Values are not: so the depth is never
 * more than that of the JSON text, and what the JSON parser lets through is not too deep here. */
static inline bool message_counts_as_level(const struct schema_message *message)
{
    return !message->map_entry && message->well_known != SCHEMA_VALUE;
}

/* check_fast.c: true only when check_exactly() would find nothing at all. No allocation. */
bool check_fast(const struct schema_message *message, struct str wire, const char *partial_field);
/* check.c: schema_check() without the short cut. */
bool check_exactly(const struct schema_message *message, struct str wire, const char *partial_field,
                   struct violations *violations, struct err *err);
/* check_mask.c: what the update_mask of an update may name. */
bool check_mask(const struct schema_message *message, struct str wire, const char *partial_field,
                struct violations *violations, struct err *err);

#endif
