/* schema_check: what is required, what wins, how deep, and bytes that are no message. */
#include "check_support.h"

#include "base/wire.h"
#include "schema/internal.h"

#include "dialplane/v1/skillbase.pb-c.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

static void masks_name_what_is_there(void **state)
{
    struct buf wire = {0}, resource = {0}, mask = {0};
    const struct schema_message *update = find(rules_schema, "test.UpdateRequest");

    (void)state;
    put_text(&wire, 1, "0194f3c2-7a1b-7cde-8f00-0123456789ab");
    put_text(&resource, 1, "new");
    put_child(&wire, 2, &resource);
    put_text(&mask, 1, "text");
    put_text(&mask, 1, "seq"); /* not required: cleared */
    put_child(&wire, 3, &mask);
    assert_check_of(update, buf_str(&wire), "resource", "");
    put_text(&mask, 1, "leaf");
    put_text(&mask, 1, "nothing");
    put_text(&mask, 1, "leaf");
    put_text(&mask, 1, "leaf.text");
    put_child(&wire, 3, &mask);
    struct arena *arena = arena_new(1 << 16);
    struct violations violations;
    struct err err = {0};

    violations_init(&violations, arena, 10);
    assert_true(schema_check(update, buf_str(&wire), "resource", &violations, &err));
    assert_int_equal(violations.count, 3);
    assert_string_equal(violations.first->field, "resource.leaf");
    assert_string_equal(violations.first->message, "must not be empty");
    assert_string_equal(violations.first->next->field, "update_mask");
    assert_string_equal(violations.first->next->message, "\"nothing\" names no field of resource");
    assert_string_equal(violations.last->message, "\"leaf.text\" names no field of resource");
    arena_free(arena);
    buf_done(&wire);
    buf_done(&resource);
    buf_done(&mask);
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
    static const char *const too_deep = "! messages are nested more than 32 deep";
    struct buf wire = {0}, fields = {0}, value = {0};

    (void)state;
    for (uint32_t by = 1; by <= 3; by++) {
        put_tree(&wire, 32, by);
        assert_right_at_once("Tree", &wire);
        put_tree(&wire, 33, by);
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
        if (levels != 29 && levels != 30 && levels != 31 && levels != 10000)
            continue;
        wire_put_bytes(&value, levels % 2 ? 6 : 5, buf_str(&fields));
        put_child(&wire, 5, &value);
        /* The root, the first Struct, and what is around it. */
        assert_check("Tree", &wire, levels + 2 <= 32 ? "" : too_deep);
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
        cmocka_unit_test(required),
        cmocka_unit_test(updates_may_leave_out),
        cmocka_unit_test(masks_name_what_is_there),
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
