/* schema_check: every rule, every path, and bytes that are no message. Each case is asked both
 * ways: with the short cut and without. */
#include "support.h"

#include "base/wire.h"
#include "schema/internal.h"

#include "dialplane/v1/skillbase.pb-c.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct schema *rules_schema;
static struct schema *real_schema;

static int load_schemas(void **state)
{
    struct err err = {0};

    (void)state;
    rules_schema = load_rules();
    real_schema = schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);
    return real_schema ? 0 : -1;
}

static int free_schemas(void **state)
{
    (void)state;
    schema_free(rules_schema);
    schema_free(real_schema);
    return 0;
}

/* All that is wrong, a line each, "path: message"; "! message" when the bytes are refused. */
static void describe(bool taken, const struct violations *violations, const struct err *err,
                     struct buf *out)
{
    if (!taken)
        buf_printf(out, "! %s", err->message);
    for (const struct violation *v = violations->first; taken && v; v = v->next)
        buf_printf(out, "%s%s: %s", out->length ? "\n" : "", v->field, v->message);
    buf_put_char(out, '\0');
}

static void assert_check_of(const struct schema_message *message, struct str wire,
                            const char *partial_field, const char *expected)
{
    for (int exactly = 0; exactly < 2; exactly++) {
        struct arena *arena = arena_new(4 << 20);
        struct violations violations;
        struct err err = {0};
        struct buf text = {0};

        violations_init(&violations, arena, 100);
        bool taken = (exactly ? check_exactly : schema_check)(message, wire, partial_field,
                                                              &violations, &err);

        describe(taken, &violations, &err, &text);
        assert_string_equal(text.data, expected);
        assert_int_equal(err_is_set(&err), !taken);
        buf_done(&text);
        arena_free(arena);
    }
    /* The short cut may miss what is right, never what is wrong. */
    if (*expected)
        assert_false(check_fast(message, wire, partial_field));
}

/* Checks `wire` as a test.NAME and empties it. */
static void assert_check(const char *name, struct buf *wire, const char *expected)
{
    char full[64];

    snprintf(full, sizeof(full), "test.%s", name);
    assert_check_of(find(rules_schema, full), buf_str(wire), NULL, expected);
    buf_done(wire);
}

/* Right, and seen to be without a second look. */
static void assert_right_at_once(const char *name, struct buf *wire)
{
    char full[64];

    snprintf(full, sizeof(full), "test.%s", name);
    assert_true(check_fast(find(rules_schema, full), buf_str(wire), NULL));
    assert_check(name, wire, "");
}

static void assert_text_rule(uint32_t number, const char *text, const char *expected)
{
    struct buf wire = {0};

    put_text(&wire, number, text);
    if (*expected)
        assert_check("Rules", &wire, expected);
    else
        assert_right_at_once("Rules", &wire);
}

static void lengths_and_blanks(void **state)
{
    (void)state;
    assert_text_rule(1, "", "");
    assert_text_rule(1, "1234567890", "");
    assert_text_rule(1, "ääääääääää", "");
    assert_text_rule(1, "😀😀😀😀😀😀😀😀😀😀", "");
    assert_text_rule(1, "12345678901", "most: must be at most 10 characters, got 11");
    assert_text_rule(1, "äääääääääää", "most: must be at most 10 characters, got 11");
    assert_text_rule(2, "", "");
    assert_text_rule(2, "abc", "");
    assert_text_rule(2, "äöü", "");
    assert_text_rule(2, "ab", "least: must be at least 3 characters, got 2");
    assert_text_rule(2, "😀😀", "least: must be at least 3 characters, got 2");
    assert_text_rule(3, " x ", "");
    assert_text_rule(3, "", "not_blank: must not be blank");
    assert_text_rule(3, " \t\r\n", "not_blank: must not be blank");
    assert_text_rule(3, "\xC2\xA0\xE3\x80\x80\xE2\x80\x83", "not_blank: must not be blank");
    assert_text_rule(3, "\xC2\xA1", "");
    assert_text_rule(19, "abc", "");
    assert_text_rule(19, "\xff\xfe\xfd\xfc", "data: must be at most 3 bytes, got 4");
}

