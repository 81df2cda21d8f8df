/* One value against the rules of its field, and what to tell people when it breaks one. */
#include "internal.h"

#include "base/buf.h"
#include "base/decimal.h"

#include <math.h>
#include <stdio.h>

#define QUOTED_CHARACTERS 40

uint64_t value_from_wire(enum schema_type type, uint64_t bits)
{
    switch (type) {
    case SCHEMA_INT32:
    case SCHEMA_SFIXED32:
    case SCHEMA_ENUM:
        return (uint64_t)(int64_t)(int32_t)(uint32_t)bits;
    case SCHEMA_UINT32:
    case SCHEMA_FIXED32:
    case SCHEMA_FLOAT:
        return (uint32_t)bits;
    case SCHEMA_SINT32: {
        uint32_t low = (uint32_t)bits;

        return (uint64_t)(int64_t)(int32_t)((low >> 1) ^ (0 - (low & 1)));
    }
    case SCHEMA_SINT64:
        return (bits >> 1) ^ (0 - (bits & 1));
    case SCHEMA_BOOL:
        return bits != 0;
    default:
        return bits;
    }
}

static bool is_unsigned(enum schema_type type)
{
    return type == SCHEMA_UINT64 || type == SCHEMA_FIXED64 || type == SCHEMA_UINT32 ||
           type == SCHEMA_FIXED32;
}

static double as_double(enum schema_type type, uint64_t bits)
{
    double wide;
    float narrow;
    uint32_t low = (uint32_t)bits;

    switch (type) {
    case SCHEMA_DOUBLE:
        memcpy(&wide, &bits, sizeof(wide));
        return wide;
    case SCHEMA_FLOAT:
        memcpy(&narrow, &low, sizeof(narrow));
        return (double)narrow;
    default:
        return is_unsigned(type) ? (double)bits : (double)(int64_t)bits;
    }
}

/* White space beyond ASCII that people paste: no-break, the typographic spaces, line and paragraph
 * separators, ideographic. */
static size_t space_size(struct str text)
{
    const unsigned char *c = (const unsigned char *)text.data;

    if (c[0] == ' ' || (c[0] >= '\t' && c[0] <= '\r'))
        return 1;
    if (text.length >= 2 && c[0] == 0xC2 && (c[1] == 0x85 || c[1] == 0xA0))
        return 2;
    if (text.length < 3)
        return 0;
    if (c[0] == 0xE2 && c[1] == 0x80 &&
        ((c[2] >= 0x80 && c[2] <= 0x8B) || c[2] == 0xA8 || c[2] == 0xA9 || c[2] == 0xAF))
        return 3;
    if ((c[0] == 0xE2 && c[1] == 0x81 && c[2] == 0x9F) ||
        (c[0] == 0xE3 && c[1] == 0x80 && c[2] == 0x80) ||
        (c[0] == 0xEF && c[1] == 0xBB && c[2] == 0xBF))
        return 3;
    return 0;
}

static bool is_blank(struct str text)
{
    while (text.length) {
        size_t size = space_size(text);

        if (!size)
            return false;
        text.data += size;
        text.length -= size;
    }
    return true;
}

/* Code points of a string, bytes of bytes. */
static size_t length_of(const struct schema_field *field, struct str value)
{
    return field->type == SCHEMA_STRING ? utf8_count(value.data, value.length) : value.length;
}

static bool has_nul(const struct schema_field *field, struct str value)
{
    return field->type == SCHEMA_STRING && value.length && memchr(value.data, 0, value.length);
}

static bool is_too_short(const struct schema_field *field, struct str value)
{
    uint32_t least = field->rules.min_length;

    /* A character has at most four bytes: only a text shorter than that in bytes is counted. */
    return least && value.length / 4 < least && length_of(field, value) < least;
}

static bool is_too_long(const struct schema_field *field, struct str value)
{
    uint32_t most = field->rules.max_length;

    return most && value.length > most && length_of(field, value) > most;
}

static bool is_outside(const struct schema_field *field, uint64_t bits)
{
    const struct schema_rules *rules = &field->rules;

    if (!rules->has_minimum && !rules->has_maximum)
        return false;
    double number = as_double(field->type, bits);

    /* Written so that NaN is outside. */
    return (rules->has_minimum && !(number >= rules->minimum)) ||
           (rules->has_maximum && !(number <= rules->maximum));
}

static bool text_keeps_rules(const struct schema_field *field, struct str value)
{
    const struct schema_rules *rules = &field->rules;

    return !has_nul(field, value) && !(rules->not_blank && is_blank(value)) &&
           !is_too_short(field, value) && !is_too_long(field, value) &&
           (!rules->format || schema_format_info(rules->format)->is_valid(value));
}

bool value_keeps_rules(const struct schema_message *owner, const struct schema_field *field,
                       union wire_value value)
{
    switch (field->type) {
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        return text_keeps_rules(field, value.bytes);
    case SCHEMA_ENUM:
        return schema_find_enum_number(field->enumeration, (int32_t)(int64_t)value.bits) != NULL;
    case SCHEMA_MESSAGE:
    case SCHEMA_BOOL:
        return true;
    default:
        if (owner->well_known == SCHEMA_VALUE && field->type == SCHEMA_DOUBLE &&
            !isfinite(as_double(SCHEMA_DOUBLE, value.bits)))
            return false;
        return !is_outside(field, value.bits);
    }
}

