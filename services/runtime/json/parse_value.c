/* Scalars: one JSON token, or one text from a query, to a tag and its value. */
#include "json/base64.h"
#include "json/number.h"
#include "json/parse_internal.h"
#include "json/times.h"
#include "json/wire_inline.h"

bool json_is_null_enum(const struct schema_field *field)
{
    return field->type == SCHEMA_ENUM &&
           !strcmp(field->enumeration->full_name, "google.protobuf.NullValue");
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* A JSON number as the integer's bits on the wire; false when it is no integer of the type. */
static bool integer_bits(const struct schema_field *field, struct str number, uint64_t *ret_bits)
{
    bool negative;
    uint64_t magnitude;

    if (json_number_read(number, field->rules.decimal_places, &negative, &magnitude) !=
        JSON_NUMBER_OK)
        return false;
    int64_t value = (int64_t)(negative ? 0 - magnitude : magnitude);

    *ret_bits = (uint64_t)value;
    switch (field->type) {
    case SCHEMA_UINT64:
    case SCHEMA_FIXED64:
        return !negative || magnitude == 0;
    case SCHEMA_UINT32:
    case SCHEMA_FIXED32:
        return magnitude <= UINT32_MAX && (!negative || magnitude == 0);
    case SCHEMA_INT64:
    case SCHEMA_SFIXED64:
        return magnitude <= (uint64_t)INT64_MAX + negative;
    case SCHEMA_SINT64:
        *ret_bits = zigzag(value);
        return magnitude <= (uint64_t)INT64_MAX + negative;
    case SCHEMA_SINT32:
        *ret_bits = zigzag(value);
        return magnitude <= (uint64_t)INT32_MAX + negative;
    default: /* int32, sfixed32, enums */
        return magnitude <= (uint64_t)INT32_MAX + negative;
    }
}

static bool float_bits(const struct schema_field *field, struct str number, uint64_t *ret_bits)
{
    double value;
    float single;
    uint32_t low;

    if (!json_number_read_double(number, field->type == SCHEMA_FLOAT, &value))
        return false;
    if (field->type == SCHEMA_DOUBLE) {
        memcpy(ret_bits, &value, sizeof(value));
        return true;
    }
    single = (float)value;
    memcpy(&low, &single, sizeof(low));
    *ret_bits = low;
    return true;
}

/* "NaN", "Infinity", "-Infinity": no JSON number can say these. */
static bool special_float_bits(const struct schema_field *field, struct str text,
                               uint64_t *ret_bits)
{
    static const struct {
        const char *name;
        uint64_t double_bits;
        uint32_t float_bits;
    } specials[] = {
        {"NaN", UINT64_C(0x7FF8000000000000), UINT32_C(0x7FC00000)},
        {"Infinity", UINT64_C(0x7FF0000000000000), UINT32_C(0x7F800000)},
        {"-Infinity", UINT64_C(0xFFF0000000000000), UINT32_C(0xFF800000)},
    };

    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
        if (str_equal_cstr(text, specials[i].name)) {
            *ret_bits =
                field->type == SCHEMA_DOUBLE ? specials[i].double_bits : specials[i].float_bits;
            return true;
        }
    return false;
}

static bool is_float(const struct schema_field *field)
{
    return field->type == SCHEMA_DOUBLE || field->type == SCHEMA_FLOAT;
}

/* `number` is a JSON number. */
static bool number_bits(const struct schema_field *field, struct str number, uint64_t *ret_bits)
{
    return is_float(field) ? float_bits(field, number, ret_bits)
                           : integer_bits(field, number, ret_bits);
}

/* Text for a field that is neither string nor bytes. */
static bool text_bits(const struct schema_field *field, struct str text, uint64_t *ret_bits)
{
    const struct schema_enum_value *value;

    if (field->type == SCHEMA_BOOL) {
        *ret_bits = str_equal_cstr(text, "true");
        return *ret_bits || str_equal_cstr(text, "false");
    }
    if (field->type == SCHEMA_ENUM) {
        value = schema_find_enum_value(field->enumeration, text);
        if (value) {
            *ret_bits = (uint64_t)(int64_t)value->number;
            return true;
        }
        return false;
    }
    if (is_float(field) && special_float_bits(field, text, ret_bits))
        return true;
    return text.length && json_number_size(text.data, text.data + text.length) == text.length &&
           number_bits(field, text, ret_bits);
}

static bool put_bits(struct json_parser *parser, const struct schema_field *field, uint64_t bits,
                     bool tagged)
{
    unsigned type = json_wire_type(field->type);
    char *room = json_room(parser->out, 16);

    if (!room)
        return false;
    char *at = tagged ? json_encode_varint(room, (uint64_t)field->number << 3 | type) : room;

    if (type == JSON_WIRE_VARINT) {
        at = json_encode_varint(at, bits);
    } else {
        size_t size = type == JSON_WIRE_FIXED64 ? 8 : 4;

        memcpy(at, &bits, size);
        at += size;
    }
    parser->out->length += (size_t)(at - room);
    return true;
}

/* Base64 text without escapes. */
static bool put_base64(struct json_parser *parser, const struct json_path *path,
                       const struct schema_field *field, struct str text, bool tagged,
                       bool keep_default)
{
    char got[JSON_GOT_SIZE];
    size_t most = text.length / 4 * 3 + 2, size;
    char *room = json_room(parser->out, most + 16);

    if (!room)
        return false;
    if (!json_base64_read(text, room + 16, &size)) {
        json_violate_value(parser, path, field, json_quote(text, got));
        return true;
    }
    if (size == 0 && !keep_default)
        return true;
    char *at = tagged ? json_encode_varint(room, (uint64_t)field->number << 3 | 2) : room;

    at = json_encode_varint(at, size);
    memmove(at, room + 16, size);
    parser->out->length += (size_t)(at - room) + size;
    return true;
}

bool json_put_scalar_text(struct json_parser *parser, const struct json_path *path,
                          const struct schema_field *field, struct str text, bool tagged,
                          bool keep_default)
{
    char got[JSON_GOT_SIZE];
    uint64_t bits;

    if (field->type == SCHEMA_BYTES)
        return put_base64(parser, path, field, text, tagged, keep_default);
    if (field->type == SCHEMA_STRING)
        return (text.length == 0 && !keep_default) ||
               json_put_text(parser, tagged ? field->number : 0, text, false);
    if (!text_bits(field, text, &bits)) {
        json_violate_value(parser, path, field, json_quote(text, got));
        return true;
    }
    return (bits == 0 && !keep_default) || put_bits(parser, field, bits, tagged);
}

static bool wrong_kind(struct json_parser *parser, const struct json_path *path,
                       const struct schema_field *field)
{
    char got[JSON_GOT_SIZE];

    json_violate_value(parser, path, field, json_describe_token(parser, false, got));
    return json_skip_value(parser);
}

/* A JSON string for a number, an enum or bytes: short ones may carry escapes like any string. */
static bool parse_quoted(struct json_parser *parser, const struct json_path *path,
                         const struct schema_field *field, bool tagged, bool keep_default)
{
    char decoded[256];
    struct str text;
    bool escaped;

    if (!json_scan_string(parser, &text, &escaped))
        return false;
    if (escaped && text.length <= sizeof(decoded)) {
        text.length = json_unescape(text, decoded);
        text.data = decoded;
    }
    return json_put_scalar_text(parser, path, field, text, tagged, keep_default);
}

static bool parse_string(struct json_parser *parser, const struct json_path *path,
                         const struct schema_field *field, bool tagged, bool keep_default)
{
    struct str raw;
    bool escaped;

    if (*parser->at != '"')
        return wrong_kind(parser, path, field);
    if (!json_scan_string(parser, &raw, &escaped))
        return false;
    if (raw.length == 0 && !keep_default)
        return true;
    return json_put_text(parser, tagged ? field->number : 0, raw, escaped);
}

static bool parse_bool(struct json_parser *parser, const struct json_path *path,
                       const struct schema_field *field, bool tagged, bool keep_default)
{
    bool value = *parser->at == 't';

    if (*parser->at != 't' && *parser->at != 'f')
        return wrong_kind(parser, path, field);
    return json_scan_literal(parser, value ? "true" : "false") &&
           ((!value && !keep_default) || put_bits(parser, field, value, tagged));
}

static bool parse_number(struct json_parser *parser, const struct json_path *path,
                         const struct schema_field *field, bool tagged, bool keep_default)
{
    char got[JSON_GOT_SIZE];
    const char *start = parser->at;
    struct str number;
    uint64_t bits;

    if (!json_scan_number(parser, &number))
        return false;
    if (!number_bits(field, number, &bits)) {
        const char *after = parser->at;

        parser->at = start;
        json_describe_token(parser, true, got);
        parser->at = after;
        if (is_float(field))
            json_violate(parser, path, "must be a number of at most %s, got %s",
                         field->type == SCHEMA_FLOAT ? "3.4e38" : "1.7e308", got);
        else
            json_violate_value(parser, path, field, got);
        return true;
    }
    return (bits == 0 && !keep_default) || put_bits(parser, field, bits, tagged);
}

bool json_parse_scalar_token(struct json_parser *parser, const struct json_path *path,
                             const struct schema_field *field, bool tagged, bool keep_default)
{
    char c = *parser->at;

    if (field->type == SCHEMA_STRING)
        return parse_string(parser, path, field, tagged, keep_default);
    if (field->type == SCHEMA_BOOL)
        return parse_bool(parser, path, field, tagged, keep_default);
    if (c == '"')
        return parse_quoted(parser, path, field, tagged, keep_default);
    if (field->type != SCHEMA_BYTES && (c == '-' || (c >= '0' && c <= '9')))
        return parse_number(parser, path, field, tagged, keep_default);
    return wrong_kind(parser, path, field);
}

/* The messages whose JSON is a string */

static bool put_time(struct json_parser *parser, int64_t seconds, int32_t nanos)
{
    return (seconds == 0 || (json_put_tag(parser, 1, JSON_WIRE_VARINT) &&
                             json_put_varint(parser, (uint64_t)seconds))) &&
           (nanos == 0 || (json_put_tag(parser, 2, JSON_WIRE_VARINT) &&
                           json_put_varint(parser, (uint64_t)(int64_t)nanos)));
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* One path, lowerCamelCase or snake_case, as snake_case into out (twice its length); 0 when it
 * would not come back the same: a "_" that no small letter follows, both spellings mixed, a
 * character that no field name has. */
static size_t snake_path(struct str path, char *out)
{
    bool snake = memchr(path.data, '_', path.length) != NULL;
    size_t length = 0;

    for (size_t i = 0; i < path.length; i++) {
        char c = path.data[i];

        if (c >= 'A' && c <= 'Z' && !snake) {
            out[length++] = '_';
            out[length++] = (char)(c - 'A' + 'a');
        } else if (c == '_') {
            if (i + 1 == path.length || !is_lower(path.data[i + 1]))
                return 0;
            out[length++] = c;
        } else if (is_lower(c) || (c >= '0' && c <= '9') || c == '.') {
            out[length++] = c;
        } else {
            return 0;
        }
    }
    return length;
}

static bool put_field_mask(struct json_parser *parser, const struct json_path *path,
                           const struct schema_message *message, struct str text)
{
    struct schema_field field = {.type = SCHEMA_MESSAGE, .message = message};
    char got[JSON_GOT_SIZE];
    const char *at = text.data, *end = at + text.length;

    if (text.length == 0)
        return true;
    for (;;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct str one = {at, (size_t)((comma ? comma : end) - at)};
        char *room = json_room(parser->out, 2 * one.length + 12);

        if (!room)
            return false;
        size_t length = snake_path(one, room + 12);

        if (!length) {
            json_violate_value(parser, path, &field, json_quote(text, got));
            return true;
        }
        char *to = json_encode_varint(room + 1, length);

        room[0] = 1 << 3 | JSON_WIRE_BYTES;
        memmove(to, room + 12, length);
        parser->out->length += (size_t)(to - room) + length;
        if (!comma)
            return true;
        at = comma + 1;
    }
}

bool json_put_special_text(struct json_parser *parser, const struct json_path *path,
                           const struct schema_message *message, struct str text)
{
    struct schema_field field = {.type = SCHEMA_MESSAGE, .message = message};
    char got[JSON_GOT_SIZE];
    int64_t seconds;
    int32_t nanos;

    if (message->well_known == SCHEMA_FIELD_MASK)
        return put_field_mask(parser, path, message, text);
    if (message->well_known == SCHEMA_TIMESTAMP ? json_timestamp_read(text, &seconds, &nanos)
                                                : json_duration_read(text, &seconds, &nanos))
        return put_time(parser, seconds, nanos);
    json_violate_value(parser, path, &field, json_quote(text, got));
    return true;
}