static void formats(void **state)
{
    (void)state;
    assert_text_rule(8, "0194f3c2-7a1b-7cde-8f00-0123456789ab", "");
    assert_text_rule(8, "0194F3C2-7A1B-7CDE-8F00-0123456789AB", "");
    assert_text_rule(8, "abc", "uuid: must be a UUID, got \"abc\"");
    assert_text_rule(8, "1234567890123456789012345678901234567890",
                     "uuid: must be a UUID, got \"1234567890123456789012345678901234567890\"");
    assert_text_rule(8, "12345678901234567890123456789012345678901",
                     "uuid: must be a UUID, got \"1234567890123456789012345678901234567890…\"");
    assert_text_rule(8, "a\"\n\x01", "uuid: must be a UUID, got \"a\\\"\\n\\u0001\"");
    assert_text_rule(9, "sales-2026", "");
    assert_text_rule(9, "Sales",
                     "slug: must be lower-case letters, digits and hyphens, got \"Sales\"");
    assert_text_rule(10, "00:00", "");
    assert_text_rule(10, "23:59", "");
    assert_text_rule(10, "99:99",
                     "time_of_day: must be a time between \"00:00\" and \"23:59\", got \"99:99\"");
    assert_text_rule(12, "2024-02-29", "");
    assert_text_rule(12, "2025-02-29",
                     "date: must be a date such as \"2026-01-31\", got \"2025-02-29\"");
    assert_text_rule(13, "no_answer2", "");
    assert_text_rule(13, "_x",
                     "word: must be 1 to 64 lower-case letters, digits and \"_\", beginning with a "
                     "letter, got \"_x\"");
    assert_text_rule(14, "DE", "");
    assert_text_rule(14, "de", "region: must be two upper-case letters such as \"DE\", got \"de\"");
}

static void time_zones(void **state)
{
    static const char *const good[] = {
        "UTC",     "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "GMT+0",
        "EST5EDT", "W-SU",          "America/Port-au-Prince"};
    static const char *const bad[] = {"Mars/Olympus", "+03:00",          "Z",
                                      "Europe/",      "/Europe/Berlin",  "Europe//Berlin",
                                      "Europe",       "europe/berlin",   "../../etc/passwd",
                                      "UTC0",         "EST5EDT4,M3.2.0", "leapseconds",
                                      "zone1970",     "tzdata",          "posix",
                                      "UTC0",         "ABC-3",           "EST5",
                                      "localtime",    "posixrules",      "Factory",
                                      "right/UTC",    "posix/UTC",       "Europe/Berlin ",
                                      ":UTC"};

    (void)state;
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
            assert_text_rule(11, good[i], "");
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            char expected[100];

            snprintf(expected, sizeof(expected), "zone: unknown time zone \"%s\"", bad[i]);
            assert_text_rule(11, bad[i], expected);
        }
    }
}

static void assert_double_rule(double value, const char *expected)
{
    struct buf wire = {0};

    put_double(&wire, 4, value);
    assert_check("Rules", &wire, expected);
}

static void assert_number_rule(uint32_t number, uint64_t value, const char *expected)
{
    struct buf wire = {0};

    put_number(&wire, number, value);
    if (*expected)
        assert_check("Rules", &wire, expected);
    else
        assert_right_at_once("Rules", &wire);
}

static void ranges(void **state)
{
    (void)state;
    assert_double_rule(0, "");
    assert_double_rule(2, "");
    assert_double_rule(-0.0, "");
    assert_double_rule(3.5, "ratio: must be between 0 and 2, got 3.5");
    assert_double_rule(-0.1, "ratio: must be between 0 and 2, got -0.1");
    assert_double_rule((double)NAN, "ratio: must be between 0 and 2, got NaN");
    assert_double_rule((double)INFINITY, "ratio: must be between 0 and 2, got Infinity");
    /* Without presence 0 is "absent" where there is a default, and a number like any other where
     * there is none. */
    assert_number_rule(5, 0, "");
    assert_number_rule(5, 1, "");
    assert_number_rule(5, (uint64_t)-1, "from_one: must be at least 1, got -1");
    /* An int32 is cut to 32 bits, as decoders do. */
    assert_number_rule(5, UINT64_C(0x100000001), "");
    assert_number_rule(6, 10, "");
    assert_number_rule(6, UINT64_MAX, "to_ten: must be at most 10, got 18446744073709551615");
    assert_number_rule(27, 6, "");
    assert_number_rule(27, 5, "");
    assert_number_rule(27, 8, "signed: must be between -3 and 3, got 4");
    assert_number_rule(27, 7, "signed: must be between -3 and 3, got -4");
    /* Bounds are in the unit of the wire, text in that of JSON. */
    assert_number_rule(17, 2000000, "");
    assert_number_rule(17, 2500000, "money: must be between -0.5 and 2, got 2.5");
    assert_number_rule(17, (uint64_t)-500001, "money: must be between -0.5 and 2, got -0.500001");
    struct buf wire = {0};

    wire_put_tag(&wire, 28, 5);
    buf_put(&wire, "\x00\x00\x80\x3f", 4); /* 1.0f */
    assert_check("Rules", &wire, "narrow: must be at most 0.5, got 1");
}

