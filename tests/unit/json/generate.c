#include "generate.h"

#include "base/wire.h"

#include <math.h>
#include <stdio.h>

#define DEEPEST 6

static uint64_t roll(struct entropy *entropy, uint64_t sides)
{
    return entropy_uint64(entropy) % sides;
}

static void put_text(struct entropy *entropy, struct buf *out)
{
    static const char *const pieces[] = {"a", "Z9", " ", "\"",     "\\", "\n", "\x01",
                                         "/", "é",  "ж", "Привет", "中", "😀",  "0123456789abcdef"};
    size_t count = roll(entropy, 10) ? roll(entropy, 6) : roll(entropy, 60);

    while (count--)
        buf_put_cstr(out, pieces[roll(entropy, sizeof(pieces) / sizeof(pieces[0]))]);
}

static uint64_t random_integer(struct entropy *entropy)
{
    uint64_t value = entropy_uint64(entropy) >> roll(entropy, 64);

    return roll(entropy, 3) ? value : 0 - value;
}

static double random_double(struct entropy *entropy)
{
    uint64_t bits = entropy_uint64(entropy);
    double value;

    if (roll(entropy, 2))
        return (double)(int64_t)(bits % 200001) / 100 - 1000;
    memcpy(&value, &bits, sizeof(value));
    return isfinite(value) ? value : -0.0;
}

/* The integer or float of a type as its bits on the wire. */
static uint64_t random_bits(struct entropy *entropy, const struct schema_field *field)
{
    uint64_t value = random_integer(entropy);
    double number = random_double(entropy);
    float single = (float)((double)roll(entropy, 1000) / 8);
    uint32_t low;

    switch (field->type) {
    case SCHEMA_BOOL:
        return value & 1;
    case SCHEMA_ENUM:
        return (uint64_t)(int64_t)field->enumeration
            ->values[roll(entropy, field->enumeration->value_count)]
            .number;
    case SCHEMA_INT32:
        return (uint64_t)(int64_t)(int32_t)value;
    case SCHEMA_UINT32:
    case SCHEMA_SINT32:
    case SCHEMA_FIXED32:
    case SCHEMA_SFIXED32:
        return (uint32_t)value;
    case SCHEMA_DOUBLE:
        memcpy(&value, &number, sizeof(value));
        return value;
    case SCHEMA_FLOAT:
        memcpy(&low, &single, sizeof(low));
        return low;
    default:
        return value;
    }
}

static unsigned wire_type(const struct schema_field *field)
{
    switch (field->type) {
    case SCHEMA_DOUBLE:
    case SCHEMA_FIXED64:
    case SCHEMA_SFIXED64:
        return 1;
    case SCHEMA_FLOAT:
    case SCHEMA_FIXED32:
    case SCHEMA_SFIXED32:
        return 5;
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_MESSAGE:
        return 2;
    default:
        return 0;
    }
}

static void put_bits(struct buf *out, unsigned type, uint64_t bits)
{
    if (type == 0)
        wire_put_varint(out, bits);
    else
        buf_put(out, &bits, type == 1 ? 8 : 4);
}

static void put_times(const struct schema_message *message, struct entropy *entropy,
                      struct buf *out)
{
    bool timestamp = message->well_known == SCHEMA_TIMESTAMP;
    int64_t seconds = timestamp
                          ? INT64_C(-62135596800) + (int64_t)roll(entropy, UINT64_C(315537897600))
                          : (int64_t)roll(entropy, UINT64_C(631152000000)) - INT64_C(315576000000);
    int32_t nanos = (int32_t)roll(entropy, 1000000000);

    /* To the microsecond: what contract text keeps. */
    nanos -= nanos % (roll(entropy, 2) ? 1000 : 1000000);
    if (!timestamp && seconds < 0)
        nanos = -nanos;
    wire_put_tag(out, 1, 0);
    wire_put_varint(out, (uint64_t)seconds);
    wire_put_tag(out, 2, 0);
    wire_put_varint(out, (uint64_t)(int64_t)nanos);
}

