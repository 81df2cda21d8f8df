/* JSON → wire in one strict pass: each key's value goes straight to its tag and bytes. What is
 * malformed stops the parse; what is well-formed but wrong becomes a violation with its path, and
 * the pass goes on, so that all of it is reported at once.
 *
 *   json_parse → json_parse_message ─┬─ json_parse_members: for each key parse_field ─┬─
 * parse_list, parse_map │                                                └─
 * json_parse_scalar_token, json_parse_message └─ json_parse_special (parse_any.c): Timestamp,
 * Struct, Any, …
 *
 * Time is linear in the text; recursion is bounded by the depth limit; memory beyond `out` by a
 * small multiple of the text. */
#include "json/parse_internal.h"
#include "json/wire_inline.h"

#include <stdlib.h>

/* More fields than any message of ours has; bounds the set of those seen. */
#define MOST_FIELDS 512
#define MOST_ONEOFS 64

/* One object being read. */
struct members {
    const struct schema_message *message;
    const struct json_path *path;
    bool any;
    bool any_type_seen;
    size_t hint; /* index of the field that probably comes next */
    uint64_t oneofs;
    uint64_t seen[MOST_FIELDS / 64];
    /* of a tagged union */
    const struct schema_field *member; /* what "type" named */
    const char *data; /* where the value of "data" stands that came before "type" */
    bool type_seen, type_wrong, data_seen;
};

static bool skip_with_violation(struct json_parser *parser, const struct json_path *path,
                                const char *message)
{
    json_violate(parser, path, "%s", message);
    return json_skip_value(parser);
}

static bool wrong_kind(struct json_parser *parser, const struct json_path *path,
                       const char *expectation)
{
    char got[JSON_GOT_SIZE];

    json_violate(parser, path, "must be %s, got %s", expectation,
                 json_describe_token(parser, false, got));
    return json_skip_value(parser);
}

static bool is_value(const struct schema_field *field)
{
    return field->type == SCHEMA_MESSAGE && field->message->well_known == SCHEMA_VALUE;
}

/* The value at parser->at as one value of the field: no list, no map. null only where it means
 * something. */
static bool parse_one(struct json_parser *parser, const struct json_path *path,
                      const struct schema_field *field, bool tagged, bool keep_default)
{
    size_t frame, extra;

    if (field->type != SCHEMA_MESSAGE) {
        if (*parser->at != 'n')
            return json_parse_scalar_token(parser, path, field, tagged, keep_default);
        /* NullValue: its only number is 0. */
        return json_scan_literal(parser, "null") &&
               (!keep_default || !tagged || json_put_tag(parser, field->number, 0)) &&
               (!keep_default || json_put_varint(parser, 0));
    }
    if (!json_put_tag(parser, field->number, JSON_WIRE_BYTES) ||
        !json_open(parser, &frame, &extra) || !json_parse_message(parser, path, field->message))
        return false;
    json_close(parser, frame, extra);
    return true;
}

static bool null_means_something(const struct schema_field *field)
{
    return is_value(field) || json_is_null_enum(field);
}

static bool parse_element(struct json_parser *parser, const struct json_path *path,
                          const struct schema_field *field)
{
    if (*parser->at == 'n' && !null_means_something(field))
        return skip_with_violation(parser, path, "must not be null");
    return parse_one(parser, path, field, !field->packed, true);
}

static bool parse_list(struct json_parser *parser, const struct json_path *path,
                       const struct schema_field *field)
{
    struct json_path at = {path, NULL, 0, 0};
    size_t start = parser->out->length, frame = 0, extra = 0, first = 0;
    bool more;

    if (*parser->at != '[')
        return wrong_kind(parser, path, "an array");
    if (!json_enter(parser, '[', &more))
        return false;
    if (field->packed) {
        if (!json_put_tag(parser, field->number, JSON_WIRE_BYTES) ||
            !json_open(parser, &frame, &extra))
            return false;
        first = parser->out->length;
    }
    for (; more; at.index++)
        if (!parse_element(parser, &at, field) || !json_after_value(parser, '[', &more))
            return false;
    if (!field->packed)
        return true;
    if (parser->out->length == first) {
        /* Nothing in it: as if it were not there. */
        parser->out->length = start;
        parser->frame_count = frame;
        return true;
    }
    json_close(parser, frame, extra);
    return true;
}

/* The key of a map entry, as field 1 of the entry. */
static bool parse_map_key(struct json_parser *parser, const struct json_path *path,
                          const struct schema_field *key, struct str raw, bool escaped)
{
    size_t start = parser->out->length;
    bool ok = key->type == SCHEMA_STRING ? json_put_text(parser, 1, raw, escaped)
                                         : json_put_scalar_text(parser, path, key, raw, true, true);
    size_t length = parser->out->length - start;

    if (!ok || length == 0) /* a wrong key is a violation already */
        return ok;
    return json_remember_key(parser, (struct json_seen_key){(uint32_t)start, (uint32_t)length,
                                                            (uint32_t)(raw.data - parser->start),
                                                            (uint32_t)raw.length});
}

