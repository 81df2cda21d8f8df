/* A message whose singular messages come in several pieces, written again with one piece each.
 * Other parsers merge the pieces themselves; protobuf-c 1.4 tries to and fails wherever a member of
 * a oneof (and so any proto3 `optional`) is unset in both. Rare: only what such a client sends
 * comes here. */
#include "internal.h"

#include "base/wire.h"

#include <stdlib.h>

/* The pieces of one singular message. */
struct pieces {
    struct str *list;
    size_t count, capacity;
};

static bool join(const struct schema_message *message, const struct str *list, size_t count,
                 struct buf *out);

static bool add_piece(struct pieces *pieces, struct str piece)
{
    if (pieces->count == pieces->capacity) {
        size_t capacity = pieces->capacity ? 2 * pieces->capacity : 2;
        struct str *list = realloc(pieces->list, capacity * sizeof(*list));

        if (!list)
            return false;
        pieces->list = list;
        pieces->capacity = capacity;
    }
    pieces->list[pieces->count++] = piece;
    return true;
}

/* The last member of a oneof wins: what came of the others is dropped. */
static void forget_other_members(const struct schema_message *message,
                                 const struct schema_field *field, struct pieces *pieces)
{
    for (size_t i = 0; field->oneof >= 0 && i < message->field_count; i++)
        if (message->fields[i].oneof == field->oneof && &message->fields[i] != field)
            pieces[i].count = 0;
}

static bool put_joined(const struct schema_field *field, const struct str *list, size_t count,
                       struct buf *out)
{
    struct buf child;

    buf_init(&child, out->limit);
    bool ok = join(field->message, list, count, &child);

    if (ok)
        wire_put_bytes(out, field->number, buf_str(&child));
    buf_done(&child);
    return ok && !out->failed;
}

/* Copies one piece's fields, but sets singular messages aside. */
static bool scan(const struct schema_message *message, struct str piece, struct pieces *pieces,
                 struct buf *out)
{
    struct wire_reader reader;

    wire_reader_init(&reader, piece);
    for (;;) {
        const uint8_t *start = reader.at;

        if (!wire_reader_next(&reader))
            return !reader.malformed;
        const struct schema_field *field = schema_find_field_by_number(message, reader.number);
        bool is_message = field && field->type == SCHEMA_MESSAGE && reader.type == 2;
        bool ok = true;

        if (field)
            forget_other_members(message, field, pieces);
        if (is_message && !field->repeated)
            ok = add_piece(&pieces[field - message->fields], reader.bytes);
        else if (is_message)
            ok = put_joined(field, &reader.bytes, 1, out);
        else
            buf_put(out, start, (size_t)(reader.at - start));
        if (!ok)
            return false;
    }
}

static bool join(const struct schema_message *message, const struct str *list, size_t count,
                 struct buf *out)
{
    struct pieces *pieces = calloc(message->field_count + 1, sizeof(*pieces));
    bool ok = pieces != NULL;

    for (size_t i = 0; ok && i < count; i++)
        ok = scan(message, list[i], pieces, out);
    /* Singular messages go to the end: of a oneof they are then the last member, as they were. */
    for (size_t i = 0; ok && i < message->field_count; i++)
        if (pieces[i].count)
            ok = put_joined(&message->fields[i], pieces[i].list, pieces[i].count, out);
    for (size_t i = 0; pieces && i < message->field_count; i++)
        free(pieces[i].list);
    free(pieces);
    return ok && !out->failed;
}

bool schema_join_pieces(const struct schema_message *message, struct str wire, struct buf *out)
{
    return join(message, &wire, 1, out);
}