static void put_any(const struct schema *schema, struct entropy *entropy, unsigned depth,
                    struct buf *out)
{
    const struct schema_message *type = &schema->messages[roll(entropy, schema->message_count)];
    struct buf value = {0};
    char url[300];

    if (type->map_entry)
        return;
    snprintf(url, sizeof(url), "type.googleapis.com/%s", type->full_name);
    generate_message(schema, type, entropy, depth + 1, &value);
    wire_put_bytes(out, 1, str_from(url));
    wire_put_bytes(out, 2, buf_str(&value));
    buf_done(&value);
}

static void put_value(const struct schema *schema, const struct schema_field *field,
                      struct entropy *entropy, unsigned depth, struct buf *out)
{
    struct buf inner = {0};

    wire_put_tag(out, field->number, wire_type(field));
    if (wire_type(field) != 2) {
        put_bits(out, wire_type(field), random_bits(entropy, field));
        return;
    }
    if (field->type == SCHEMA_MESSAGE) {
        generate_message(schema, field->message, entropy, depth + 1, &inner);
    } else if (field->type == SCHEMA_STRING) {
        put_text(entropy, &inner);
    } else {
        for (uint64_t i = roll(entropy, 9); i > 0; i--)
            buf_put_char(&inner, (char)roll(entropy, 256));
    }
    wire_put_varint(out, inner.length);
    buf_put_str(out, buf_str(&inner));
    buf_done(&inner);
}

static void put_repeated(const struct schema *schema, const struct schema_field *field,
                         struct entropy *entropy, unsigned depth, struct buf *out)
{
    uint64_t count = roll(entropy, 6) ? roll(entropy, 4) : roll(entropy, 40);
    bool packed = wire_type(field) != 2 && roll(entropy, 2);
    struct buf inner = {0};

    if (depth > 2 && count > 2)
        count = 2;
    for (; count; count--) {
        if (packed)
            put_bits(&inner, wire_type(field), random_bits(entropy, field));
        else
            put_value(schema, field, entropy, depth, out);
    }
    if (packed)
        wire_put_bytes(out, field->number, buf_str(&inner));
    buf_done(&inner);
}

void generate_message(const struct schema *schema, const struct schema_message *message,
                      struct entropy *entropy, unsigned depth, struct buf *out)
{
    switch (message->well_known) {
    case SCHEMA_TIMESTAMP:
    case SCHEMA_DURATION:
        put_times(message, entropy, out);
        return;
    case SCHEMA_FIELD_MASK:
        for (uint64_t i = roll(entropy, 3); i > 0; i--)
            wire_put_bytes(out, 1, i == 1 ? STR_LITERAL("is_active") : STR_LITERAL("config.llm"));
        return;
    case SCHEMA_ANY:
        if (depth < DEEPEST)
            put_any(schema, entropy, depth, out);
        return;
    case SCHEMA_VALUE: {
        /* Scalars where it is deep enough. */
        uint64_t kind = roll(entropy, depth < DEEPEST ? 6 : 4);

        put_value(schema, &message->fields[kind], entropy, depth, out);
        return;
    }
    default:
        break;
    }
    for (size_t i = 0; i < message->field_count; i++) {
        const struct schema_field *field = &message->fields[i];
        bool recursive = field->type == SCHEMA_MESSAGE;
        /* A field in three at the top, fewer below: messages that hold each other must end. */
        bool wanted = roll(entropy, message->map_entry ? 1 : recursive ? 2 + depth : 3) == 0;

        if (field->output_only || !wanted || (recursive && depth >= DEEPEST && !message->map_entry))
            continue;
        if (field->repeated)
            put_repeated(schema, field, entropy, depth, out);
        else
            put_value(schema, field, entropy, depth, out);
    }
}