static bool parse_map(struct json_parser *parser, const struct json_path *path,
                      const struct schema_field *field)
{
    const struct schema_field *key = &field->message->fields[0];
    const struct schema_field *value = &field->message->fields[1];
    size_t first_key = parser->key_count, frame, extra;
    bool more;

    if (*parser->at != '{')
        return wrong_kind(parser, path, "an object");
    if (!json_enter(parser, '{', &more))
        return false;
    while (more) {
        struct str raw;
        bool escaped;

        if (!json_scan_key(parser, &raw, &escaped))
            return false;
        struct json_path at = {path, raw.data, raw.length,
                               key->type == SCHEMA_STRING ? JSON_KEY_QUOTED : JSON_KEY_BARE};

        if (!json_put_tag(parser, field->number, JSON_WIRE_BYTES) ||
            !json_open(parser, &frame, &extra) || !parse_map_key(parser, &at, key, raw, escaped))
            return false;
        if (*parser->at == 'n' && !null_means_something(value)
                ? !skip_with_violation(parser, &at, "must not be null")
                : !parse_one(parser, &at, value, true, true))
            return false;
        json_close(parser, frame, extra);
        if (!json_after_value(parser, '{', &more))
            return false;
    }
    return json_check_keys(parser, path, first_key,
                           key->type == SCHEMA_STRING ? JSON_KEY_QUOTED : JSON_KEY_BARE);
}

/* Fields */

/* True when it is the first; else the violation is noted. */
static bool is_first(struct json_parser *parser, const struct json_path *path,
                     struct members *members, const struct schema_field *field)
{
    size_t index = (size_t)(field - members->message->fields);
    uint64_t bit = UINT64_C(1) << (index % 64);

    if (members->seen[index / 64] & bit) {
        json_violate(parser, path, "duplicate key");
        return false;
    }
    members->seen[index / 64] |= bit;
    return true;
}

static bool is_only_member(struct json_parser *parser, const struct json_path *path,
                           struct members *members, const struct schema_field *field)
{
    uint64_t bit;

    if (field->oneof < 0)
        return true;
    bit = UINT64_C(1) << field->oneof;
    if (members->oneofs & bit) {
        json_violate(parser, path, "only one member of \"%s\" may be given",
                     members->message->oneof_names[field->oneof]);
        return false;
    }
    members->oneofs |= bit;
    return true;
}

static void tell_root_key(struct json_parser *parser, const struct members *members,
                          const struct schema_field *field)
{
    if (!members->path && !members->any && parser->options && parser->options->on_root_key)
        parser->options->on_root_key(parser->options->context, field);
}

static bool parse_field(struct json_parser *parser, struct members *members,
                        const struct schema_field *field)
{
    struct json_path path = {members->path, field->name, JSON_PATH_NAME, 0};

    if (!is_first(parser, &path, members, field) || field->output_only)
        return json_skip_value(parser);
    tell_root_key(parser, members, field);
    if (*parser->at == 'n' && (field->repeated || !null_means_something(field)))
        return json_scan_literal(parser, "null");
    /* Every member of a oneof that is not set is written as null: a null that could be a value
     * chooses its member only when no other does. (A later member replaces it on the wire.) */
    if (*parser->at == 'n' && field->oneof >= 0)
        return members->oneofs >> field->oneof & 1 ? json_scan_literal(parser, "null")
                                                   : parse_one(parser, &path, field, true, true);
    if (!is_only_member(parser, &path, members, field))
        return json_skip_value(parser);
    if (field->map)
        return parse_map(parser, &path, field);
    if (field->repeated)
        return parse_list(parser, &path, field);
    return parse_one(parser, &path, field, true, field->optional);
}

/* Tagged unions: {"type": <member>, …, "data": <its value>} in any order */

static void violate_type(struct json_parser *parser, const struct json_path *path,
                         const struct schema_message *message, const char *got)
{
    char words[300] = "";
    size_t length = 0;

    for (size_t i = 0; i < message->field_count; i++) {
        const char *name = message->fields[i].name;

        if (message->fields[i].oneof < 0 || length + strlen(name) + 3 > sizeof(words))
            continue;
        if (length) {
            memcpy(words + length, ", ", 3);
            length += 2;
        }
        memcpy(words + length, name, strlen(name) + 1);
        length += strlen(name);
    }
    json_violate(parser, path, "must be one of %s; got %s", words, got);
}