static void enums(void **state)
{
    (void)state;
    assert_number_rule(18, 0, "");
    assert_number_rule(18, 2, "");
    assert_number_rule(18, 1000, "");
    assert_number_rule(18, (uint64_t)-5, "");
    assert_number_rule(18, 3, "color: must be one of red, dark_green, sparse, below, got 3");
    assert_number_rule(18, (uint64_t)-6,
                       "color: must be one of red, dark_green, sparse, below, got -6");
}

static void lists(void **state)
{
    struct buf wire = {0}, packed = {0};

    (void)state;
    /* Nothing is fine: there is a default. */
    assert_right_at_once("Rules", &wire);
    put_text(&wire, 7, "a");
    assert_check("Rules", &wire, "items: must have at least 2 items, got 1");
    for (int i = 0; i < 4; i++)
        put_text(&wire, 7, "a");
    assert_right_at_once("Rules", &wire);
    for (int i = 0; i < 5; i++)
        put_text(&wire, 7, i == 1 ? "" : i == 3 ? "toolong" : "a");
    assert_check("Rules", &wire,
                 "items[1]: must not be blank\n"
                 "items[3]: must be at most 5 characters, got 7\n"
                 "items: must have at most 4 items, got 5");
    /* Packed and not, in several pieces: one list. */
    wire_put_varint(&packed, 1);
    wire_put_varint(&packed, 2);
    put_child(&wire, 15, &packed);
    assert_check("Rules", &wire, "");
    wire_put_varint(&packed, 1);
    wire_put_varint(&packed, 2);
    put_child(&wire, 15, &packed);
    put_number(&wire, 15, 7);
    wire_put_varint(&packed, 2);
    wire_put_varint(&packed, 0);
    put_child(&wire, 15, &packed);
    assert_check("Rules", &wire,
                 "colors[2]: must be one of red, dark_green, sparse, below, got 7\n"
                 "colors[3]: is the same as item 1");
    put_text(&wire, 16, "a");
    put_text(&wire, 16, "b");
    put_text(&wire, 16, "a");
    put_text(&wire, 16, "");
    put_text(&wire, 16, "a");
    assert_check("Rules", &wire,
                 "names[2]: is the same as item 0\nnames[4]: is the same as item 0");
    wire_put_varint(&packed, 4); /* zigzag: 2 */
    wire_put_varint(&packed, 5); /* -3 */
    put_child(&wire, 29, &packed);
    assert_check("Rules", &wire, "deltas[1]: must be between -2 and 2, got -3");
    buf_put(&packed, "\x09\0\0\0\x0a\0\0\0", 8);
    put_child(&wire, 30, &packed);
    assert_check("Rules", &wire, "fixed[1]: must be at most 9, got 10");
    buf_done(&packed);
}

