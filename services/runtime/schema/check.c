/* The exact walk: taken only when check_fast() has found something to look at, so it may take its
 * time to be right.
 *
 * A message arrives here as a list of pieces, because a singular message that comes several times
 * on the wire is the concatenation of its occurrences. One scan over the pieces notes the last
 * value of every singular field and checks every item of the repeated ones; then the fields are
 * judged in the order of the .proto. Where we stand is a chain of frames on the stack, which
 * becomes a path only for something that is wrong.
 *
 * Bounds: recursion by SCHEMA_DEPTH_LIMIT (times three, for map entries and Values, which are no
 * level of their own), pieces by MOST_PIECES, violations by their list; every byte is looked at
 * once per level that it is a tag in. */
#include "internal.h"

#include "base/buf.h"
#include "base/wire.h"

#include <stdio.h>
#include <stdlib.h>

#define FLAG_RULES 1U
#define FLAG_PARTIAL 2U
#define MOST_PIECES 64          /* of one message */
#define MOST_UNIQUE_ITEMS 65536 /* compared, where max_items does not say less */
#define MOST_FRAMES (3 * SCHEMA_DEPTH_LIMIT + 8)
#define TEXT_OF(number) #number
#define TEXT(macro) TEXT_OF(macro)

/* One step of a path, from the root down. */
struct frame {
    const struct frame *parent;
    const struct schema_message *owner; /* of field */
    const struct schema_field *field;
    enum { FRAME_FIELD, FRAME_ITEM, FRAME_KEY } kind;
    bool quoted;    /* the key is text */
    size_t index;   /* FRAME_ITEM */
    struct str key; /* FRAME_KEY */
};

/* One item of a repeated scalar with unique_items. */
struct unique_item {
    union wire_value value;
    size_t index;
};

/* What one message says about one of its fields. */
struct slot {
    size_t count;
    union wire_value value; /* the last one of a singular field */
    struct str *pieces;     /* of a singular message that came more than once */
    size_t piece_count;
    struct unique_item *items;
    size_t item_count, item_capacity;
};

struct check {
    struct violations *violations;
    struct err *err;
    const char *partial_field;
};

struct walk {
    struct check *check;
    const struct schema_message *message;
    const struct message_lookup *lookup;
    const struct frame *frame; /* NULL at the root */
    unsigned depth, flags;
    struct slot *slots;
};

static bool check_message(struct check *check, const struct schema_message *message,
                          const struct str *pieces, size_t piece_count, const struct frame *frame,
                          unsigned depth, unsigned flags);

/* Fields that JSON does not show: the inside of Struct, Value, ListValue and wrappers, and of map
 * entries. */
static bool is_hidden(const struct schema_message *owner)
{
    return owner->map_entry || owner->well_known == SCHEMA_STRUCT ||
           owner->well_known == SCHEMA_VALUE || owner->well_known == SCHEMA_LIST_VALUE ||
           owner->well_known == SCHEMA_WRAPPER;
}

static void put_frame(struct buf *path, const struct frame *frame)
{
    char key[256];

    if (!is_hidden(frame->owner)) {
        if (path->length)
            buf_put_char(path, '.');
        buf_put_cstr(path, frame->field->name);
    }
    if (frame->kind == FRAME_ITEM) {
        buf_printf(path, "[%zu]", frame->index);
    } else if (frame->kind == FRAME_KEY && frame->quoted) {
        quote_text(frame->key, key, sizeof(key));
        buf_printf(path, "[%s]", key);
    } else if (frame->kind == FRAME_KEY) {
        buf_printf(path, "[%.*s]", (int)frame->key.length, frame->key.data);
    }
}

/* The path to `frame` as a string that the caller frees; NULL when memory is short. */
static char *path_of(const struct frame *frame)
{
    const struct frame *frames[MOST_FRAMES];
    size_t count = 0;
    struct buf path;

    for (; frame && count < MOST_FRAMES; frame = frame->parent)
        frames[count++] = frame;
    buf_init(&path, 0);
    while (count)
        put_frame(&path, frames[--count]);
    return buf_take_cstr(&path);
}

static void add_violation(struct check *check, const struct frame *frame, const char *message)
{
    struct violations *violations = check->violations;

    if (violations->count >= violations->limit) {
        violations->count++; /* beyond the list only the count matters: no path for nothing */
        return;
    }
    char *path = path_of(frame);

    violations_add(violations, path ? path : "", "%s", message);
    free(path);
}

