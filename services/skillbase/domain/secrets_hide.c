/* Hiding, on the wire: configurations are stored as their bytes and sent as they are, so what hides
 * nothing costs one look at the tools' keys and no object. */
#include "domain/secrets.h"

#include "base/wire.h"

#include <string.h>

/* Field numbers (skillbase.proto, google/protobuf/struct.proto). */
enum { CONFIG_TOOLS = 4, TOOL_CONFIG = 2, STRUCT_FIELDS = 1, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { VALUE_NULL = 1, VALUE_STRING = 3, VALUE_STRUCT = 5, VALUE_LIST = 6, LIST_VALUES = 1 };
enum { WIRE_BYTES = 2 };

/* Free-form objects end at 32 levels; each is a Struct, an entry and a Value. */
#define DEPTH_LIMIT 150

struct hiding {
    const struct secret_names *names;
    struct buf *out; /* NULL: only look */
    bool found;
    bool is_broken;
};

static void hide_value(struct hiding *hiding, struct str wire, unsigned depth);

/* What a map entry says: the last of each, as parsers have it. */
struct entry {
    struct str key, value; /* value: a serialized Value */
};

static bool read_entry(struct str wire, struct entry *ret_entry)
{
    struct wire_reader reader;

    *ret_entry = (struct entry){{"", 0}, {"", 0}};
    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (reader.type != WIRE_BYTES)
            continue;
        if (reader.number == ENTRY_KEY)
            ret_entry->key = reader.bytes;
        else if (reader.number == ENTRY_VALUE)
            ret_entry->value = reader.bytes;
    }
    return !reader.malformed;
}

/* null, "", {} and [] hide nothing. Numbers and bools are no emptier for being 0. */
static bool is_empty(struct str value)
{
    struct wire_reader reader;
    bool is_empty = true;

    wire_reader_init(&reader, value);
    while (wire_reader_next(&reader))
        is_empty = is_empty && (reader.number == VALUE_NULL ||
                                (reader.type == WIRE_BYTES && reader.bytes.length == 0));
    return is_empty && !reader.malformed;
}

/* Of a Value that is a string: the string; data NULL otherwise. */
static struct str string_of(struct str value)
{
    struct wire_reader reader;
    struct str text = {NULL, 0};

    wire_reader_init(&reader, value);
    while (wire_reader_next(&reader))
        if (reader.number == VALUE_STRING && reader.type == WIRE_BYTES)
            text = reader.bytes;
    return text;
}

/* Whether the object names a secret whose `value` stands beside: {"name": "Authorization", …}. */
static bool is_pair(const struct secret_names *names, struct str wire)
{
    struct wire_reader reader;
    struct entry entry;

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (reader.number != STRUCT_FIELDS || reader.type != WIRE_BYTES ||
            !read_entry(reader.bytes, &entry) || !secret_is_label(entry.key))
            continue;
        struct str label = string_of(entry.value);

        if (label.data && secret_names_match(names, label))
            return true;
    }
    return false;
}

/* ---- Writing ---- */

/* Everything between the two as it is. */
static void copy(struct hiding *hiding, const uint8_t *from, const uint8_t *to)
{
    if (hiding->out)
        buf_put(hiding->out, from, (size_t)(to - from));
}

/* The length of what follows is known only afterwards, so it is put in front of it then. */
static size_t begin_bytes(struct hiding *hiding, uint32_t number)
{
    if (!hiding->out)
        return 0;
    wire_put_tag(hiding->out, number, WIRE_BYTES);
    return hiding->out->length;
}

static void end_bytes(struct hiding *hiding, size_t begin)
{
    struct buf *out = hiding->out;
    uint8_t length[10];
    size_t size = 0;

    if (!out || out->failed)
        return;
    size_t bytes = out->length - begin;

    for (uint64_t left = bytes; size == 0 || left; left >>= 7)
        length[size++] = (uint8_t)(left & 127) | (left >> 7 ? 128 : 0);
    if (!buf_reserve(out, size))
        return;
    memmove(out->data + begin + size, out->data + begin, bytes);
    memcpy(out->data + begin, length, size);
    out->length += size;
}

