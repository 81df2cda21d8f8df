#include "check_support.h"

#include "schema/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct schema *rules_schema;
struct schema *real_schema;

int load_schemas(void **state)
{
    struct err err = {0};

    (void)state;
    rules_schema = load_rules();
    real_schema = schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);
    return real_schema ? 0 : -1;
}

int free_schemas(void **state)
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

void assert_check_of(const struct schema_message *message, struct str wire,
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
void assert_check(const char *name, struct buf *wire, const char *expected)
{
    char full[64];

    snprintf(full, sizeof(full), "test.%s", name);
    assert_check_of(find(rules_schema, full), buf_str(wire), NULL, expected);
    buf_done(wire);
}

/* Right, and seen to be without a second look. */
void assert_right_at_once(const char *name, struct buf *wire)
{
    char full[64];

    snprintf(full, sizeof(full), "test.%s", name);
    assert_true(check_fast(find(rules_schema, full), buf_str(wire), NULL));
    assert_check(name, wire, "");
}
