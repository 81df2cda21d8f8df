/* parse_internal: what the files of json_parse share. */
#ifndef DIALPLANE_JSON_PARSE_INTERNAL_H
#define DIALPLANE_JSON_PARSE_INTERNAL_H

#include "json/json.h"
#include "json/text.h"

#include <stdint.h>

/* Where a value stands, from the inside out; lives on the stack, and becomes text only when
 * something is wrong. */
struct json_path {
    const struct json_path *parent;
    const char *key; /* NULL: an element */
    size_t length;   /* of the key; JSON_PATH_NAME: it ends with NUL */
    size_t index;    /* of the element; of a key one of enum json_key_style */
};

#define JSON_PATH_NAME SIZE_MAX
/* As schema_check() writes them: a["k"] for maps of strings and Structs, a[5] for other maps, a.k
 * for what should be a field. */
enum json_key_style { JSON_KEY_QUOTED, JSON_KEY_BARE, JSON_KEY_DOTTED };

/* A message inside the output whose length is not known yet, or needs more than the one byte kept
 * for it. */
struct json_frame {
    size_t start;  /* of its content in out */
    size_t length; /* of its content, with the lengths inside it at their final size */
};

/* The key of a map entry: the encoded key in out, and how the text spelled it. */
struct json_seen_key {
    uint32_t wire_at, wire_length, text_at, text_length;
};

#define JSON_INLINE_FRAMES 64
#define JSON_INLINE_KEYS 64
/* A key with escapes that is longer than this cannot be the name of a field. */
#define JSON_KEY_SCRATCH 256

struct json_parser {
    const struct schema *schema;
    const char *start, *at, *end;
    struct buf *out;
    unsigned depth, depth_limit;
    size_t reread_left; /* bytes that may be looked at a second time, see json_rewind() */
    struct violations *violations;
    struct err *err;
    bool failed; /* err says why; when it is not set and out failed, the limit was passed */
    const struct json_parse_options *options;

    struct json_frame *frames;
    size_t frame_count, frame_capacity;
    size_t extra; /* bytes that all lengths need beyond the one kept for each */
    struct json_seen_key *keys;
    size_t key_count, key_capacity;

    struct json_frame inline_frames[JSON_INLINE_FRAMES];
    struct json_seen_key inline_keys[JSON_INLINE_KEYS];
    char key_scratch[JSON_KEY_SCRATCH];
};

/* problem.c: what is wrong, in words. */
/* Stops the parse: always false. `expected` finishes the sentence "malformed JSON at line 1, column
 * 2: ". */
