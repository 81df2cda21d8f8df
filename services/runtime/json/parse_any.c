/* The well-known types whose JSON is not an object of their fields. */
#include "json/number.h"
#include "json/parse_internal.h"
#include "json/wire_inline.h"

static bool wrong_kind(struct json_parser *parser, const struct json_path *path,
                       const struct schema_message *message)
{
    struct schema_field field = {.type = SCHEMA_MESSAGE, .message = message};
    char got[JSON_GOT_SIZE];

    json_violate_value(parser, path, &field, json_describe_token(parser, false, got));
    return json_skip_value(parser);
}

/* Timestamp, Duration, FieldMask. */
static bool parse_string_form(struct json_parser *parser, const struct json_path *path,
                              const struct schema_message *message)
{
    char decoded[256];
    struct str text;
    bool escaped;

    if (*parser->at != '"')
        return wrong_kind(parser, path, message);
    if (!json_scan_string(parser, &text, &escaped))
        return false;
    if (escaped && text.length <= sizeof(decoded)) {
        text.length = json_unescape(text, decoded);
        text.data = decoded;
    }
    return json_put_special_text(parser, path, message, text);
}

static bool parse_value(struct json_parser *parser, const struct json_path *path,
                        const struct schema_message *message);

/* {"key": value, …} as `map<string, Value> fields = 1`. */
static bool parse_struct(struct json_parser *parser, const struct json_path *path,
                         const struct schema_message *message)
{
    size_t first_key = parser->key_count;
    bool more;

    if (*parser->at != '{')
        return wrong_kind(parser, path, message);
    const struct schema_message *value = message->fields[0].message->fields[1].message;

    if (!json_enter(parser, '{', &more))
        return false;
    while (more) {
        size_t entry, entry_extra, inner, inner_extra;
        struct str raw;
        bool escaped;

        if (!json_scan_key(parser, &raw, &escaped))
            return false;
        struct json_path at = {path, raw.data, raw.length, JSON_KEY_QUOTED};

        if (!json_put_tag(parser, 1, JSON_WIRE_BYTES) || !json_open(parser, &entry, &entry_extra))
            return false;
        size_t start = parser->out->length;

        if (!json_put_text(parser, 1, raw, escaped) ||
            !json_remember_key(parser,
                               (struct json_seen_key){
                                   (uint32_t)start, (uint32_t)(parser->out->length - start),
                                   (uint32_t)(raw.data - parser->start), (uint32_t)raw.length}) ||
            !json_put_tag(parser, 2, JSON_WIRE_BYTES) || !json_open(parser, &inner, &inner_extra) ||
            !parse_value(parser, &at, value))
            return false;
        json_close(parser, inner, inner_extra);
        json_close(parser, entry, entry_extra);
        if (!json_after_value(parser, '{', &more))
            return false;
    }
    return json_check_keys(parser, path, first_key, JSON_KEY_QUOTED);
}

/* [value, …] as `repeated Value values = 1`. */
static bool parse_list_value(struct json_parser *parser, const struct json_path *path,
                             const struct schema_message *message)
{
    struct json_path at = {path, NULL, 0, 0};
    size_t frame, extra;
    bool more;

    if (*parser->at != '[')
        return wrong_kind(parser, path, message);
    if (!json_enter(parser, '[', &more))
        return false;
    for (; more; at.index++) {
        if (!json_put_tag(parser, 1, JSON_WIRE_BYTES) || !json_open(parser, &frame, &extra) ||
            !parse_value(parser, &at, message->fields[0].message))
            return false;
        json_close(parser, frame, extra);
        if (!json_after_value(parser, '[', &more))
            return false;
    }
    return true;
}

static bool put_number(struct json_parser *parser, const struct json_path *path)
{
    char got[JSON_GOT_SIZE];
    const char *start = parser->at;
    struct str text;
    double value;
    char *room;

    if (*start != '-' && (*start < '0' || *start > '9'))
        return json_malformed(parser, start, "expected a value");
    if (!json_scan_number(parser, &text))
        return false;
    if (!json_number_read_double(text, false, &value)) {
        const char *after = parser->at;

        parser->at = start;
        json_violate(parser, path, "must be a number of at most 1.7e308, got %s",
                     json_describe_token(parser, true, got));
        parser->at = after;
        return true;
    }
    room = json_room(parser->out, 9);
    if (!room)
        return false;
    room[0] = 2 << 3 | JSON_WIRE_FIXED64;
    memcpy(room + 1, &value, 8);
    parser->out->length += 9;
    return true;
}

static bool put_small(struct json_parser *parser, uint32_t number, uint64_t value)
{
    return json_put_tag(parser, number, JSON_WIRE_VARINT) && json_put_varint(parser, value);
}

/* google.protobuf.Value: null_value = 1, number_value = 2, string_value = 3, bool_value = 4,
 * struct_value = 5, list_value = 6. */
static bool parse_value(struct json_parser *parser, const struct json_path *path,
                        const struct schema_message *message)
{
    size_t frame, extra;
    struct str text;
    bool escaped;
    char c = *parser->at;

    switch (c) {
    case '"':
        return json_scan_string(parser, &text, &escaped) && json_put_text(parser, 3, text, escaped);
    case '{':
    case '[':
        if (!json_put_tag(parser, c == '{' ? 5 : 6, JSON_WIRE_BYTES) ||
            !json_open(parser, &frame, &extra) ||
            !(c == '{' ? parse_struct(parser, path, message->fields[4].message)
                       : parse_list_value(parser, path, message->fields[5].message)))
            return false;
        json_close(parser, frame, extra);
        return true;
    case 'n':
        return json_scan_literal(parser, "null") && put_small(parser, 1, 0);
    case 't':
        return json_scan_literal(parser, "true") && put_small(parser, 4, 1);
    case 'f':
        return json_scan_literal(parser, "false") && put_small(parser, 4, 0);
    default:
        return put_number(parser, path);
    }
}