void quote_text(struct str text, char *out, size_t size)
{
    struct buf quoted;
    size_t length = 0;

    for (size_t characters = 0; length < text.length; length++) {
        if (((unsigned char)text.data[length] & 0xC0) != 0x80 && ++characters > QUOTED_CHARACTERS)
            break;
    }
    buf_init(&quoted, 0);
    buf_put_json_string(&quoted, (struct str){text.data, length});
    if (quoted.failed)
        snprintf(out, size, "\"…\"");
    else if (length < text.length)
        snprintf(out, size, "%.*s…\"", (int)quoted.length - 1, quoted.data);
    else
        snprintf(out, size, "%.*s", (int)quoted.length, quoted.data);
    buf_done(&quoted);
}

/* A number as JSON shows it. */
static void format_number(const struct schema_field *field, uint64_t bits, char *out, size_t size)
{
    double number;
    char text[DECIMAL_TEXT_SIZE];

    if (type_is_integer(field->type)) {
        if (field->rules.decimal_places) {
            decimal_format((int64_t)bits, field->rules.decimal_places, text);
            snprintf(out, size, "%s", text);
        } else if (is_unsigned(field->type)) {
            snprintf(out, size, "%llu", (unsigned long long)bits);
        } else {
            snprintf(out, size, "%lld", (long long)bits);
        }
        return;
    }
    number = as_double(field->type, bits);
    if (isnan(number))
        snprintf(out, size, "NaN");
    else if (isinf(number))
        snprintf(out, size, number < 0 ? "-Infinity" : "Infinity");
    else
        snprintf(out, size, "%.*g", field->type == SCHEMA_FLOAT ? 7 : 15, number);
}

/* Bounds are written in the unit of the wire, and shown in the unit of JSON. */
static void format_bound(const struct schema_field *field, double bound, char *out, size_t size)
{
    if (field->rules.decimal_places && fabs(bound) < 9e18)
        format_number(field, (uint64_t)(int64_t)bound, out, size);
    else
        snprintf(out, size, "%.15g", bound);
}

static void describe_range(const struct schema_field *field, uint64_t bits, char *out, size_t size)
{
    const struct schema_rules *rules = &field->rules;
    char got[48], least[48], most[48];

    format_number(field, bits, got, sizeof(got));
    format_bound(field, rules->minimum, least, sizeof(least));
    format_bound(field, rules->maximum, most, sizeof(most));
    if (rules->has_minimum && rules->has_maximum)
        snprintf(out, size, "must be between %s and %s, got %s", least, most, got);
    else if (rules->has_minimum)
        snprintf(out, size, "must be at least %s, got %s", least, got);
    else
        snprintf(out, size, "must be at most %s, got %s", most, got);
}

static void describe_length(const struct schema_field *field, struct str value, char *out,
                            size_t size)
{
    bool short_of = is_too_short(field, value);
    uint32_t bound = short_of ? field->rules.min_length : field->rules.max_length;
    const char *unit = field->type == SCHEMA_STRING ? "character" : "byte";

    snprintf(out, size, "must be at %s %u %s%s, got %zu", short_of ? "least" : "most", bound, unit,
             bound == 1 ? "" : "s", length_of(field, value));
}

static void describe_enum(const struct schema_field *field, uint64_t bits, char *out, size_t size)
{
    const struct schema_enum *enumeration = field->enumeration;
    struct buf text;
    bool first = true;

    buf_init(&text, 0);
    for (size_t i = 0; i < enumeration->value_count; i++) {
        const struct schema_enum_value *value = &enumeration->values[i];

        if (value->number == 0 && strcmp(value->word, "unspecified") == 0)
            continue; /* proto3's word for "absent" is not a choice */
        buf_printf(&text, "%s%s", first ? "" : ", ", value->word);
        first = false;
    }
    snprintf(out, size, "must be one of %.*s, got %d", (int)text.length, text.data ? text.data : "",
             (int)(int64_t)bits);
    buf_done(&text);
}

static void describe_text(const struct schema_field *field, struct str value, char *out,
                          size_t size)
{
    const struct schema_rules *rules = &field->rules;
    char quoted[6 * QUOTED_CHARACTERS + 16];

    if (has_nul(field, value)) {
        snprintf(out, size, "must not contain the character U+0000");
    } else if (rules->not_blank && is_blank(value)) {
        snprintf(out, size, "must not be blank");
    } else if (is_too_short(field, value) || is_too_long(field, value)) {
        describe_length(field, value, out, size);
    } else {
        quote_text(value, quoted, sizeof(quoted));
        if (rules->format == SCHEMA_FORMAT_TIME_ZONE)
            snprintf(out, size, "unknown time zone %s", quoted);
        else if (rules->format)
            snprintf(out, size, "must be %s, got %s",
                     schema_format_info(rules->format)->expectation, quoted);
        else
            snprintf(out, size, "is not valid");
    }
}

void value_describe_failure(const struct schema_message *owner, const struct schema_field *field,
                            union wire_value value, char *out, size_t size)
{
    switch (field->type) {
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        describe_text(field, value.bytes, out, size);
        return;
    case SCHEMA_ENUM:
        describe_enum(field, value.bits, out, size);
        return;
    default:
        if (owner->well_known == SCHEMA_VALUE)
            snprintf(out, size, "must be a finite number");
        else
            describe_range(field, value.bits, out, size);
    }
}

/* Years 0001 to 9999, as RFC 3339 and JSON can write them. */
bool timestamp_is_valid(int64_t seconds, int32_t nanos)
{
    return seconds >= INT64_C(-62135596800) && seconds <= INT64_C(253402300799) && nanos >= 0 &&
           nanos <= 999999999;
}

/* About 10,000 years either way; both parts of one sign (duration.proto). */
bool duration_is_valid(int64_t seconds, int32_t nanos)
{
    return seconds >= INT64_C(-315576000000) && seconds <= INT64_C(315576000000) &&
           nanos >= -999999999 && nanos <= 999999999 && !(seconds > 0 && nanos < 0) &&
           !(seconds < 0 && nanos > 0);
}
