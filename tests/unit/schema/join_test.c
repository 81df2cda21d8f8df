/* schema_join_pieces: what comes in pieces decodes in one. */
#include "check_support.h"

#include "base/wire.h"

#include "dialplane/v1/skillbase.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* protobuf-c cannot merge where `optional` fields are unset: joined first, it can decode. */
static void pieces_are_joined_for_the_decoder(void **state)
{
    const struct schema_message *message = find(real_schema, "dialplane.v1.CreateSkillbaseRequest");
    struct buf wire = {0}, skillbase = {0}, config = {0}, flow = {0}, entry = {0}, joined = {0};

    (void)state;
    put_text(&skillbase, 3, "old");
    put_text(&entry, 1, "a");
    put_child(&flow, 2, &entry);
    put_child(&config, 2, &flow);
    put_child(&skillbase, 6, &config);
    put_child(&wire, 1, &skillbase);
    put_text(&skillbase, 3, "new");
    put_number(&skillbase, 9, 1);
    put_text(&entry, 1, "b");
    put_child(&flow, 2, &entry);
    put_child(&config, 2, &flow);
    put_child(&skillbase, 6, &config);
    put_child(&wire, 1, &skillbase);
    put_text(&wire, 99, "unknown");
    assert_true(schema_join_pieces(message, buf_str(&wire), &joined));
    Dialplane__V1__CreateSkillbaseRequest *request =
        dialplane__v1__create_skillbase_request__unpack(NULL, joined.length,
                                                        (const uint8_t *)joined.data);

    assert_non_null(request);
    assert_string_equal(request->skillbase->name, "new");
    assert_int_equal(request->skillbase->is_active, 1);
    assert_int_equal(request->skillbase->config->flow->n_states, 2);
    assert_string_equal(request->skillbase->config->flow->states[1]->id, "b");
    assert_int_equal(request->base.n_unknown_fields, 1);
    dialplane__v1__create_skillbase_request__free_unpacked(request, NULL);
    /* A oneof: the last member, and nothing of what it replaced. */
    buf_reset(&wire);
    put_text(&entry, 1, "one");
    put_child(&wire, 1, &entry);
    put_text(&wire, 3, "two");
    put_text(&entry, 2, "three");
    put_child(&wire, 1, &entry);
    put_text(&entry, 1, "four");
    put_child(&wire, 1, &entry);
    buf_reset(&joined);
    assert_true(schema_join_pieces(find(rules_schema, "test.Union"), buf_str(&wire), &joined));
    put_text(&entry, 2, "three");
    put_text(&entry, 1, "four");
    buf_reset(&wire);
    put_text(&wire, 3, "two");
    put_child(&wire, 1, &entry);
    assert_int_equal(joined.length, wire.length);
    assert_memory_equal(joined.data, wire.data, wire.length);
    /* No room is a failure, not a cut message. */
    buf_done(&joined);
    joined.limit = 8;
    assert_false(schema_join_pieces(find(rules_schema, "test.Union"), buf_str(&wire), &joined));
    buf_done(&joined);
    buf_done(&wire);
    buf_done(&skillbase);
    buf_done(&config);
    buf_done(&flow);
    buf_done(&entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_joined_for_the_decoder),
    };

    return cmocka_run_group_tests(tests, load_schemas, free_schemas);
}