static bool parse_wrapper(struct json_parser *parser, const struct json_path *path,
                          const struct schema_message *message)
{
    /* null is absent, which the field that holds the wrapper has settled; here it is a root or an
     * element. */
    return json_parse_scalar_token(parser, path, &message->fields[0], true, false);
}

/* Any */

/* Reads the value of "@type". *ret_type is NULL, with a violation, when it names nothing. */
static bool parse_type_url(struct json_parser *parser, const struct json_path *path,
                           struct str *ret_url, bool *ret_escaped,
                           const struct schema_message **ret_type)
{
    struct json_path at = {path, "@type", JSON_PATH_NAME, 0};
    char got[JSON_GOT_SIZE];

    *ret_type = NULL;
    if (*parser->at != '"') {
        json_violate(parser, &at, "must be a type URL, got %s",
                     json_describe_token(parser, false, got));
        return json_skip_value(parser);
    }
    if (!json_scan_string(parser, ret_url, ret_escaped))
        return false;
    const char *slash = ret_url->length ? memrchr(ret_url->data, '/', ret_url->length) : NULL;

    if (slash && !*ret_escaped)
        *ret_type = schema_find_message(
            parser->schema,
            (struct str){slash + 1, (size_t)(ret_url->data + ret_url->length - slash - 1)});
    if (!*ret_type)
        json_violate(parser, &at, "unknown type %s", json_quote(*ret_url, got));
    return true;
}

/* The only key beside "@type" of a type whose JSON is not an object of its fields. */
static bool parse_any_value(struct json_parser *parser, const struct json_path *path,
                            const struct schema_message *type, bool type_seen, bool more)
{
    struct json_path value = {path, "value", JSON_PATH_NAME, 0};
    struct json_path type_path = {path, "@type", JSON_PATH_NAME, 0};
    bool value_seen = false;

    while (more) {
        struct str key;
        bool escaped;

        if (!json_scan_key(parser, &key, &escaped))
            return false;
        bool is_type = str_equal_cstr(key, "@type"), is_value = str_equal_cstr(key, "value");

        if (is_value && !value_seen) {
            bool is_null = *parser->at == 'n' && type->well_known != SCHEMA_VALUE;

            if (is_null ? !json_scan_literal(parser, "null")
                        : !json_parse_message(parser, &value, type))
                return false;
        } else {
            if ((is_type && type_seen) || is_value)
                json_violate(parser, is_type ? &type_path : &value, "duplicate key");
            else if (!is_type)
                json_violate_unknown_key(parser, path, type, key);
            if (!json_skip_value(parser))
                return false;
        }
        value_seen |= is_value;
        type_seen |= is_type;
        if (!json_after_value(parser, '{', &more))
            return false;
    }
    return true;
}

static bool parse_any(struct json_parser *parser, const struct json_path *path,
                      const struct schema_message *message)
{
    struct json_path type_path = {path, "@type", JSON_PATH_NAME, 0};
    const struct schema_message *type = NULL;
    struct str url = {NULL, 0};
    bool escaped = false, found = false, first = true, more;
    size_t frame, extra;

    if (*parser->at != '{')
        return wrong_kind(parser, path, message);
    if (!json_enter(parser, '{', &more) || !more)
        return !parser->failed && !more; /* {}: an Any that holds nothing */
    const char *members = parser->at;

    /* Nothing else can be understood before the type; if it does not come first, the rest is read
     * twice. */
    while (more && !found) {
        struct str key;

        if (!json_scan_key(parser, &key, &escaped))
            return false;
        found = str_equal_cstr(key, "@type");
        first = found && key.data == members + 1;
        if (found ? !parse_type_url(parser, path, &url, &escaped, &type) : !json_skip_value(parser))
            return false;
        if (!json_after_value(parser, '{', &more))
            return false;
    }
    if (!found)
        json_violate(parser, &type_path, "is required");
    if (found && !first) {
        parser->depth += !more; /* back inside the object that was left */
        more = true;
        if (!json_rewind(parser, members))
            return false;
    }
    if (!type) {
        while (more) {
            struct str key;

            if (!json_scan_key(parser, &key, &escaped) || !json_skip_value(parser) ||
                !json_after_value(parser, '{', &more))
                return false;
        }
        return true;
    }
    if (!json_put_text(parser, 1, url, false) || !json_put_tag(parser, 2, JSON_WIRE_BYTES) ||
        !json_open(parser, &frame, &extra))
        return false;
    bool ordinary = type->well_known == SCHEMA_ORDINARY || type->well_known == SCHEMA_EMPTY;

    if (ordinary ? !json_parse_members(parser, path, type, true, first, more)
                 : !parse_any_value(parser, path, type, first, more))
        return false;
    json_close(parser, frame, extra);
    return true;
}

bool json_parse_special(struct json_parser *parser, const struct json_path *path,
                        const struct schema_message *message)
{
    switch (message->well_known) {
    case SCHEMA_STRUCT:
        return parse_struct(parser, path, message);
    case SCHEMA_VALUE:
        return parse_value(parser, path, message);
    case SCHEMA_LIST_VALUE:
        return parse_list_value(parser, path, message);
    case SCHEMA_WRAPPER:
        return parse_wrapper(parser, path, message);
    case SCHEMA_ANY:
        return parse_any(parser, path, message);
    default:
        return parse_string_form(parser, path, message);
    }
}
