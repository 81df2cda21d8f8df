/* The output side of json_parse. A submessage's length stands before its content but is known after
 * it. One byte is kept for each; a length that needs more is remembered, and all of these are put
 * in at the end in one pass from the back, in which every byte moves at most once. So lengths cost
 * O(size of the wire) in all, however deep or wide a hostile body is (shifting at each level would
 * be O(depth × size)). A length counts the bytes by which the lengths inside it will still grow. */
#include "json/keys.h"
#include "json/parse_internal.h"

#include <stdlib.h>

static size_t varint_size(uint64_t value)
{
    size_t size = 1;

    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

void json_parser_init(struct json_parser *parser, struct str text, struct buf *out,
                      struct violations *violations, struct err *err)
{
    const char *start = text.data ? text.data : "";

    /* Not all of it: the inline arrays need no clearing. */
    memset(parser, 0, offsetof(struct json_parser, inline_frames));
    parser->start = parser->at = start;
    parser->end = start + text.length;
    parser->out = out;
    parser->violations = violations;
    parser->err = err;
    parser->depth_limit = SCHEMA_DEPTH_LIMIT;
    parser->reread_left = (size_t)64 * 1024 + 4 * text.length;
    parser->frames = parser->inline_frames;
    parser->frame_capacity = JSON_INLINE_FRAMES;
    parser->keys = parser->inline_keys;
    parser->key_capacity = JSON_INLINE_KEYS;
}

void json_parser_done(struct json_parser *parser)
{
    if (parser->frames != parser->inline_frames)
        free(parser->frames);
    if (parser->keys != parser->inline_keys)
        free(parser->keys);
}

/* Doubles an array that began inside the parser. */
static void *grow(struct json_parser *parser, void *array, const void *inline_array, size_t size,
                  size_t *capacity)
{
    size_t doubled = *capacity * 2;
    void *larger = array == inline_array ? malloc(doubled * size) : realloc(array, doubled * size);

    if (!larger) {
        json_no_memory(parser);
        return NULL;
    }
    if (array == inline_array)
        memcpy(larger, array, *capacity * size);
    *capacity = doubled;
    return larger;
}

bool json_open_slow(struct json_parser *parser)
{
    struct json_frame *frames = grow(parser, parser->frames, parser->inline_frames, sizeof(*frames),
                                     &parser->frame_capacity);

    if (!frames)
        return false;
    parser->frames = frames;
    return true;
}

void json_close(struct json_parser *parser, size_t frame, size_t extra)
{
    struct json_frame *closed = &parser->frames[frame];

    closed->length = parser->out->length - closed->start + (parser->extra - extra);
    if (closed->length < 0x80) {
        /* Nothing inside it can be larger: it is the last frame. */
        parser->out->data[closed->start - 1] = (char)closed->length;
        parser->frame_count = frame;
        return;
    }
    parser->extra += varint_size(closed->length) - 1;
}

bool json_finish(struct json_parser *parser)
{
    struct buf *out = parser->out;
    size_t from = out->length, to = out->length + parser->extra;

    if (parser->extra == 0)
        return true;
    if (!json_room(out, parser->extra))
        return false;
    out->length = to;
    for (size_t i = parser->frame_count; i > 0; i--) {
        const struct json_frame *frame = &parser->frames[i - 1];
        size_t size = from - frame->start;

        memmove(out->data + to - size, out->data + frame->start, size);
        to -= size + varint_size(frame->length);
        from = frame->start - 1;
        json_encode_varint(out->data + to, frame->length);
    }
    return true;
}

bool json_put_varint(struct json_parser *parser, uint64_t value)
{
    char *room = json_room(parser->out, 10);

    if (!room)
        return false;
    parser->out->length += (size_t)(json_encode_varint(room, value) - room);
    return true;
}

bool json_put_text(struct json_parser *parser, uint32_t field, struct str raw, bool escaped)
{
    char *room = json_room(parser->out, raw.length + 10);

    if (!room)
        return false;
    char *at = field ? json_encode_varint(room, (uint64_t)field << 3 | 2) : room;

    if (!escaped) {
        at = json_encode_varint(at, raw.length);
        if (raw.length)
            memcpy(at, raw.data, raw.length);
        at += raw.length;
    } else {
        /* Decoded text is shorter than its escapes; its length may then need fewer bytes. */
        char *guess = at + varint_size(raw.length);
        size_t length = json_unescape(raw, guess);

        at = json_encode_varint(at, length);
        if (at != guess)
            memmove(at, guess, length);
        at += length;
    }
    parser->out->length += (size_t)(at - room);
    return true;
}

bool json_remember_key(struct json_parser *parser, struct json_seen_key key)
{
    if (parser->key_count == parser->key_capacity) {
        struct json_seen_key *keys =
            grow(parser, parser->keys, parser->inline_keys, sizeof(*keys), &parser->key_capacity);

        if (!keys)
            return false;
        parser->keys = keys;
    }
    parser->keys[parser->key_count++] = key;
    return true;
}

static void report_repeated(struct json_parser *parser, const struct json_path *path,
                            const struct json_seen_key *seen, size_t count, struct json_key *keys,
                            bool *repeated, enum json_key_style style)
{
    for (size_t i = 0; i < count; i++)
        keys[i] = (struct json_key){.data = parser->out->data + seen[i].wire_at,
                                    .length = seen[i].wire_length};
    if (json_keys_find_repeated(keys, count, false, repeated) == 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (repeated[i]) {
            struct json_path at = {path, parser->start + seen[i].text_at, seen[i].text_length,
                                   style};

            json_violate(parser, &at, "duplicate key");
        }
}

bool json_check_keys(struct json_parser *parser, const struct json_path *path, size_t first,
                     enum json_key_style style)
{
    const struct json_seen_key *seen = parser->keys + first;
    size_t count = parser->key_count - first;

    parser->key_count = first;
    if (count <= 1)
        return true;
    if (count <= JSON_KEYS_SMALL) {
        struct json_key keys[JSON_KEYS_SMALL];
        bool repeated[JSON_KEYS_SMALL];

        report_repeated(parser, path, seen, count, keys, repeated, style);
        return true;
    }
    struct json_key *keys = malloc(count * (sizeof(*keys) + sizeof(bool)));

    if (!keys)
        return json_no_memory(parser);
    report_repeated(parser, path, seen, count, keys, (bool *)(keys + count), style);
    free(keys);
    return true;
}