/* The bytes are no message: always false. */
static bool refuse(struct check *check, const struct frame *frame, const char *what)
{
    char *path = path_of(frame);

    err_set(check->err, ERR_INVALID_ARGUMENT, NULL, "%s%s%s", path ? path : "",
            path && *path ? ": " : "", what);
    free(path);
    return false;
}

static bool short_of_memory(struct check *check)
{
    return err_set(check->err, ERR_RESOURCE_EXHAUSTED, NULL,
                   "not enough memory to check the request");
}

static void check_value(struct walk *walk, const struct frame *frame,
                        const struct schema_field *field, union wire_value value)
{
    char message[500];

    if (value_keeps_rules(walk->message, field, value))
        return;
    value_describe_failure(walk->message, field, value, message, sizeof(message));
    add_violation(walk->check, frame, message);
}

static const struct field_plan *plan_of(const struct walk *walk, const struct schema_field *field)
{
    return &walk->lookup->plans[field - walk->message->fields];
}

static struct slot *slot_of(const struct walk *walk, const struct schema_field *field)
{
    return &walk->slots[field - walk->message->fields];
}

/* What holds inside `field`. */
static unsigned flags_below(const struct walk *walk, const struct schema_field *field)
{
    unsigned flags = field->output_only ? 0 : walk->flags & FLAG_RULES;

    if (flags && !walk->frame && walk->check->partial_field &&
        strcmp(field->name, walk->check->partial_field) == 0)
        flags |= FLAG_PARTIAL;
    return flags;
}

/* The key of a map entry, for the path. Malformed entries are found when they are walked. */
static struct str key_of(const struct schema_message *entry, struct str wire, char *text,
                         size_t size)
{
    const struct schema_field *field = &entry->fields[0];
    struct wire_reader reader;
    struct str key = {"", 0};
    uint64_t bits = 0;

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (reader.number != field->number)
            continue;
        if (reader.type == 2)
            key = reader.bytes;
        else
            bits = reader.integer;
    }
    if (field->type == SCHEMA_STRING)
        return key;
    bits = value_from_wire(field->type, bits);
    if (field->type == SCHEMA_BOOL)
        return bits ? STR_LITERAL("true") : STR_LITERAL("false");
    bool is_unsigned = field->type == SCHEMA_UINT64 || field->type == SCHEMA_FIXED64;
    int length = is_unsigned ? snprintf(text, size, "%llu", (unsigned long long)bits)
                             : snprintf(text, size, "%lld", (long long)bits);

    return (struct str){text, length > 0 ? (size_t)length : 0};
}

/* Keeps an item for the comparison at the end; more than can be allowed are not kept. */
static bool keep_unique(struct walk *walk, const struct schema_field *field, struct slot *slot,
                        union wire_value value)
{
    size_t most = field->rules.max_items ? field->rules.max_items : MOST_UNIQUE_ITEMS;

    if (slot->item_count >= most)
        return true;
    if (slot->item_count == slot->item_capacity) {
        size_t capacity = slot->item_capacity ? 2 * slot->item_capacity : 8;
        struct unique_item *items = realloc(slot->items, capacity * sizeof(*items));

        if (!items)
            return short_of_memory(walk->check);
        slot->items = items;
        slot->item_capacity = capacity;
    }
    slot->items[slot->item_count++] = (struct unique_item){value, slot->count};
    return true;
}

/* One item of a repeated field; slot->count is its index. */
static bool take_item(struct walk *walk, const struct schema_field *field, struct slot *slot,
                      union wire_value value)
{
    struct frame frame = {walk->frame, walk->message, field, FRAME_ITEM, false, slot->count, {0}};
    unsigned flags = flags_below(walk, field);
    char key[24];

    if (field->type == SCHEMA_MESSAGE) {
        if (field->map) {
            frame.kind = FRAME_KEY;
            frame.quoted = field->message->fields[0].type == SCHEMA_STRING;
            frame.key = key_of(field->message, value.bytes, key, sizeof(key));
        }
        slot->count++;
        return check_message(walk->check, field->message, &value.bytes, 1, &frame, walk->depth,
                             flags);
    }
    if (field->type == SCHEMA_STRING && !utf8_is_valid(value.bytes.data, value.bytes.length))
        return refuse(walk->check, &frame, "not valid UTF-8");
    if ((flags & FLAG_RULES) && plan_of(walk, field)->has_rules)
        check_value(walk, &frame, field, value);
    if ((flags & FLAG_RULES) && field->rules.unique_items && !keep_unique(walk, field, slot, value))
        return false;
    slot->count++;
    return true;
}