static void maps(void **state)
{
    struct buf wire = {0}, entry = {0}, value = {0};

    (void)state;
    put_text(&entry, 1, "a");
    put_text(&entry, 2, "b");
    put_child(&wire, 20, &entry);
    assert_right_at_once("Rules", &wire);
    put_text(&entry, 1, "na\"me");
    put_text(&entry, 2, "too long");
    put_child(&wire, 20, &entry);
    put_text(&entry, 1, "blank"); /* the value left out: it is "" */
    put_child(&wire, 20, &entry);
    put_text(&entry, 2, " "); /* the key left out */
    put_child(&wire, 20, &entry);
    assert_check("Rules", &wire,
                 "labels[\"na\\\"me\"]: must be at most 4 characters, got 8\n"
                 "labels[\"blank\"]: must not be blank\n"
                 "labels[\"\"]: must not be blank\n"
                 "labels: must have at most 2 items, got 3");
    put_number(&entry, 1, (uint64_t)-7);
    put_text(&value, 1, "text");
    put_child(&entry, 2, &value);
    put_child(&wire, 21, &entry);
    assert_check("Rules", &wire,
                 "by_number[-7].color: is required\n"
                 "by_number[-7].numbers: is required\n"
                 "by_number[-7].leaf: is required\n"
                 "by_number[-7].flag: is required\n"
                 "by_number[-7].fence: is required\n"
                 "by_number[-7].seq: must be at least 1, got 0\n"
                 "by_number[-7].some: must have at least 1 item, got 0");
    put_number(&entry, 1, 1);
    wire_put_bytes(&entry, 2, (struct str){"a\0b", 3});
    put_child(&wire, 33, &entry);
    assert_check("Rules", &wire, "flags[true]: must not contain the character U+0000");
    buf_done(&entry);
    buf_done(&value);
}

/* A whole Required. */
static void put_required(struct buf *out)
{
    struct buf leaf = {0};

    put_text(out, 1, "text");
    put_number(out, 2, 1);
    put_number(out, 3, 0);
    put_text(&leaf, 1, "leaf");
    put_child(out, 4, &leaf);
    put_number(out, 5, 0);
    put_number(out, 6, 1);
    put_number(out, 7, 1);
    put_number(out, 8, 0);
    buf_done(&leaf);
}

static void required(void **state)
{
    struct buf wire = {0}, leaf = {0};

    (void)state;
    put_required(&wire);
    assert_right_at_once("Required", &wire);
    assert_check("Required", &wire,
                 "text: is required\ncolor: is required\nnumbers: is required\nleaf: is required\n"
                 "flag: is required\nfence: is required\nseq: must be at least 1, got 0\n"
                 "some: must have at least 1 item, got 0");
    put_required(&wire);
    put_text(&wire, 1, ""); /* the last one counts, and is empty */
    put_number(&wire, 2, 0);
    put_text(&leaf, 1, ""); /* merged into the leaf that is there */
    put_child(&wire, 4, &leaf);
    assert_check("Required", &wire,
                 "text: is required\ncolor: is required\nleaf.text: is required");
    put_required(&wire);
    put_text(&wire, 1, "  ");
    assert_check("Required", &wire, "text: must not be blank");
    buf_done(&leaf);
}

static void updates_may_leave_out(void **state)
{
    struct buf wire = {0}, resource = {0}, leaf = {0};
    const struct schema_message *update = find(rules_schema, "test.UpdateRequest");

    (void)state;
    put_text(&wire, 1, "0194f3c2-7a1b-7cde-8f00-0123456789ab");
    put_text(&resource, 1, "new");
    put_child(&wire, 2, &resource);
    assert_true(check_fast(update, buf_str(&wire), "resource"));
    assert_check_of(update, buf_str(&wire), "resource", "");
    assert_check_of(update, buf_str(&wire), NULL,
                    "resource.color: is required\nresource.numbers: is required\n"
                    "resource.leaf: is required\nresource.flag: is required\n"
                    "resource.fence: is required\nresource.seq: must be at least 1, got 0\n"
                    "resource.some: must have at least 1 item, got 0");
    buf_reset(&wire);
    /* The root's own fields and what is further down are asked for; what is sent must be something.
     */
    put_text(&resource, 1, "");
    put_number(&resource, 7, 0);
    put_text(&leaf, 2, "other");
    put_child(&resource, 4, &leaf);
    put_child(&wire, 2, &resource);
    assert_check_of(update, buf_str(&wire), "resource",
                    "id: is required\nresource.text: is required\nresource.leaf.text: is required\n"
                    "resource.seq: must be at least 1, got 0");
    buf_reset(&wire);
    assert_check_of(update, buf_str(&wire), "resource", "id: is required\nresource: is required");
    buf_done(&wire);
    buf_done(&resource);
    buf_done(&leaf);
}

static void output_only_is_not_checked(void **state)
{
    struct buf wire = {0}, child = {0};

    (void)state;
    put_text(&wire, 22, "far too long");
    put_number(&child, 2, 99);
    put_child(&wire, 23, &child);
    assert_right_at_once("Rules", &wire);
    /* But it must be a message: the decoder reads it all the same. */
    put_text(&wire, 22, "\xff");
    assert_check("Rules", &wire, "! ignored: not valid UTF-8");
    put_text(&child, 1, "\xff");
    put_child(&wire, 23, &child);
    assert_check("Rules", &wire, "! ignored_message.text: not valid UTF-8");
    buf_done(&child);
}

