/* Personal data on its way to those who may not see it: a message is written again with what its
 * fields' `personal` says. Nothing else changes, unknown fields included. */
#include "internal.h"

#include "base/mask.h"
#include "base/wire.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define STRUCT_KEY 1   /* of an entry of google.protobuf.Struct.fields */
#define VALUE_NUMBER 2 /* of google.protobuf.Value */
#define VALUE_STRING 3

static void put_text(struct buf *out, uint32_t number, enum schema_personal personal,
                     struct str text, size_t limit)
{
    struct buf masked;

    buf_init(&masked, limit);
    if (personal == SCHEMA_PERSONAL_PHONE)
        mask_phone(&masked, text);
    else
        mask_phones_in_text(&masked, text);
    if (masked.failed)
        out->failed = true;
    else
        wire_put_bytes(out, number, buf_str(&masked));
    buf_done(&masked);
}

/* A phone number that somebody has given as a number is text afterwards: it has dots. */
static bool put_number(struct buf *out, uint64_t bits, size_t limit)
{
    char text[32];
    double value;

    memcpy(&value, &bits, sizeof(value));
    if (!(value >= 1e6 && value < 1e16 && floor(value) == value))
        return false;
    snprintf(text, sizeof(text), "%.0f", value);
    put_text(out, VALUE_STRING, SCHEMA_PERSONAL_TEXT, str_from(text), limit);
    return true;
}

/* `inside`: the message is free-form and of a personal field: all its texts are. */
static bool mask(const struct schema_message *message, struct str wire, bool inside,
                 struct buf *out)
{
    struct wire_reader reader;

    wire_reader_init(&reader, wire);
    for (;;) {
        const uint8_t *start = reader.at;

        if (!wire_reader_next(&reader))
            return !reader.malformed && !out->failed;
        const struct schema_field *field = schema_find_field_by_number(message, reader.number);
        enum schema_personal personal = field ? field->personal : SCHEMA_NOT_PERSONAL;
        bool is_key = message->map_entry && reader.number == STRUCT_KEY;

        if (field && field->type == SCHEMA_MESSAGE && reader.type == 2 &&
            (inside || personal || field->message->carries_personal)) {
            struct buf child;

            buf_init(&child, out->limit);
            bool ok = mask(field->message, reader.bytes, inside || personal, &child);

            if (ok)
                wire_put_bytes(out, reader.number, buf_str(&child));
            buf_done(&child);
            if (!ok)
                return false;
        } else if (field && field->type == SCHEMA_STRING && reader.type == 2 && !is_key &&
                   (inside || personal)) {
            put_text(out, reader.number, inside ? SCHEMA_PERSONAL_TEXT : personal, reader.bytes,
                     out->limit);
        } else if (!(inside && message->well_known == SCHEMA_VALUE &&
                     reader.number == VALUE_NUMBER && reader.type == 1 &&
                     put_number(out, reader.integer, out->limit))) {
            buf_put(out, start, (size_t)(reader.at - start));
        }
    }
}

bool schema_mask(const struct schema_message *message, struct str wire, struct buf *out)
{
    return mask(message, wire, false, out);
}

/* A message carries what its fields do; they may be of its own type, so it is asked until nothing
 * is new. */
void note_personal(struct schema *schema)
{
    bool is_new;

    do {
        is_new = false;
        for (size_t i = 0; i < schema->message_count; i++) {
            struct schema_message *message = &schema->messages[i];

            for (size_t k = 0; k < message->field_count && !message->carries_personal; k++) {
                const struct schema_field *field = &message->fields[k];

                if (field->personal || (field->message && field->message->carries_personal))
                    message->carries_personal = is_new = true;
            }
        }
    } while (is_new);
}