/* Packed: the values of wire type 0, 1 or 5 one after the other. */
static bool take_packed(struct walk *walk, const struct schema_field *field, struct slot *slot,
                        struct str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.data;
    size_t left = bytes.length;
    uint8_t wire_type = plan_of(walk, field)->wire_type;

    while (left) {
        uint64_t bits = 0;
        size_t size = wire_type == 1 ? 8 : 4;

        if (wire_type == 0) {
            for (size = 0; size < left && size < 10 && at[size] >= 0x80; size++)
                bits |= (uint64_t)(at[size] & 0x7F) << (7 * size);
            if (size == left || size == 10 || (size == 9 && at[size] > 1))
                return refuse(walk->check, walk->frame, "malformed packed values");
            bits |= (uint64_t)at[size] << (7 * size);
            size++;
        } else {
            if (size > left)
                return refuse(walk->check, walk->frame, "malformed packed values");
            for (size_t i = 0; i < size; i++)
                bits |= (uint64_t)at[i] << (8 * i);
        }
        at += size;
        left -= size;
        union wire_value value = {.bits = value_from_wire(field->type, bits)};

        if (!take_item(walk, field, slot, value))
            return false;
    }
    return true;
}

/* A member that comes makes its oneof forget the others. */
static void forget_other_members(struct walk *walk, const struct schema_field *field)
{
    for (size_t i = 0; i < walk->message->field_count; i++) {
        const struct schema_field *other = &walk->message->fields[i];

        if (other->oneof == field->oneof && other != field) {
            walk->slots[i].count = 0;
            walk->slots[i].piece_count = 0;
        }
    }
}

static bool take_piece(struct walk *walk, const struct schema_field *field, struct slot *slot,
                       struct str bytes)
{
    struct frame frame = {walk->frame, walk->message, field, FRAME_FIELD, false, 0, {0}};

    if (!slot->pieces) {
        slot->pieces = malloc(MOST_PIECES * sizeof(*slot->pieces));
        if (!slot->pieces)
            return short_of_memory(walk->check);
    }
    if (slot->count == 1) {
        slot->pieces[0] = slot->value.bytes;
        slot->piece_count = 1;
    }
    if (slot->piece_count == MOST_PIECES)
        return refuse(walk->check, &frame, "given in more than 64 pieces");
    slot->pieces[slot->piece_count++] = bytes;
    return true;
}

static bool take_singular(struct walk *walk, const struct schema_field *field, struct slot *slot,
                          union wire_value value)
{
    struct frame frame = {walk->frame, walk->message, field, FRAME_FIELD, false, 0, {0}};

    if (field->oneof >= 0)
        forget_other_members(walk, field);
    if (field->type == SCHEMA_STRING && !utf8_is_valid(value.bytes.data, value.bytes.length))
        return refuse(walk->check, &frame, "not valid UTF-8");
    if (field->type == SCHEMA_MESSAGE && slot->count > 0 &&
        !take_piece(walk, field, slot, value.bytes))
        return false;
    slot->value = value;
    slot->count++;
    return true;
}

static bool take_field(struct walk *walk, const struct schema_field *field,
                       const struct wire_reader *reader)
{
    const struct field_plan *plan = plan_of(walk, field);
    struct slot *slot = slot_of(walk, field);
    union wire_value value;

    if (reader->type != plan->wire_type) {
        struct frame frame = {walk->frame, walk->message, field, FRAME_FIELD, false, 0, {0}};

        if (field->repeated && reader->type == 2 && plan->wire_type != 2)
            return take_packed(walk, field, slot, reader->bytes);
        return refuse(walk->check, &frame, "is encoded as another type");
    }
    if (reader->type == 2)
        value.bytes = reader->bytes;
    else
        value.bits = value_from_wire(field->type, reader->integer);
    return field->repeated ? take_item(walk, field, slot, value)
                           : take_singular(walk, field, slot, value);
}