static bool parse_union_type(struct json_parser *parser, struct members *members)
{
    struct json_path path = {members->path, "type", JSON_PATH_NAME, 0};
    char got[JSON_GOT_SIZE];
    struct str word;
    bool escaped;

    if (members->type_seen)
        return skip_with_violation(parser, &path, "duplicate key");
    members->type_seen = true;
    if (*parser->at == 'n')
        return json_scan_literal(parser, "null");
    if (*parser->at != '"') {
        members->type_wrong = true;
        violate_type(parser, &path, members->message, json_describe_token(parser, false, got));
        return json_skip_value(parser);
    }
    if (!json_scan_string(parser, &word, &escaped))
        return false;
    const struct schema_field *member = schema_find_field(members->message, word);

    if (!member || member->oneof < 0) {
        members->type_wrong = true;
        violate_type(parser, &path, members->message, json_quote(word, got));
        return true;
    }
    tell_root_key(parser, members, member);
    if (!is_first(parser, &path, members, member) ||
        !is_only_member(parser, &path, members, member))
        members->type_wrong = true;
    else
        members->member = member;
    return true;
}

/* The value of "data", of which the type is known. */
static bool parse_union_value(struct json_parser *parser, struct members *members)
{
    const struct schema_field *member = members->member;
    struct json_path path = {members->path, "data", JSON_PATH_NAME, 0};

    if (*parser->at != 'n' || is_value(member))
        return parse_one(parser, &path, member, true, true);
    if (!json_scan_literal(parser, "null"))
        return false;
    /* null is how an enum's 0 is written, and a message that is there, but empty, may be. */
    if (member->type == SCHEMA_MESSAGE)
        return json_put_tag(parser, member->number, JSON_WIRE_BYTES) && json_put_varint(parser, 0);
    if (member->type == SCHEMA_ENUM)
        return json_put_tag(parser, member->number, JSON_WIRE_VARINT) && json_put_varint(parser, 0);
    json_violate(parser, &path, "must not be null");
    return true;
}

static bool parse_union_data(struct json_parser *parser, struct members *members)
{
    struct json_path path = {members->path, "data", JSON_PATH_NAME, 0};

    if (members->data_seen)
        return skip_with_violation(parser, &path, "duplicate key");
    members->data_seen = true;
    if (members->member)
        return parse_union_value(parser, members);
    members->data = parser->at;
    return json_skip_value(parser);
}

bool json_rewind(struct json_parser *parser, const char *at)
{
    size_t size = (size_t)(parser->at - at);

    if (size > parser->reread_left)
        return json_malformed(parser, at,
                              "too much to read twice: \"type\" and \"@type\" must come first");
    parser->reread_left -= size;
    parser->at = at;
    return true;
}

/* After the last key: data that waited for its type, or one of the two without the other. */
static bool finish_union(struct json_parser *parser, struct members *members)
{
    const struct schema_field *member = members->member;
    struct json_path type = {members->path, "type", JSON_PATH_NAME, 0};
    struct json_path data = {members->path, "data", JSON_PATH_NAME, 0};
    const char *after = parser->at;

    if (!member) {
        if (members->data && *members->data != 'n' && !members->type_wrong)
            json_violate(parser, &type, "is required beside \"data\"");
        return true;
    }
    if (members->data) {
        parser->depth++; /* where it stood */
        if (!json_rewind(parser, members->data) || !parse_union_value(parser, members))
            return false;
        parser->depth--;
        parser->at = after;
        return true;
    }
    if (members->data_seen)
        return true;
    if (member->type == SCHEMA_MESSAGE)
        return json_put_tag(parser, member->number, JSON_WIRE_BYTES) && json_put_varint(parser, 0);
    json_violate(parser, &data, "is required beside \"type\"");
    return true;
}

/* Objects */

static inline const struct schema_field *find_field(struct members *members, struct str key,
                                                    bool escaped)
{
    const struct schema_message *message = members->message;
    const struct schema_field *field;

    /* Keys come in the order of the .proto as a rule, some left out. Raw keys hold no NUL, so that
     * a name that begins with the key's bytes is at least as long. */
    for (size_t i = members->hint; !escaped && i < message->field_count && i < members->hint + 3;
         i++) {
        const char *name = message->fields[i].name;

        if (key.length && name[0] == key.data[0] && strncmp(name, key.data, key.length) == 0 &&
            name[key.length] == '\0') {
            members->hint = i + 1;
            return &message->fields[i];
        }
    }
    field = schema_find_field(message, key);
    if (field)
        members->hint = (size_t)(field - message->fields) + 1;
    return field;
}