static void the_last_one_wins(void **state)
{
    struct buf wire = {0}, leaf = {0};

    (void)state;
    put_text(&wire, 1, "far too long for it");
    put_text(&wire, 1, "short");
    put_number(&wire, 6, 99);
    put_number(&wire, 6, 9);
    assert_check("Rules", &wire, "");
    put_text(&wire, 1, "short");
    put_text(&wire, 1, "far too long for it");
    assert_check("Rules", &wire, "most: must be at most 10 characters, got 19");
    /* Of a oneof the last member, whatever came before. */
    put_text(&wire, 3, "too long");
    put_text(&leaf, 1, "x");
    put_child(&wire, 1, &leaf);
    assert_check("Union", &wire, "");
    put_child(&wire, 1, &leaf);
    put_text(&wire, 3, "too long");
    assert_check("Union", &wire, "word: must be at most 3 characters, got 8");
    /* Pieces of one member merge here, but protobuf-c keeps the last one alone: both must be right.
     */
    put_text(&leaf, 1, "x");
    put_child(&wire, 1, &leaf);
    put_text(&leaf, 2, "y");
    put_child(&wire, 1, &leaf);
    assert_check("Union", &wire, "leaf.text: is required");
    put_text(&leaf, 2, "y");
    put_child(&wire, 1, &leaf);
    put_text(&leaf, 1, "x");
    put_child(&wire, 1, &leaf);
    assert_check("Union", &wire, "");
    buf_done(&leaf);
}

static void pieces_of_a_message_merge(void **state)
{
    struct buf wire = {0}, child = {0}, inner = {0};

    (void)state;
    /* Tree.child twice: its text from the second, its items from both, its child in two pieces. */
    put_text(&child, 6, "too long");
    put_text(&inner, 6, "fine");
    put_child(&child, 1, &inner);
    put_child(&child, 2, &inner);
    put_child(&wire, 1, &child);
    put_text(&child, 6, "fine");
    put_text(&inner, 6, "wrong too");
    put_child(&child, 1, &inner);
    put_text(&inner, 6, "and here");
    put_child(&child, 2, &inner);
    put_child(&wire, 1, &child);
    assert_check("Tree", &wire,
                 "child.items[1].text: must be at most 5 characters, got 8\n"
                 "child.child.text: must be at most 5 characters, got 9");
    for (int i = 0; i < 64; i++)
        put_child(&wire, 1, &child);
    assert_check("Tree", &wire, "");
    for (int i = 0; i < 65; i++)
        put_child(&wire, 1, &child);
    assert_check("Tree", &wire, "! child: given in more than 64 pieces");
    buf_done(&child);
    buf_done(&inner);
}

static void unknown_fields_are_ignored(void **state)
{
    struct buf wire = {0};

    (void)state;
    put_text(&wire, 500, "\xff");
    put_number(&wire, 536870911, 1);
    put_double(&wire, 501, 1);
    wire_put_tag(&wire, 502, 5);
    buf_put(&wire, "1234", 4);
    assert_right_at_once("Rules", &wire);
    wire_put_tag(&wire, 500, 3); /* a group, known or not, is nothing that proto3 has */
    wire_put_tag(&wire, 500, 4);
    assert_check("Rules", &wire, "! malformed protobuf message");
}

static void put_time(struct buf *out, uint32_t number, int64_t seconds, int32_t nanos)
{
    struct buf time = {0};

    put_number(&time, 1, (uint64_t)seconds);
    put_number(&time, 2, (uint64_t)(int64_t)nanos);
    put_child(out, number, &time);
    buf_done(&time);
}

