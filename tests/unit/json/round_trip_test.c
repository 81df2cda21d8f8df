/* Random messages of every type of the contract and of everything.proto: what is printed is read
 * back as the same message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "generate.h"

#include <stdlib.h>

static void print(const struct schema *schema, const struct schema_message *message,
                  struct str wire, enum json_print_mode mode, struct buf *out)
{
    struct err err = {0};

    buf_reset(out);
    if (!json_print(schema, message, wire, mode, out, &err))
        fail_msg("%s: %s", message->full_name, err.message);
}

static void parse(const struct schema *schema, const struct schema_message *message,
                  struct str text, struct buf *out)
{
    struct arena *arena = arena_new(100000);
    struct violations violations;
    struct err err = {0};
    char *exact = malloc(text.length + 1); /* a sanitizer sees any look beyond it */

    memcpy(exact, text.data, text.length);
    text.data = exact;
    violations_init(&violations, arena, 3);
    buf_reset(out);
    if (!json_parse(schema, message, text, NULL, out, &violations, &err))
        fail_msg("%s: %s\n%.*s", message->full_name, err.message, (int)text.length, text.data);
    if (violations.count)
        fail_msg("%s: %s: %s\n%.*s", message->full_name, violations.first->field,
                 violations.first->message, (int)text.length, text.data);
    free(exact);
    arena_free(arena);
}

/* print ∘ parse ∘ print = print, in both modes. */
static void check(const struct schema *schema, const struct schema_message *message,
                  struct entropy *entropy)
{
    struct buf wire = {0}, text = {0}, wire_again = {0}, text_again = {0};

    generate_message(schema, message, entropy, 0, &wire);
    for (int mode = JSON_PRINT_CONTRACT; mode <= JSON_PRINT_COMPACT; mode++) {
        print(schema, message, buf_str(&wire), mode, &text);
        assert_true(utf8_is_valid(text.data, text.length));
        parse(schema, message, buf_str(&text), &wire_again);
        print(schema, message, buf_str(&wire_again), mode, &text_again);
        if (!str_equal(buf_str(&text), buf_str(&text_again)))
            fail_msg("%s:\n%.*s\n%.*s", message->full_name, (int)text.length, text.data,
                     (int)text_again.length, text_again.data);
    }
    buf_done(&wire);
    buf_done(&text);
    buf_done(&wire_again);
    buf_done(&text_again);
}

static void check_all(const struct schema *schema, int rounds, uint64_t seed)
{
    struct entropy entropy;

    entropy_init_seeded(&entropy, seed);
    for (size_t i = 0; i < schema->message_count; i++)
        for (int round = 0; round < rounds && !schema->messages[i].map_entry; round++)
            check(schema, &schema->messages[i], &entropy);
}

static void test_everything(void **state)
{
    struct entropy entropy;

    (void)state;
    check_all(fixture_schema(), 10, 1);
    entropy_init_seeded(&entropy, 2);
    for (int round = 0; round < 400; round++)
        check(fixture_schema(), fixture_message("Everything"), &entropy);
}

static void test_the_contract(void **state)
{
    struct err err = {0};
    struct schema *schema =
        schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);

    (void)state;
    if (!schema)
        fail_msg("%s", err.message);
    check_all(schema, 12, 3);
    schema_free(schema);
}

/* Any bytes: an answer or an error, never more; and what is printed is text. */
static void test_random_wire(void **state)
{
    const struct schema_message *message = fixture_message("Everything");
    struct entropy entropy;

    (void)state;
    entropy_init_seeded(&entropy, 4);
    for (int round = 0; round < 1000; round++) {
        struct buf wire = {0}, text = {0};
        struct err err = {0};

        generate_message(fixture_schema(), message, &entropy, 0, &wire);
        for (uint64_t i = entropy_uint64(&entropy) % 4; i > 0 && wire.length; i--)
            wire.data[entropy_uint64(&entropy) % wire.length] = (char)entropy_uint64(&entropy);
        if (json_print(fixture_schema(), message, buf_str(&wire), JSON_PRINT_CONTRACT, &text, &err))
            assert_true(utf8_is_valid(text.data, text.length));
        else
            assert_int_equal(err.code, ERR_INTERNAL);
        buf_done(&wire);
        buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_the_contract),
        cmocka_unit_test(test_random_wire),
    };

    return cmocka_run_group_tests_name("json_round_trip", tests, fixture_up, fixture_down);
}
