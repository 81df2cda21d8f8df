/* The way of a valid request: one pass over the wire, nothing allocated, no path kept. It only ever
 * says "nothing is wrong" or "look closer"; what it does not care to decide (a field that comes
 * twice, unique_items, very wide messages) is "look closer" as well, and check.c then walks again
 * with everything it needs for an exact answer. */
#include "internal.h"

#define FLAG_RULES 1U   /* off below an output_only field: only the form matters there */
#define FLAG_PARTIAL 2U /* the resource of an update: nothing is missing from it */

struct input {
    const uint8_t *at, *end;
};

static bool read_varint_slow(struct input *in, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;

        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static inline bool read_varint(struct input *in, uint64_t *ret_value)
{
    if (in->at < in->end && *in->at < 0x80) {
        *ret_value = *in->at++;
        return true;
    }
    return read_varint_slow(in, ret_value);
}

static inline bool read_fixed(struct input *in, unsigned size, uint64_t *ret_value)
{
    uint64_t value = 0;

    if ((size_t)(in->end - in->at) < size)
        return false;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)in->at[i] << (8 * i);
    in->at += size;
    *ret_value = value;
    return true;
}

static inline bool read_bytes(struct input *in, struct str *ret_bytes)
{
    uint64_t length;

    if (!read_varint(in, &length) || length > (uint64_t)(in->end - in->at))
        return false;
    *ret_bytes = (struct str){(const char *)in->at, (size_t)length};
    in->at += length;
    return true;
}

/* The value of wire types 0, 1 and 5. */
static inline bool read_number(struct input *in, unsigned wire_type, uint64_t *ret_bits)
{
    if (wire_type == 0)
        return read_varint(in, ret_bits);
    return read_fixed(in, wire_type == 1 ? 8 : 4, ret_bits);
}

static bool skip_value(struct input *in, unsigned wire_type)
{
    uint64_t bits;
    struct str bytes;

    if (wire_type == 2)
        return read_bytes(in, &bytes);
    return (wire_type == 0 || wire_type == 1 || wire_type == 5) &&
           read_number(in, wire_type, &bits);
}

/* Where the walk stands in one message. */
struct walk {
    const struct schema_message *message;
    const struct message_lookup *lookup;
    const char *partial_field; /* of the root, else NULL */
    unsigned depth;            /* messages from the root to this one */
    unsigned flags;
    uint64_t seen[FAST_FIELDS / 64];   /* singular fields that have come */
    uint64_t valued[FAST_FIELDS / 64]; /* fields that have a value in the sense of `required` */
    uint32_t oneofs;                   /* that have a member */
    uint32_t counts[FAST_COUNTERS];
};

static bool walk_message(const struct schema_message *message, struct str wire, unsigned depth,
                         unsigned flags, const char *partial_field);

static inline bool bit_is_set(const uint64_t *bits, size_t index)
{
    return bits[index / 64] >> (index % 64) & 1;
}

static inline void set_bit(uint64_t *bits, size_t index)
{
    bits[index / 64] |= UINT64_C(1) << (index % 64);
}

/* One number, bool or enum; `bits` as on the wire. */
static bool take_number(struct walk *walk, size_t index, unsigned flags, uint64_t bits)
{
    const struct schema_field *field = &walk->message->fields[index];
    const struct field_plan *plan = &walk->lookup->plans[index];
    union wire_value value = {.bits = value_from_wire(field->type, bits)};
    bool is_value = field->optional || field->repeated || plan->always_present ||
                    walk->message->map_entry || value.bits != 0;

    if (plan->has_rules && is_value && (flags & FLAG_RULES) &&
        !value_keeps_rules(walk->message, field, value))
        return false;
    /* Present but empty: missing, for a required field. */
    if (field->required && value.bits == 0 && !field->repeated &&
        (!field->optional || field->type == SCHEMA_ENUM))
        return false;
    set_bit(walk->valued, index);
    return true;
}

static bool take_packed(struct walk *walk, size_t index, unsigned flags, struct str bytes)
{
    const struct field_plan *plan = &walk->lookup->plans[index];
    struct input in = {(const uint8_t *)bytes.data, (const uint8_t *)bytes.data + bytes.length};
    uint64_t bits;

    while (in.at < in.end) {
        if (!read_number(&in, plan->wire_type, &bits) || !take_number(walk, index, flags, bits))
            return false;
        if (plan->counter >= 0)
            walk->counts[plan->counter]++;
    }
    return true;
}

static bool take_text(struct walk *walk, size_t index, unsigned flags, struct str bytes)
{
    const struct schema_field *field = &walk->message->fields[index];
    union wire_value value = {.bytes = bytes};
    bool is_value = bytes.length || field->optional || field->repeated || walk->message->map_entry;

    if (field->type == SCHEMA_STRING && !utf8_is_valid(bytes.data, bytes.length))
        return false;
    if (walk->lookup->plans[index].has_rules && is_value && (flags & FLAG_RULES) &&
        !value_keeps_rules(walk->message, field, value))
        return false;
    if (field->required && !bytes.length && !field->repeated)
        return false;
    set_bit(walk->valued, index);
    return true;
}