static bool scan_piece(struct walk *walk, struct str piece)
{
    struct wire_reader reader;

    wire_reader_init(&reader, piece);
    while (wire_reader_next(&reader)) {
        const struct schema_field *field =
            schema_find_field_by_number(walk->message, reader.number);

        /* Unknown numbers are those of newer clients: ignored, as proto3 says. */
        if (field && !take_field(walk, field, &reader))
            return false;
    }
    if (reader.malformed)
        return refuse(walk->check, walk->frame, "malformed protobuf message");
    return true;
}

/* In the sense of `required`. */
static bool is_missing(const struct schema_field *field, const struct slot *slot)
{
    if (slot->count == 0)
        return true;
    if (field->repeated || field->type == SCHEMA_MESSAGE)
        return false;
    if (field->type == SCHEMA_STRING || field->type == SCHEMA_BYTES)
        return slot->value.bytes.length == 0;
    return (field->type == SCHEMA_ENUM || !field->optional) && slot->value.bits == 0;
}

/* Whether a singular scalar has a value that its rules are about. */
static bool is_value(const struct walk *walk, const struct schema_field *field,
                     const struct slot *slot)
{
    bool can_be_left_out = !(walk->flags & FLAG_PARTIAL) || slot->count > 0;

    if (plan_of(walk, field)->always_present || walk->message->map_entry)
        return can_be_left_out;
    if (slot->count == 0)
        return false;
    if (field->optional)
        return true;
    if (field->type == SCHEMA_STRING || field->type == SCHEMA_BYTES)
        return slot->value.bytes.length > 0;
    return slot->value.bits != 0;
}

static int compare_items(const struct unique_item *a, const struct unique_item *b, bool text)
{
    if (!text)
        return a->value.bits < b->value.bits ? -1 : a->value.bits > b->value.bits;
    size_t length_a = a->value.bytes.length, length_b = b->value.bytes.length;
    size_t shorter = length_a < length_b ? length_a : length_b;
    int order = shorter ? memcmp(a->value.bytes.data, b->value.bytes.data, shorter) : 0;

    return order ? order : length_a < length_b ? -1 : length_a > length_b;
}