bool json_malformed(struct json_parser *parser, const char *at, const char *expected);
bool json_too_deep(struct json_parser *parser);
bool json_no_memory(struct json_parser *parser);
void json_violate(struct json_parser *parser, const struct json_path *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void json_violate_unknown_key(struct json_parser *parser, const struct json_path *path,
                              const struct schema_message *message, struct str key);
/* A value of a field: "must be <what the field takes>, got <text>". */
void json_violate_value(struct json_parser *parser, const struct json_path *path,
                        const struct schema_field *field, const char *got);
/* The value at parser->at, by its kind ("number") or, when `exact`, as it stands ("1.5", "\"abc\"",
 * cut when long). */
#define JSON_GOT_SIZE 64
const char *json_describe_token(const struct json_parser *parser, bool exact,
                                char out[JSON_GOT_SIZE]);
const char *json_quote(struct str text, char out[JSON_GOT_SIZE]);

/* parse_text.c: tokens. All that return bool give false after a syntax error. */
/* Moves to the next byte that is not white space; it is an error when there is none. */
bool json_next_token_slow(struct json_parser *parser, const char *expected);
/* From the opening quote to behind the closing one; *ret_raw is what stands between, checked. */
bool json_scan_string(struct json_parser *parser, struct str *ret_raw, bool *ret_escaped);
/* Decodes what json_scan_string() gave; out has raw.length bytes of room. Returns the bytes
 * written. */
size_t json_unescape(struct str raw, char *out);
bool json_scan_number(struct json_parser *parser, struct str *ret_text);
bool json_scan_literal(struct json_parser *parser, const char *word);
bool json_skip_value(struct json_parser *parser);
/* After a value in an object or array: true in *ret_more when a comma was there. */
bool json_after_value(struct json_parser *parser, char bracket, bool *ret_more);
/* '{' or '[' at parser->at; *ret_more is false when it is closed at once. */
bool json_enter(struct json_parser *parser, char bracket, bool *ret_more);
/* A key and its colon, then the first byte of the value. */
bool json_scan_key(struct json_parser *parser, struct str *ret_raw, bool *ret_escaped);

/* parse_wire.c: output. */
void json_parser_init(struct json_parser *parser, struct str text, struct buf *out,
                      struct violations *violations, struct err *err);
void json_parser_done(struct json_parser *parser);
/* A message begins here: one byte is kept for its length. */
bool json_open_slow(struct json_parser *parser);
void json_close(struct json_parser *parser, size_t frame, size_t extra);
/* Puts the lengths of more than one byte in; the end of the parse. */
bool json_finish(struct json_parser *parser);
bool json_put_varint(struct json_parser *parser, uint64_t value);
/* tag and length-prefixed text, decoded when escaped. field 0: no tag. */
bool json_put_text(struct json_parser *parser, uint32_t field, struct str raw, bool escaped);
bool json_remember_key(struct json_parser *parser, struct json_seen_key key);
/* Duplicates among the keys remembered since `first` become violations below `path`; forgets them.
 */
bool json_check_keys(struct json_parser *parser, const struct json_path *path, size_t first,
                     enum json_key_style style);

/* parse_value.c: scalars. */
/* The value at parser->at, not null, written with its tag when `tagged`. `keep_default`: also when
 * it is the default that absence means. */
bool json_parse_scalar_token(struct json_parser *parser, const struct json_path *path,
                             const struct schema_field *field, bool tagged, bool keep_default);
/* The same for text from elsewhere; `quoted`: it was a JSON string (or might be one). False only
 * when out failed. */
bool json_put_scalar_text(struct json_parser *parser, const struct json_path *path,
                          const struct schema_field *field, struct str text, bool tagged,
                          bool keep_default);
/* Content of a Timestamp, Duration or FieldMask from its text. */
bool json_put_special_text(struct json_parser *parser, const struct json_path *path,
                           const struct schema_message *message, struct str text);
bool json_is_null_enum(const struct schema_field *field);

/* parse.c: messages. */
/* The content (no tag, no length) of `message` from the value at parser->at. null only for
 * google.protobuf.Value. */
bool json_parse_message(struct json_parser *parser, const struct json_path *path,
                        const struct schema_message *message);
/* The same after the opening brace of an object, for the fields of an ordinary message. `any`:
 * "@type" is passed over once (any_type_seen: it has been). */
bool json_parse_members(struct json_parser *parser, const struct json_path *path,
                        const struct schema_message *message, bool any, bool any_type_seen,
                        bool more);

/* parse_any.c: Struct, Value, ListValue, Any, wrappers and the types that are text. */
bool json_parse_special(struct json_parser *parser, const struct json_path *path,
                        const struct schema_message *message);

/* Goes back to `at` (text already checked), to read what could not be understood before a later
 * key: `data` before "type", fields before "@type". Nested, that would be O(depth × size); false
 * with the error set when a body exceeds its budget. */
bool json_rewind(struct json_parser *parser, const char *at);

static inline bool json_next_token(struct json_parser *parser, const char *expected)
{
    if (parser->at < parser->end && (unsigned char)*parser->at > ' ')
        return true;
    return json_next_token_slow(parser, expected);
}

/* Returns what json_close() wants to know. */
static inline bool json_open(struct json_parser *parser, size_t *ret_frame, size_t *ret_extra)
{
    *ret_frame = parser->frame_count;
    *ret_extra = parser->extra;
    if (parser->frame_count == parser->frame_capacity && !json_open_slow(parser))
        return false;
    if (!json_room(parser->out, 1))
        return false;
    parser->frames[parser->frame_count++].start = ++parser->out->length;
    return true;
}

static inline char *json_encode_varint(char *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (char)(value | 0x80);
        value >>= 7;
    }
    *out++ = (char)value;
    return out;
}

static inline bool json_put_tag(struct json_parser *parser, uint32_t number, unsigned wire_type)
{
    char *room = json_room(parser->out, 5);

    if (!room)
        return false;
    parser->out->length +=
        (size_t)(json_encode_varint(room, (uint64_t)number << 3 | wire_type) - room);
    return true;
}

#endif