static bool take_field(struct walk *walk, size_t index, unsigned wire_type, struct input *in)
{
    const struct schema_field *field = &walk->message->fields[index];
    const struct field_plan *plan = &walk->lookup->plans[index];
    unsigned flags = field->output_only ? 0 : walk->flags & FLAG_RULES;
    struct str bytes;
    uint64_t bits;

    if (!field->repeated) {
        if (bit_is_set(walk->seen, index))
            return false; /* last one wins, or pieces merge: not here */
        set_bit(walk->seen, index);
        if (field->oneof >= 0) {
            if (walk->oneofs >> field->oneof & 1)
                return false;
            walk->oneofs |= UINT32_C(1) << field->oneof;
        }
    }
    if (wire_type != plan->wire_type) {
        if (wire_type != 2 || !field->repeated || plan->wire_type == 2 || !read_bytes(in, &bytes))
            return false;
        return take_packed(walk, index, flags, bytes);
    }
    if (plan->counter >= 0)
        walk->counts[plan->counter]++;
    if (wire_type != 2)
        return read_number(in, wire_type, &bits) && take_number(walk, index, flags, bits);
    if (!read_bytes(in, &bytes))
        return false;
    if (field->type != SCHEMA_MESSAGE)
        return take_text(walk, index, flags, bytes);
    set_bit(walk->valued, index);
    if (walk->partial_field && flags && strcmp(walk->partial_field, field->name) == 0)
        flags |= FLAG_PARTIAL;
    return walk_message(field->message, bytes, walk->depth, flags, NULL);
}

/* What can only be said when the whole message has been seen. */
static bool is_complete(const struct walk *walk)
{
    const struct message_lookup *lookup = walk->lookup;

    if (!(walk->flags & FLAG_RULES))
        return true;
    if (!(walk->flags & FLAG_PARTIAL))
        for (size_t i = 0; i < FAST_FIELDS / 64; i++)
            if (lookup->needed[i] & ~walk->valued[i])
                return false;
    for (unsigned c = 0; c < lookup->counter_count; c++) {
        const struct schema_field *field = &walk->message->fields[lookup->counter_fields[c]];
        const struct schema_rules *rules = &field->rules;
        uint32_t count = walk->counts[c];

        if (count && count < rules->min_items)
            return false;
        if ((rules->max_items && count > rules->max_items) || (rules->unique_items && count > 1))
            return false;
    }
    return !lookup->has_default_value_rules || bit_is_set(walk->seen, 1);
}

/* Timestamp and Duration: int64 seconds = 1, int32 nanos = 2. */
static bool walk_time(const struct schema_message *message, struct input in, unsigned flags)
{
    uint64_t tag, bits, seconds = 0, nanos = 0;

    while (in.at < in.end) {
        if (!read_varint(&in, &tag) || (tag != 8 && tag != 16) || !read_varint(&in, &bits))
            return false;
        *(tag == 8 ? &seconds : &nanos) = bits;
    }
    if (!(flags & FLAG_RULES))
        return true;
    return message->well_known == SCHEMA_TIMESTAMP
               ? timestamp_is_valid((int64_t)seconds, (int32_t)(uint32_t)nanos)
               : duration_is_valid((int64_t)seconds, (int32_t)(uint32_t)nanos);
}

static bool walk_message(const struct schema_message *message, struct str wire, unsigned depth,
                         unsigned flags, const char *partial_field)
{
    static const uint8_t nothing[1];
    const uint8_t *start = wire.length ? (const uint8_t *)wire.data : nothing;
    struct input in = {start, start + wire.length};
    uint64_t tag;

    if (message_counts_as_level(message) && ++depth > SCHEMA_DEPTH_LIMIT)
        return false;
    if (message->well_known == SCHEMA_TIMESTAMP || message->well_known == SCHEMA_DURATION)
        return walk_time(message, in, flags);
    struct walk walk = {.message = message,
                        .lookup = lookup_of(message),
                        .partial_field = partial_field,
                        .depth = depth,
                        .flags = flags};

    if (walk.lookup->too_wide)
        return false;
    while (in.at < in.end) {
        if (!read_varint(&in, &tag) || tag >> 3 == 0 || tag >> 3 > SCHEMA_LARGEST_NUMBER)
            return false;
        const struct schema_field *field =
            schema_find_field_by_number(message, (uint32_t)(tag >> 3));

        if (!(field ? take_field(&walk, (size_t)(field - message->fields), tag & 7, &in)
                    : skip_value(&in, tag & 7)))
            return false;
    }
    return is_complete(&walk);
}

bool check_fast(const struct schema_message *message, struct str wire, const char *partial_field)
{
    return walk_message(message, wire, 0, FLAG_RULES, partial_field);
}