static int compare_text_items(const void *a, const void *b)
{
    const struct unique_item *x = a, *y = b;
    int order = compare_items(x, y, true);

    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

static int compare_number_items(const void *a, const void *b)
{
    const struct unique_item *x = a, *y = b;
    int order = compare_items(x, y, false);

    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

static void check_unique(struct walk *walk, const struct schema_field *field, struct slot *slot)
{
    bool text = field->type == SCHEMA_STRING || field->type == SCHEMA_BYTES;
    char message[96];

    if (slot->item_count < 2)
        return;
    qsort(slot->items, slot->item_count, sizeof(*slot->items),
          text ? compare_text_items : compare_number_items);
    size_t first = 0;

    for (size_t i = 1; i < slot->item_count; i++) {
        if (compare_items(&slot->items[first], &slot->items[i], text) != 0) {
            first = i;
            continue;
        }
        struct frame frame = {walk->frame, walk->message,        field, FRAME_ITEM,
                              false,       slot->items[i].index, {0}};

        snprintf(message, sizeof(message), "is the same as item %zu", slot->items[first].index);
        add_violation(walk->check, &frame, message);
    }
}

static void check_item_count(struct walk *walk, const struct frame *frame,
                             const struct schema_field *field, const struct slot *slot)
{
    const struct schema_rules *rules = &field->rules;
    char message[96];

    if (rules->max_items && slot->count > rules->max_items)
        snprintf(message, sizeof(message), "must have at most %u item%s, got %zu", rules->max_items,
                 rules->max_items == 1 ? "" : "s", slot->count);
    else if (slot->count < rules->min_items &&
             (slot->count > 0 || (!(walk->flags & FLAG_PARTIAL) && !rules->default_json)))
        snprintf(message, sizeof(message), "must have at least %u item%s, got %zu",
                 rules->min_items, rules->min_items == 1 ? "" : "s", slot->count);
    else
        return;
    add_violation(walk->check, frame, message);
}

/* A singular message: all its pieces as one. */
static bool check_child(struct walk *walk, const struct frame *frame,
                        const struct schema_field *field, struct slot *slot)
{
    unsigned flags = flags_below(walk, field);
    size_t before = walk->check->violations->count;

    if (slot->count == 0)
        return true;
    if (slot->piece_count < 2)
        return check_message(walk->check, field->message, &slot->value.bytes, 1, frame, walk->depth,
                             flags);
    if (!check_message(walk->check, field->message, slot->pieces, slot->piece_count, frame,
                       walk->depth, flags))
        return false;
    /* protobuf-c merges the pieces of an ordinary field, but keeps only the last one of a oneof's
     * member: that one must stand alone. */
    if (field->oneof < 0 || walk->check->violations->count != before)
        return true;
    return check_message(walk->check, field->message, &slot->value.bytes, 1, frame, walk->depth,
                         flags);
}

/* The whole of what the scan has learned about one field. */
static bool judge_field(struct walk *walk, const struct schema_field *field)
{
    struct frame frame = {walk->frame, walk->message, field, FRAME_FIELD, false, 0, {0}};
    struct slot *slot = slot_of(walk, field);

    if ((walk->flags & FLAG_RULES) && !field->output_only) {
        if (field->required && is_missing(field, slot)) {
            /* An update leaves out what it does not change; what it does send must be something. */
            if (!(walk->flags & FLAG_PARTIAL) || slot->count > 0)
                add_violation(walk->check, &frame, "is required");
            return true;
        }
        if (field->repeated) {
            check_item_count(walk, &frame, field, slot);
            check_unique(walk, field, slot);
        } else if (field->type != SCHEMA_MESSAGE && plan_of(walk, field)->has_rules &&
                   is_value(walk, field, slot)) {
            check_value(walk, &frame, field, slot->value);
        }
    }
    return field->repeated || field->type != SCHEMA_MESSAGE ||
           check_child(walk, &frame, field, slot);
}

static void check_time(struct walk *walk)
{
    bool is_timestamp = walk->message->well_known == SCHEMA_TIMESTAMP;
    const struct schema_field *first = schema_find_field_by_number(walk->message, 1);
    const struct schema_field *second = schema_find_field_by_number(walk->message, 2);

    if (!first || !second)
        return;
    int64_t seconds = (int64_t)slot_of(walk, first)->value.bits;
    int32_t nanos = (int32_t)(int64_t)slot_of(walk, second)->value.bits;

    if (!(is_timestamp ? timestamp_is_valid : duration_is_valid)(seconds, nanos))
        add_violation(walk->check, walk->frame,
                      is_timestamp
                          ? "must be a time in the years 0001 to 9999"
                          : "must be a duration of at most 10,000 years with parts of one sign");
}

static bool judge(struct walk *walk)
{
    for (size_t i = 0; i < walk->message->field_count; i++)
        if (!judge_field(walk, &walk->message->fields[i]))
            return false;
    if ((walk->flags & FLAG_RULES) && (walk->message->well_known == SCHEMA_TIMESTAMP ||
                                       walk->message->well_known == SCHEMA_DURATION))
        check_time(walk);
    return true;
}

static bool check_message(struct check *check, const struct schema_message *message,
                          const struct str *pieces, size_t piece_count, const struct frame *frame,
                          unsigned depth, unsigned flags)
{
    struct walk walk = {check, message, lookup_of(message), frame, depth, flags, NULL};
    bool ok = true;

    if (message_counts_as_level(message) && ++walk.depth > SCHEMA_DEPTH_LIMIT)
        return refuse(check, NULL,
                      "messages are nested more than " TEXT(SCHEMA_DEPTH_LIMIT) " deep");
    walk.slots = calloc(message->field_count + 1, sizeof(*walk.slots));
    if (!walk.slots)
        return short_of_memory(check);
    for (size_t i = 0; i < piece_count && ok; i++)
        ok = scan_piece(&walk, pieces[i]);
    ok = ok && judge(&walk);
    for (size_t i = 0; i < message->field_count; i++) {
        free(walk.slots[i].pieces);
        free(walk.slots[i].items);
    }
    free(walk.slots);
    return ok;
}

bool check_exactly(const struct schema_message *message, struct str wire, const char *partial_field,
                   struct violations *violations, struct err *err)
{
    struct check check = {violations, err, partial_field};

    return check_message(&check, message, &wire, 1, NULL, 0, FLAG_RULES);
}

bool schema_check(const struct schema_message *message, struct str wire, const char *partial_field,
                  struct violations *violations, struct err *err)
{
    if (!check_fast(message, wire, partial_field) &&
        !check_exactly(message, wire, partial_field, violations, err))
        return false;
    return !partial_field || check_mask(message, wire, partial_field, violations, err);
}