static void times_and_durations(void **state)
{
    static const char *const bad_time = "at: must be a time in the years 0001 to 9999";
    static const char *const bad_duration =
        "length: must be a duration of at most 10,000 years with parts of one sign";
    struct buf wire = {0};

    (void)state;
    put_time(&wire, 24, INT64_C(253402300799), 999999999);
    put_time(&wire, 25, -1, -5);
    assert_right_at_once("Rules", &wire);
    put_time(&wire, 24, INT64_C(253402300800), 0);
    assert_check("Rules", &wire, bad_time);
    put_time(&wire, 24, INT64_C(-62135596801), 0);
    assert_check("Rules", &wire, bad_time);
    put_time(&wire, 24, 0, -1);
    assert_check("Rules", &wire, bad_time);
    put_time(&wire, 24, 0, 1000000000);
    assert_check("Rules", &wire, bad_time);
    put_time(&wire, 25, 1, -1);
    assert_check("Rules", &wire, bad_duration);
    put_time(&wire, 25, INT64_C(315576000001), 0);
    assert_check("Rules", &wire, bad_duration);
}

/* {"key": value} in a google.protobuf.Struct. */
static void put_struct_entry(struct buf *out, const char *key, struct buf *value)
{
    struct buf entry = {0};

    put_text(&entry, 1, key);
    put_child(&entry, 2, value);
    put_child(out, 1, &entry);
    buf_done(&entry);
}

static void structs_have_json_paths(void **state)
{
    struct buf wire = {0}, fields = {0}, value = {0}, list = {0}, item = {0};

    (void)state;
    put_double(&value, 2, 1.5);
    put_struct_entry(&fields, "a", &value);
    put_child(&wire, 26, &fields);
    assert_right_at_once("Rules", &wire);
    put_double(&item, 2, 1);
    put_child(&list, 1, &item);
    put_double(&item, 2, (double)NAN);
    put_child(&list, 1, &item);
    wire_put_bytes(&item, 3, (struct str){"\0", 1});
    put_child(&list, 1, &item);
    put_child(&value, 6, &list);
    put_struct_entry(&fields, "b", &value);
    put_child(&wire, 26, &fields);
    assert_check("Rules", &wire,
                 "free[\"b\"][1]: must be a finite number\n"
                 "free[\"b\"][2]: must not contain the character U+0000");
    put_text(&value, 1, "\xff");
    put_child(&wire, 31, &value);
    assert_check("Rules", &wire, "! wrapped: not valid UTF-8");
    buf_done(&fields);
    buf_done(&value);
    buf_done(&list);
    buf_done(&item);
}

/* `levels` Trees in all, by singular child, repeated item or map entry. */
static void put_tree(struct buf *out, unsigned levels, uint32_t by)
{
    struct buf inner = {0}, entry = {0};

    for (unsigned i = 1; i < levels; i++) {
        if (by == 3) {
            put_child(&entry, 2, &inner);
            put_child(&inner, 3, &entry);
        } else {
            put_child(&entry, by, &inner);
            buf_put_str(&inner, buf_str(&entry));
            buf_reset(&entry);
        }
    }
    buf_reset(out);
    buf_put_str(out, buf_str(&inner));
    buf_done(&inner);
    buf_done(&entry);
}

static void depth_is_limited(void **state)
{
    static const char *const too_deep = "! messages are nested more than 100 deep";
    struct buf wire = {0}, fields = {0}, value = {0};

    (void)state;
    for (uint32_t by = 1; by <= 3; by++) {
        put_tree(&wire, 100, by);
        assert_right_at_once("Tree", &wire);
        put_tree(&wire, 101, by);
        assert_check("Tree", &wire, too_deep);
        put_tree(&wire, 3000, by);
        assert_check("Tree", &wire, too_deep);
    }
    /* A Struct and a list are a level, a Value and an entry are none: as deep as JSON sees it. */
    for (int levels = 1; levels <= 10000; levels++) {
        /* Around an empty Struct, a list (odd) and a Struct (even) in turns. */
        put_child(&value, levels % 2 ? 5 : 6, &fields);
        if (levels % 2)
            put_child(&fields, 1, &value);
        else
            put_struct_entry(&fields, "", &value);
        if (levels != 97 && levels != 98 && levels != 99 && levels != 10000)
            continue;
        wire_put_bytes(&value, levels % 2 ? 6 : 5, buf_str(&fields));
        put_child(&wire, 5, &value);
        /* The root, the first Struct, and what is around it. */
        assert_check("Tree", &wire, levels + 2 <= 100 ? "" : too_deep);
    }
    buf_done(&fields);
    buf_done(&value);
    buf_done(&wire);
}