static bool parse_member(struct json_parser *parser, struct members *members)
{
    struct str key, raw;
    bool escaped;

    if (!json_scan_key(parser, &raw, &escaped))
        return false;
    key = raw;
    if (escaped && raw.length <= sizeof(parser->key_scratch))
        key = (struct str){parser->key_scratch, json_unescape(raw, parser->key_scratch)};
    if (members->message->tagged_union && str_equal_cstr(key, "type"))
        return parse_union_type(parser, members);
    if (members->message->tagged_union && str_equal_cstr(key, "data"))
        return parse_union_data(parser, members);
    const struct schema_field *field = find_field(members, key, escaped);

    if (field)
        return parse_field(parser, members, field);
    if (members->any && str_equal_cstr(key, "@type")) {
        struct json_path path = {members->path, "@type", JSON_PATH_NAME, 0};

        if (members->any_type_seen)
            return skip_with_violation(parser, &path, "duplicate key");
        members->any_type_seen = true;
        return json_skip_value(parser);
    }
    json_violate_unknown_key(parser, members->path, members->message, raw);
    return json_skip_value(parser);
}

bool json_parse_members(struct json_parser *parser, const struct json_path *path,
                        const struct schema_message *message, bool any, bool any_type_seen,
                        bool more)
{
    struct members members = {
        .message = message, .path = path, .any = any, .any_type_seen = any_type_seen};

    if (message->field_count > MOST_FIELDS || message->oneof_count > MOST_ONEOFS) {
        parser->failed = true;
        return err_set(parser->err, ERR_INTERNAL, NULL, "%s has too many fields for JSON",
                       message->full_name);
    }
    while (more)
        if (!parse_member(parser, &members) || !json_after_value(parser, '{', &more))
            return false;
    return !message->tagged_union || finish_union(parser, &members);
}

/* "greeting" for {"id": "greeting"}. */
static bool parse_shorthand(struct json_parser *parser, const struct json_path *path,
                            const struct schema_message *message)
{
    const struct schema_field *field = message->shorthand;
    bool is_text =
        field->type == SCHEMA_STRING || field->type == SCHEMA_BYTES || field->type == SCHEMA_ENUM;
    char c = *parser->at;

    if (c == '[' || c == 'n' || (is_text && c != '"'))
        return wrong_kind(parser, path, is_text ? "a string or an object" : "a value or an object");
    if (!path && parser->options && parser->options->on_root_key)
        parser->options->on_root_key(parser->options->context, field);
    return json_parse_scalar_token(parser, path, field, true, field->optional);
}

bool json_parse_message(struct json_parser *parser, const struct json_path *path,
                        const struct schema_message *message)
{
    bool more;

    if (message->well_known != SCHEMA_ORDINARY && message->well_known != SCHEMA_EMPTY)
        return json_parse_special(parser, path, message);
    if (*parser->at == '{')
        return json_enter(parser, '{', &more) &&
               json_parse_members(parser, path, message, false, false, more);
    if (message->shorthand)
        return parse_shorthand(parser, path, message);
    return wrong_kind(parser, path, "an object");
}

static bool parse_text(struct json_parser *parser, const struct schema_message *message)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    size_t size = (size_t)(parser->end - parser->at);

    if (size >= 3 && !memcmp(parser->at, byte_order_mark, 3))
        return json_malformed(parser, parser->at,
                              "the text begins with a byte order mark (U+FEFF); send it without");
    if (size == 0 || (!json_next_token(parser, "") && parser->at == parser->end)) {
        parser->failed = true;
        return err_set(parser->err, ERR_INVALID_ARGUMENT, "MALFORMED_JSON",
                       "the body is empty: expected a JSON object");
    }
    if (!json_parse_message(parser, NULL, message))
        return false;
    while (parser->at < parser->end && memchr(" \t\r\n", *parser->at, 4))
        parser->at++;
    if (parser->at != parser->end)
        return json_malformed(parser, parser->at, "expected the end of the text");
    return json_finish(parser);
}

bool json_parse(const struct schema *schema, const struct schema_message *message, struct str text,
                const struct json_parse_options *options, struct buf *out,
                struct violations *violations, struct err *err)
{
    struct json_parser parser;
    size_t start = out->length;

    if (text.length > INT32_MAX / 16) /* 128 MB: offsets into the output stay within 32 bits */
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "the JSON text is too large");
    json_parser_init(&parser, text, out, violations, err);
    parser.schema = schema;
    parser.options = options;
    if (options && options->depth_limit)
        parser.depth_limit = options->depth_limit;
    bool ok = parse_text(&parser, message) && !out->failed;

    json_parser_done(&parser);
    if (ok)
        return true;
    out->length = start;
    if (!parser.failed)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                       "the message would be larger than the limit");
    return false;
}
