/* default_json: is it JSON, of its field's type, and within the field's own rules? Applying it is
 * the business of rpc. */
#include "internal.h"

#include "base/decimal.h"

#include <stdlib.h>

#define DEPTH_LIMIT 32

struct cursor {
    const char *at, *end;
};

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at))
        cursor->at++;
}

static bool take(struct cursor *cursor, char c)
{
    skip_space(cursor);
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static bool take_word(struct cursor *cursor, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

static bool take_escape(struct cursor *cursor)
{
    static const char hex[] = "0123456789abcdefABCDEF";

    if (cursor->at == cursor->end)
        return false;
    char c = *cursor->at++;

    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c);
    for (int i = 0; i < 4; i++, cursor->at++)
        if (cursor->at == cursor->end || !*cursor->at || !strchr(hex, *cursor->at))
            return false;
    return true;
}

/* A string; *ret_text is what stands between the quotes, escapes and all. */
static bool take_string(struct cursor *cursor, struct str *ret_text)
{
    if (!take(cursor, '"'))
        return false;
    const char *start = cursor->at;

    while (cursor->at < cursor->end) {
        char c = *cursor->at++;

        if (c == '"') {
            *ret_text = (struct str){start, (size_t)(cursor->at - start) - 1};
            return true;
        }
        if ((unsigned char)c < 0x20 || (c == '\\' && !take_escape(cursor)))
            return false;
    }
    return false;
}

/* What could be a number; decimal_parse() or strtod() judge it. */
static struct str take_number(struct cursor *cursor)
{
    skip_space(cursor);
    const char *start = cursor->at;

    while (cursor->at < cursor->end && *cursor->at && strchr("+-.eE0123456789", *cursor->at))
        cursor->at++;
    return (struct str){start, (size_t)(cursor->at - start)};
}

static bool is_number(struct str text)
{
    int64_t ignored;

    /* decimal_parse() has JSON's grammar but not a double's range: shapes it refuses for size are
     * rare enough to ask for others. */
    return text.length > 0 && text.length < 40 && decimal_parse(text, 12, &ignored);
}

static bool take_any(struct cursor *cursor, unsigned depth);

static bool take_members(struct cursor *cursor, unsigned depth, bool object)
{
    char closing = object ? '}' : ']';
    struct str ignored;

    if (take(cursor, closing))
        return true;
    do {
        if (object && (!take_string(cursor, &ignored) || !take(cursor, ':')))
            return false;
        if (!take_any(cursor, depth))
            return false;
    } while (take(cursor, ','));
    return take(cursor, closing);
}

static bool take_any(struct cursor *cursor, unsigned depth)
{
    struct str ignored;

    skip_space(cursor);
    if (cursor->at == cursor->end || depth > DEPTH_LIMIT)
        return false;
    switch (*cursor->at) {
    case '{':
    case '[':
        return take_members(cursor, depth + 1, *cursor->at++ == '{');
    case '"':
        return take_string(cursor, &ignored);
    case 't':
        return take_word(cursor, "true");
    case 'f':
        return take_word(cursor, "false");
    case 'n':
        return take_word(cursor, "null");
    default:
        return is_number(take_number(cursor));
    }
}

static bool take_integer(struct cursor *cursor, const struct schema_field *field,
                         union wire_value *ret_value)
{
    struct str text = take_number(cursor);
    int64_t value;

    if (!decimal_parse(text, field->rules.decimal_places, &value))
        return false;
    ret_value->bits = (uint64_t)value;
    switch (field->type) {
    case SCHEMA_UINT64:
    case SCHEMA_FIXED64:
        return value >= 0;
    case SCHEMA_UINT32:
    case SCHEMA_FIXED32:
        return value >= 0 && value <= UINT32_MAX;
    case SCHEMA_INT32:
    case SCHEMA_SINT32:
    case SCHEMA_SFIXED32:
        return value >= INT32_MIN && value <= INT32_MAX;
    default:
        return true;
    }
}

static bool take_double(struct cursor *cursor, enum schema_type type, union wire_value *ret_value)
{
    struct str text = take_number(cursor);
    char copy[41];

    if (!is_number(text))
        return false;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    double number = strtod(copy, NULL);

    if (type == SCHEMA_DOUBLE) {
        memcpy(&ret_value->bits, &number, sizeof(number));
    } else {
        float narrow = (float)number;

        ret_value->bits = 0;
        memcpy(&ret_value->bits, &narrow, sizeof(narrow));
    }
    return true;
}

/* One value of a scalar field; *ret_known is false where the value has escapes, which are not
 * undone here. */
static bool take_scalar(struct cursor *cursor, const struct schema_field *field,
                        union wire_value *ret_value, bool *ret_known)
{
    struct str text;

    *ret_known = true;
    skip_space(cursor);
    switch (field->type) {
    case SCHEMA_STRING:
        if (!take_string(cursor, &ret_value->bytes))
            return false;
        *ret_known = !memchr(ret_value->bytes.data, '\\', ret_value->bytes.length);
        return true;
    case SCHEMA_BYTES:
        *ret_known = false;
        return take_string(cursor, &text);
    case SCHEMA_ENUM: {
        const struct schema_enum_value *value =
            take_string(cursor, &text) ? schema_find_enum_value(field->enumeration, text) : NULL;

        ret_value->bits = value ? (uint64_t)(int64_t)value->number : 0;
        return value != NULL;
    }
    case SCHEMA_BOOL:
        ret_value->bits = 0;
        return take_word(cursor, "true") || take_word(cursor, "false");
    case SCHEMA_DOUBLE:
    case SCHEMA_FLOAT:
        return take_double(cursor, field->type, ret_value);
    default:
        return type_is_integer(field->type) && take_integer(cursor, field, ret_value);
    }
}

static bool take_value(struct cursor *cursor, const struct schema_field *field)
{
    struct str ignored;

    skip_space(cursor);
    if (field->type == SCHEMA_MESSAGE) {
        switch (field->message->well_known) {
        case SCHEMA_ORDINARY:
        case SCHEMA_STRUCT:
        case SCHEMA_ANY:
        case SCHEMA_EMPTY:
            if (field->message->shorthand && take_string(cursor, &ignored))
                return true;
            return cursor->at < cursor->end && *cursor->at == '{' && take_any(cursor, 0);
        case SCHEMA_LIST_VALUE:
            return cursor->at < cursor->end && *cursor->at == '[' && take_any(cursor, 0);
        case SCHEMA_TIMESTAMP:
        case SCHEMA_DURATION:
        case SCHEMA_FIELD_MASK:
            return take_string(cursor, &ignored);
        default:
            return take_any(cursor, 0);
        }
    }
    union wire_value value;
    bool known;

    /* The owner only matters for google.protobuf.Value, which has no options of ours. */
    static const struct schema_message ordinary = {.well_known = SCHEMA_ORDINARY};

    return take_scalar(cursor, field, &value, &known) &&
           (!known || value_keeps_rules(&ordinary, field, value));
}

static bool take_list(struct cursor *cursor, const struct schema_field *field)
{
    if (!take(cursor, '['))
        return false;
    if (take(cursor, ']'))
        return true;
    do {
        if (!take_value(cursor, field))
            return false;
    } while (take(cursor, ','));
    return take(cursor, ']');
}

bool default_is_valid(const struct schema_field *field, struct str json)
{
    struct cursor cursor = {json.data, json.data + json.length};
    bool valid;

    if (field->map)
        valid = take(&cursor, '{') && take_members(&cursor, 0, true);
    else if (field->repeated)
        valid = take_list(&cursor, field);
    else
        valid = take_value(&cursor, field);
    skip_space(&cursor);
    return valid && cursor.at == cursor.end && utf8_is_valid(json.data, json.length);
}
