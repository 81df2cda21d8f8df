/* print_internal: what the two halves of json_print share. */
#ifndef DIALPLANE_JSON_PRINT_INTERNAL_H
#define DIALPLANE_JSON_PRINT_INTERNAL_H

#include "json/json.h"
#include "json/text.h"
#include "json/wire_inline.h"

/* What the index knows of one field of one message. */
struct json_slot {
    const uint8_t *first; /* tag of the first occurrence that counts */
    const uint8_t *bytes; /* payload of the last one, when it has wire type 2 */
    uint64_t value;       /* integer of the last one, or its length */
    uint32_t count; /* occurrences that count: for a oneof only those after the last other member */
};

#define JSON_INLINE_SLOTS 256

struct json_printer {
    const struct schema *schema;
    struct buf *out;
    bool compact;
    unsigned depth;
    const uint8_t *readable_end; /* of the memory that the message being printed lies in */
    size_t scratch_left;         /* bytes that merging and large maps may still take */
    bool no_memory;
    const char *problem;         /* why it failed; NULL: memory or the buffer did */
    const char *problem_message; /* full name of the message it was found in, or NULL */
    size_t slots_used;
    struct json_slot slots[JSON_INLINE_SLOTS];
};

/* What is being printed, as bytes. */
struct json_span {
    const uint8_t *at, *end;
};

/* print.c */
bool json_print_problem(struct json_printer *printer, const struct schema_message *message,
                        const char *problem);
bool json_print_no_memory(struct json_printer *printer);
bool json_print_enter(struct json_printer *printer, const struct schema_message *message);
/* The message in whatever form JSON gives it. */
bool json_print_message(struct json_printer *printer, const struct schema_message *message,
                        struct json_span wire);
/* An ordinary message as an object; with "@type" before its fields when any_type is not NULL. */
bool json_print_object(struct json_printer *printer, const struct schema_message *message,
                       struct json_span wire, const struct str *any_type);
/* One value that is not a message. `in_place`: not a list's or a map's, so that an unspecified enum
 * may be null. */
bool json_print_scalar(struct json_printer *printer, const struct schema_field *field,
                       uint64_t value, const uint8_t *bytes, bool in_place);
/* `count` occurrences of a message field from `first` on, put together in memory that the caller
 * frees. */
bool json_print_gather(struct json_printer *printer, const struct schema_message *message,
                       uint32_t number, const uint8_t *first, const uint8_t *end, size_t count,
                       uint8_t **ret_memory, struct json_span *ret_wire);
void json_print_ungather(struct json_printer *printer, uint8_t *memory, struct json_span wire,
                         const uint8_t *readable_end);

/* print_map.c: the entries of a map field, `count` of them from `first` on, as an object. */
bool json_print_map(struct json_printer *printer, const struct schema_field *field,
                    const uint8_t *first, const uint8_t *end, size_t count);

/* print_special.c */
bool json_print_special(struct json_printer *printer, const struct schema_message *message,
                        struct json_span wire);

/* Appends. All are false when the buffer failed. */
static inline bool json_print_text(struct json_printer *printer, const char *text, size_t length)
{
    char *room = json_room(printer->out, length);

    if (!room)
        return false;
    memcpy(room, text, length);
    printer->out->length += length;
    return true;
}
#define JSON_PRINT_LITERAL(printer, text) json_print_text(printer, text, sizeof(text) - 1)

static inline bool json_print_char(struct json_printer *printer, char c)
{
    return json_print_text(printer, &c, 1);
}

/* After the last member or element: its comma becomes the bracket; with none there is no comma. */
static inline bool json_print_close(struct json_printer *printer, char bracket)
{
    char *end = printer->out->data + printer->out->length;

    if (end[-1] == ',') {
        end[-1] = bracket;
        return true;
    }
    return json_print_char(printer, bracket);
}

/* "name": for names that need no escaping. */
static inline bool json_print_key(struct json_printer *printer, const char *name)
{
    size_t length = strlen(name);
    char *room = json_room(printer->out, length + 3);

    if (!room)
        return false;
    room[0] = '"';
    memcpy(room + 1, name, length);
    room[length + 1] = '"';
    room[length + 2] = ':';
    printer->out->length += length + 3;
    return true;
}

static inline struct json_span json_span_of(const uint8_t *bytes, uint64_t length)
{
    return (struct json_span){bytes, bytes + length};
}

#endif
