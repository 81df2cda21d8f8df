/* What is wrong with a text, in words and with its place. Nothing here runs for a correct one. */
#include "json/number.h"
#include "json/parse_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool json_malformed(struct json_parser *parser, const char *at, const char *expected)
{
    size_t line = 1, column = 1;

    for (const char *c = parser->start; c < at; c++) {
        if (*c == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*c & 0xC0) != 0x80) {
            column++; /* continuation bytes are no characters of their own */
        }
    }
    parser->failed = true;
    return err_set(parser->err, ERR_INVALID_ARGUMENT, "MALFORMED_JSON",
                   "malformed JSON at line %zu, column %zu: %s%s", line, column, expected,
                   at == parser->end ? ", but the text ends here" : "");
}

bool json_too_deep(struct json_parser *parser)
{
    char text[80];

    snprintf(text, sizeof(text), "nested deeper than %u levels", parser->depth_limit);
    json_malformed(parser, parser->at, text);
    if (parser->err)
        snprintf(parser->err->reason, sizeof(parser->err->reason), "TOO_DEEP");
    return false;
}

bool json_no_memory(struct json_parser *parser)
{
    parser->failed = true;
    return err_set(parser->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}

/* Paths */

#define MOST_KEY_BYTES 64

/* Cuts at a character's boundary. */
static size_t cut(struct str text, size_t most)
{
    size_t length = text.length;

    if (length <= most)
        return length;
    length = most;
    while (length && ((unsigned char)text.data[length] & 0xC0) == 0x80)
        length--;
    return length;
}

static bool is_plain_key(struct str key)
{
    for (size_t i = 0; i < key.length; i++) {
        char c = key.data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '-' && c != '@')
            return false;
    }
    return key.length > 0;
}

static void put_step(struct buf *out, const struct json_path *step)
{
    if (!step->key) {
        buf_printf(out, "[%zu]", step->index);
        return;
    }
    struct str key = {step->key, step->length == JSON_PATH_NAME ? strlen(step->key) : step->length};
    size_t length = cut(key, MOST_KEY_BYTES);
    const char *more = length < key.length ? "…" : "";

    if (step->length == JSON_PATH_NAME || (step->index == JSON_KEY_DOTTED && is_plain_key(key)))
        buf_printf(out, "%s%.*s%s", out->length ? "." : "", (int)length, key.data, more);
    else if (step->index == JSON_KEY_BARE && is_plain_key(key))
        buf_printf(out, "[%.*s%s]", (int)length, key.data, more);
    else /* as it is spelled in the text, which may have escapes in it */
        buf_printf(out, "[\"%.*s%s\"]", (int)length, key.data, more);
}

static void put_path(struct buf *out, const struct json_path *path)
{
    /* Bounded by the depth limit. */
    if (path->parent)
        put_path(out, path->parent);
    put_step(out, path);
}

/* Beyond the limit only the count grows: a body made of nothing but mistakes must stay cheap. */
static bool is_full(struct json_parser *parser)
{
    if (parser->violations->count < parser->violations->limit)
        return false;
    parser->violations->count++;
    return true;
}

static void violate(struct json_parser *parser, const struct json_path *path, const char *message)
{
    struct violations *violations = parser->violations;
    struct buf text;

    if (!path) {
        violations_add(violations, "", "%s", message);
        return;
    }
    buf_init(&text, 32 * 1024); /* a step is at most 100 bytes; the depth limit bounds the steps */
    put_path(&text, path);
    char *field = buf_take_cstr(&text);

    violations_add(violations, field ? field : "", "%s", message);
    free(field);
}

void json_violate(struct json_parser *parser, const struct json_path *path, const char *format, ...)
{
    char message[480];
    va_list arguments;

    if (is_full(parser))
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    violate(parser, path, message);
}

/* Unknown keys */

#define LONGEST_NAME 48

/* Edit distance (insert, delete, replace), at most `most`; most + 1 when it is more. */
static size_t edit_distance(struct str a, struct str b, size_t most)
{
    size_t row[LONGEST_NAME + 1];

    if (a.length > LONGEST_NAME || b.length > LONGEST_NAME)
        return most + 1;
    for (size_t j = 0; j <= b.length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.length; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t replaced = diagonal + (a.data[i - 1] != b.data[j - 1]);
            size_t best = row[j - 1] < row[j] ? row[j - 1] + 1 : row[j] + 1;

            diagonal = row[j];
            row[j] = replaced < best ? replaced : best;
        }
    }
    return row[b.length];
}

static const char *nearest_name(const struct schema_message *message, struct str key)
{
    size_t most = key.length < 6 ? 1 : key.length < 9 ? 2 : 3;
    const char *nearest = NULL;

    for (size_t i = 0; i < message->field_count; i++) {
        const struct schema_field *field = &message->fields[i];
        const char *spellings[] = {field->name, field->json_name};

        for (size_t s = 0; s < 2 && !field->output_only; s++) {
            size_t distance = edit_distance(key, str_from(spellings[s]), most);

            if (distance <= most && distance < key.length) {
                nearest = field->name;
                most = distance ? distance - 1 : 0;
            }
        }
    }
    return nearest;
}

void json_violate_unknown_key(struct json_parser *parser, const struct json_path *path,
                              const struct schema_message *message, struct str key)
{
    const char *nearest = NULL;
    struct json_path at = {path, key.data, key.length, JSON_KEY_DOTTED};

    if (is_full(parser))
        return;
    nearest = nearest_name(message, key);
    if (nearest)
        json_violate(parser, &at, "unknown key; did you mean \"%s\"?", nearest);
    else
        json_violate(parser, &at, "unknown key");
}