static void put_hidden(struct hiding *hiding, struct str key)
{
    hiding->found = true;
    if (!hiding->out)
        return;
    size_t entry = begin_bytes(hiding, STRUCT_FIELDS);

    wire_put_bytes(hiding->out, ENTRY_KEY, key);
    size_t value = begin_bytes(hiding, ENTRY_VALUE);

    wire_put_bytes(hiding->out, VALUE_STRING, STR_LITERAL(SECRET_MARK));
    end_bytes(hiding, value);
    end_bytes(hiding, entry);
}

/* ---- The way down ---- */

static void hide_struct(struct hiding *hiding, struct str wire, unsigned depth)
{
    struct wire_reader reader;
    struct entry entry;
    bool pair = is_pair(hiding->names, wire);

    wire_reader_init(&reader, wire);
    for (const uint8_t *from = reader.at; wire_reader_next(&reader); from = reader.at) {
        if (reader.number != STRUCT_FIELDS || reader.type != WIRE_BYTES) {
            copy(hiding, from, reader.at);
            continue;
        }
        if (!read_entry(reader.bytes, &entry)) {
            hiding->is_broken = true;
            return;
        }
        if (!is_empty(entry.value) && (secret_names_match(hiding->names, entry.key) ||
                                       (pair && str_equal_cstr(entry.key, "value")))) {
            put_hidden(hiding, entry.key);
            continue;
        }
        size_t begin = begin_bytes(hiding, STRUCT_FIELDS);

        if (hiding->out)
            wire_put_bytes(hiding->out, ENTRY_KEY, entry.key);
        size_t value = begin_bytes(hiding, ENTRY_VALUE);

        hide_value(hiding, entry.value, depth + 1);
        end_bytes(hiding, value);
        end_bytes(hiding, begin);
    }
    hiding->is_broken = hiding->is_broken || reader.malformed;
}

/* A message in which fields called `number` have something to hide. */
static void hide_within(struct hiding *hiding, struct str wire, uint32_t number,
                        void (*hide)(struct hiding *hiding, struct str wire, unsigned depth),
                        unsigned depth)
{
    struct wire_reader reader;

    wire_reader_init(&reader, wire);
    for (const uint8_t *from = reader.at; wire_reader_next(&reader); from = reader.at) {
        if (reader.number != number || reader.type != WIRE_BYTES) {
            copy(hiding, from, reader.at);
            continue;
        }
        size_t begin = begin_bytes(hiding, number);

        hide(hiding, reader.bytes, depth + 1);
        end_bytes(hiding, begin);
    }
    hiding->is_broken = hiding->is_broken || reader.malformed;
}

static void hide_list(struct hiding *hiding, struct str wire, unsigned depth)
{
    hide_within(hiding, wire, LIST_VALUES, hide_value, depth);
}

static void hide_value(struct hiding *hiding, struct str wire, unsigned depth)
{
    struct wire_reader reader;

    if (depth > DEPTH_LIMIT) {
        hiding->is_broken = true;
        return;
    }
    wire_reader_init(&reader, wire);
    for (const uint8_t *from = reader.at; wire_reader_next(&reader); from = reader.at) {
        bool is_struct = reader.number == VALUE_STRUCT && reader.type == WIRE_BYTES;
        bool is_list = reader.number == VALUE_LIST && reader.type == WIRE_BYTES;

        if (!is_struct && !is_list) {
            copy(hiding, from, reader.at);
            continue;
        }
        size_t begin = begin_bytes(hiding, reader.number);

        (is_struct ? hide_struct : hide_list)(hiding, reader.bytes, depth + 1);
        end_bytes(hiding, begin);
    }
    hiding->is_broken = hiding->is_broken || reader.malformed;
}

static void hide_tool(struct hiding *hiding, struct str wire, unsigned depth)
{
    hide_within(hiding, wire, TOOL_CONFIG, hide_struct, depth);
}

enum secrets_shown secrets_hide(const struct secret_names *names, struct str wire, struct buf *out)
{
    struct hiding look = {.names = names};

    hide_within(&look, wire, CONFIG_TOOLS, hide_tool, 0);
    if (look.is_broken)
        return SECRETS_BROKEN;
    if (!look.found)
        return SECRETS_NONE;
    struct hiding hiding = {.names = names, .out = out};

    hide_within(&hiding, wire, CONFIG_TOOLS, hide_tool, 0);
    return hiding.is_broken || out->failed ? SECRETS_BROKEN : SECRETS_HIDDEN;
}