/* A right message that has something of everything. */
static void put_everything(struct buf *out)
{
    struct buf packed = {0}, entry = {0}, child = {0};

    put_text(out, 1, "most");
    put_double(out, 4, 1);
    put_number(out, 6, 10);
    put_text(out, 7, "ä");
    put_text(out, 7, "b");
    put_text(out, 8, "0194f3c2-7a1b-7cde-8f00-0123456789ab");
    put_text(out, 11, "UTC");
    wire_put_varint(&packed, 1000);
    wire_put_varint(&packed, 1);
    put_child(out, 15, &packed);
    put_text(out, 16, "name");
    put_number(out, 18, (uint64_t)-5);
    put_text(out, 19, "abc");
    put_text(&entry, 1, "key");
    put_text(&entry, 2, "val");
    put_child(out, 20, &entry);
    put_required(&child);
    put_number(&entry, 1, 300);
    put_child(&entry, 2, &child);
    put_child(out, 21, &entry);
    put_time(out, 24, 1768642200, 123456000);
    put_double(&child, 2, 1.5);
    put_struct_entry(&entry, "a", &child);
    put_child(out, 26, &entry);
    wire_put_tag(out, 28, 5);
    buf_put(out, "\0\0\0\x3f", 4);
    buf_put(&packed, "\1\0\0\0\2\0\0\0", 8);
    put_child(out, 30, &packed);
    buf_done(&packed);
    buf_done(&entry);
    buf_done(&child);
}

/* Cut anywhere and with any byte changed, the answer may be anything but a crash, and the two ways
 * agree. */
static void truncated_and_damaged_bytes(void **state)
{
    const struct schema_message *message = find(rules_schema, "test.Rules");
    struct buf wire = {0};
    size_t refused = 0;

    (void)state;
    put_everything(&wire);
    assert_check_of(message, buf_str(&wire), NULL, "");
    for (size_t round = 0; round < wire.length * 9; round++) {
        size_t at = round / 9;
        size_t length = round % 9 == 0 ? at : wire.length;
        char *copy = malloc(length ? length : 1);
        struct arena *arena = arena_new(1 << 20);
        struct violations violations;
        struct err err = {0};

        memcpy(copy, wire.data, length);
        if (round % 9)
            copy[at] = (char)(copy[at] ^ (1 << (round % 9 - 1)));
        violations_init(&violations, arena, 10);
        bool fast = check_fast(message, (struct str){copy, length}, NULL);
        bool taken = check_exactly(message, (struct str){copy, length}, NULL, &violations, &err);

        if (fast)
            assert_true(taken && violations.count == 0);
        assert_int_equal(taken, !err_is_set(&err));
        if (!taken)
            assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
        refused += !taken;
        arena_free(arena);
        free(copy);
    }
    assert_true(refused > wire.length / 2);
    buf_done(&wire);
}