/* Wrong values */

static void describe_integer(const struct schema_field *field, char *out, size_t size)
{
    bool is_unsigned = field->type == SCHEMA_UINT32 || field->type == SCHEMA_UINT64 ||
                       field->type == SCHEMA_FIXED32 || field->type == SCHEMA_FIXED64;
    bool is_long = field->type == SCHEMA_UINT64 || field->type == SCHEMA_FIXED64 ||
                   field->type == SCHEMA_INT64 || field->type == SCHEMA_SFIXED64 ||
                   field->type == SCHEMA_SINT64;
    unsigned places = field->rules.decimal_places;
    char low[JSON_NUMBER_TEXT_SIZE], high[JSON_NUMBER_TEXT_SIZE];
    size_t low_length, high_length;

    if (is_unsigned) {
        low_length = json_number_put_uint64(0, low);
        high_length = json_number_put_uint64(is_long ? UINT64_MAX : UINT32_MAX, high);
    } else {
        low_length = json_number_put_decimal(is_long ? INT64_MIN : INT32_MIN, places, low);
        high_length = json_number_put_decimal(is_long ? INT64_MAX : INT32_MAX, places, high);
    }
    if (places)
        snprintf(out, size, "a number between %.*s and %.*s with at most %u decimals",
                 (int)low_length, low, (int)high_length, high, places);
    else
        snprintf(out, size, "an integer between %.*s and %.*s", (int)low_length, low,
                 (int)high_length, high);
}

/* "one of linear, graph"; what is too long ends in "…". */
static void describe_enum(const struct schema_enum *enumeration, char *out, size_t size)
{
    int length = snprintf(out, size, "one of ");
    bool first = true;

    for (size_t i = 0; i < enumeration->value_count; i++) {
        const char *word = enumeration->values[i].word;

        if (enumeration->values[i].number == 0 && !strcmp(word, "unspecified"))
            continue;
        if ((size_t)length + strlen(word) + 8 > size) {
            snprintf(out + length, size - (size_t)length, ", …");
            return;
        }
        length += snprintf(out + length, size - (size_t)length, "%s%s", first ? "" : ", ", word);
        first = false;
    }
}

static void describe_message(const struct schema_message *message, char *out, size_t size)
{
    static const char *const texts[] = {
        [SCHEMA_TIMESTAMP] = "an RFC 3339 time such as \"2026-01-17T09:30:00Z\"",
        [SCHEMA_DURATION] = "a duration in seconds such as \"1.5s\"",
        [SCHEMA_LIST_VALUE] = "an array",
        [SCHEMA_VALUE] = "a JSON value of finite numbers",
        [SCHEMA_FIELD_MASK] = "field names joined by commas such as \"name,isActive\"",
    };
    const char *text = (size_t)message->well_known < sizeof(texts) / sizeof(texts[0])
                           ? texts[message->well_known]
                           : NULL;

    snprintf(out, size, "%s", text ? text : "an object");
}

static void describe_field(const struct schema_field *field, char *out, size_t size)
{
    switch (field->type) {
    case SCHEMA_STRING:
        snprintf(out, size, "a string");
        break;
    case SCHEMA_BYTES:
        snprintf(out, size, "a base64 string");
        break;
    case SCHEMA_BOOL:
        snprintf(out, size, "true or false");
        break;
    case SCHEMA_DOUBLE:
    case SCHEMA_FLOAT:
        snprintf(out, size, "a number");
        break;
    case SCHEMA_ENUM:
        describe_enum(field->enumeration, out, size);
        break;
    case SCHEMA_MESSAGE:
        describe_message(field->message, out, size);
        break;
    default:
        describe_integer(field, out, size);
        break;
    }
}

void json_violate_value(struct json_parser *parser, const struct json_path *path,
                        const struct schema_field *field, const char *got)
{
    char expectation[300];

    if (is_full(parser))
        return;
    describe_field(field, expectation, sizeof(expectation));
    json_violate(parser, path, "must be %s%s got %s", expectation,
                 field->type == SCHEMA_ENUM ? ";" : ",", got);
}

const char *json_quote(struct str text, char out[JSON_GOT_SIZE])
{
    size_t length = cut(text, JSON_GOT_SIZE - 8);

    snprintf(out, JSON_GOT_SIZE, "\"%.*s%s\"", (int)length, text.data,
             length < text.length ? "…" : "");
    return out;
}

const char *json_describe_token(const struct json_parser *parser, bool exact,
                                char out[JSON_GOT_SIZE])
{
    const char *at = parser->at;
    struct json_parser copy;
    struct str text;
    bool escaped;

    switch (*at) {
    case '{':
        return "object";
    case '[':
        return "array";
    case 't':
    case 'f':
        return "boolean";
    case 'n':
        return "null";
    case '"':
        if (!exact)
            return "string";
        copy = (struct json_parser){.start = parser->start, .at = at, .end = parser->end};
        return json_scan_string(&copy, &text, &escaped) ? json_quote(text, out) : "string";
    default:
        break;
    }
    size_t size = exact ? json_number_size(at, parser->end) : 0;

    if (!size)
        return "number";
    text = (struct str){at, size < JSON_GOT_SIZE - 8 ? size : JSON_GOT_SIZE - 8};
    snprintf(out, JSON_GOT_SIZE, "%.*s%s", (int)text.length, text.data,
             text.length < size ? "…" : "");
    return out;
}