static void wrong_wire_types_are_refused(void **state)
{
    struct buf wire = {0};

    (void)state;
    put_number(&wire, 1, 5);
    assert_check("Rules", &wire, "! most: is encoded as another type");
    put_text(&wire, 5, "a");
    assert_check("Rules", &wire, "! from_one: is encoded as another type");
    put_number(&wire, 7, 5);
    assert_check("Rules", &wire, "! items: is encoded as another type");
    put_double(&wire, 30, 5);
    assert_check("Rules", &wire, "! fixed: is encoded as another type");
    put_text(&wire, 30, "12345");
    assert_check("Rules", &wire, "! malformed packed values");
    put_text(&wire, 15, "\xff");
    assert_check("Rules", &wire, "! malformed packed values");
    wire_put_bytes(&wire, 29, (struct str){"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10});
    assert_check("Rules", &wire, "! malformed packed values");
}

/* More that is wrong than the list holds: counted, not listed, and quickly. */
static void violations_are_bounded(void **state)
{
    struct buf wire = {0};
    struct arena *arena = arena_new(1 << 20);
    struct violations violations;
    struct err err = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        put_number(&wire, 15, 7);
    violations_init(&violations, arena, 20);
    assert_true(
        schema_check(find(rules_schema, "test.Rules"), buf_str(&wire), NULL, &violations, &err));
    assert_int_equal(violations.count, 100000 + 65535);
    size_t listed = 0;

    for (const struct violation *v = violations.first; v; v = v->next)
        listed++;
    assert_int_equal(listed, 20);
    arena_free(arena);
    buf_done(&wire);
}

/* What the contract names, on the real contract. */
static void skillbase_errors_name_their_place(void **state)
{
    Dialplane__V1__CreateSkillbaseRequest request = DIALPLANE__V1__CREATE_SKILLBASE_REQUEST__INIT;
    Dialplane__V1__Skillbase skillbase = DIALPLANE__V1__SKILLBASE__INIT;
    Dialplane__V1__SkillbaseConfig config = DIALPLANE__V1__SKILLBASE_CONFIG__INIT;
    Dialplane__V1__AgentContext context = DIALPLANE__V1__AGENT_CONTEXT__INIT;
    Dialplane__V1__Flow flow = DIALPLANE__V1__FLOW__INIT;
    Dialplane__V1__FlowState first = DIALPLANE__V1__FLOW_STATE__INIT;
    Dialplane__V1__FlowState second = DIALPLANE__V1__FLOW_STATE__INIT;
    Dialplane__V1__FlowState *states[] = {&first, &first, &second};
    Dialplane__V1__Voice voice = DIALPLANE__V1__VOICE__INIT;
    Dialplane__V1__Llm llm = DIALPLANE__V1__LLM__INIT;
    const struct schema_message *message = find(real_schema, "dialplane.v1.CreateSkillbaseRequest");
    uint8_t bytes[4096];

    (void)state;
    request.skillbase = &skillbase;
    skillbase.company_id = (char *)"0194f3c2-7a1b-7cde-8f00-0123456789ab";
    skillbase.name = (char *)"Sales";
    skillbase.slug = (char *)"sales";
    skillbase.config = &config;
    config.context = &context;
    context.role = context.style = (char *)"x";
    config.flow = &flow;
    flow.type = DIALPLANE__V1__FLOW_TYPE__FLOW_TYPE_GRAPH;
    flow.n_states = 3;
    flow.states = states;
    first.id = second.id = (char *)"greeting";
    config.voice = &voice;
    voice.tts_provider = DIALPLANE__V1__TTS_PROVIDER__TTS_PROVIDER_OPENAI;
    voice.tts_voice_id = (char *)"v";
    voice.stt_provider = DIALPLANE__V1__STT_PROVIDER__STT_PROVIDER_OPENAI;
    config.llm = &llm;
    llm.provider = DIALPLANE__V1__LLM_PROVIDER__LLM_PROVIDER_OPENAI;
    llm.model = (char *)"m";
    size_t size = dialplane__v1__create_skillbase_request__pack(&request, bytes);

    assert_true(check_fast(message, (struct str){(char *)bytes, size}, NULL));
    second.id = (char *)"";
    flow.type = 7;
    llm._temperature_case = DIALPLANE__V1__LLM___TEMPERATURE_TEMPERATURE;
    llm.temperature = 3.5;
    skillbase.company_id = (char *)"abc";
    context.style = (char *)" ";
    size = dialplane__v1__create_skillbase_request__pack(&request, bytes);
    assert_check_of(message, (struct str){(char *)bytes, size}, NULL,
                    "skillbase.company_id: must be a UUID, got \"abc\"\n"
                    "skillbase.config.context.style: must not be blank\n"
                    "skillbase.config.flow.states[2].id: is required\n"
                    "skillbase.config.flow.type: must be one of linear, graph, got 7\n"
                    "skillbase.config.llm.temperature: must be between 0 and 2, got 3.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_and_blanks),
        cmocka_unit_test(formats),
        cmocka_unit_test(time_zones),
        cmocka_unit_test(ranges),
        cmocka_unit_test(enums),
        cmocka_unit_test(lists),
        cmocka_unit_test(maps),
        cmocka_unit_test(required),
        cmocka_unit_test(updates_may_leave_out),
        cmocka_unit_test(output_only_is_not_checked),
        cmocka_unit_test(the_last_one_wins),
        cmocka_unit_test(pieces_of_a_message_merge),
        cmocka_unit_test(unknown_fields_are_ignored),
        cmocka_unit_test(times_and_durations),
        cmocka_unit_test(structs_have_json_paths),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(truncated_and_damaged_bytes),
        cmocka_unit_test(wrong_wire_types_are_refused),
        cmocka_unit_test(violations_are_bounded),
        cmocka_unit_test(skillbase_errors_name_their_place),
    };

    return cmocka_run_group_tests(tests, load_schemas, free_schemas);
}
