/* Every allocation fails in turn: an error each time, nothing leaked, nothing half-written (run
 * under the asan preset to see leaks). The linker sends malloc and realloc of the whole program
 * through the two functions below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *memory, size_t size);

static long allowed = -1; /* allocations before one fails; negative: none does */

static bool is_refused(void)
{
    if (allowed < 0)
        return false;
    if (allowed == 0) {
        allowed = -1; /* this one only: what follows must get on with it */
        return true;
    }
    allowed--;
    return false;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return is_refused() ? NULL : __real_realloc(memory, size);
}

/* Deep, wide and long enough to need more than the inline memory. */
static void put_text(struct buf *text)
{
    buf_put_cstr(text, "{\"s\":\"x\",\"st\":{");
    for (int i = 0; i < 90; i++)
        buf_printf(text, "\"key%d\":{\"x\":[\"%0150d\"]},", i, i);
    buf_put_cstr(text, "\"last\":1},\"child\":");
    for (int i = 0; i < 28; i++)
        buf_put_cstr(text, "{\"i32\":1,\"child\":");
    buf_put_cstr(text, "{}");
    for (int i = 0; i < 28; i++)
        buf_put_char(text, '}');
    buf_put_char(text, '}');
}

static void test_parse(void **state)
{
    struct arena *arena = arena_new(100000);
    struct buf text = {0};
    bool done = false;

    (void)state;
    put_text(&text);
    for (long nth = 0; !done && nth < 1000; nth++) {
        struct violations violations;
        struct buf out = {0};
        struct err err = {0};

        violations_init(&violations, arena, 5);
        allowed = nth;
        bool ok = json_parse(fixture_schema(), fixture_message("Everything"), buf_str(&text), NULL,
                             &out, &violations, &err);

        done = allowed >= 0; /* all of them were granted */
        allowed = -1;
        assert_int_equal(ok, done);
        assert_int_equal(violations.count, 0);
        if (!ok) {
            assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
            assert_int_equal(out.length, 0);
        }
        buf_done(&out);
    }
    assert_true(done);
    buf_done(&text);
    arena_free(arena);
}

static void test_print(void **state)
{
    struct buf text = {0}, wire = {0};
    bool done = false;

    (void)state;
    put_text(&text);
    buf_put_char(&text, '\0');
    struct str parsed = fixture_parse("Everything", text.data);

    buf_put_str(&wire, parsed);
    buf_put_cstr(&wire,
                 "\xba\x05\x02\x28\x05"); /* one more piece of "child": merging takes memory */
    for (long nth = 0; !done && nth < 1000; nth++) {
        struct buf out = {0};
        struct err err = {0};

        allowed = nth;
        bool ok = json_print(fixture_schema(), fixture_message("Everything"), buf_str(&wire),
                             JSON_PRINT_CONTRACT, &out, &err);

        done = allowed >= 0;
        allowed = -1;
        assert_int_equal(ok, done);
        if (!ok) {
            assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
            assert_int_equal(out.length, 0);
        }
        buf_done(&out);
    }
    assert_true(done);
    buf_done(&text);
    buf_done(&wire);
}

/* Saying what is wrong needs memory too: the count is right without it. */
static void test_violations(void **state)
{
    static const char text[] = "{\"i32\":\"x\",\"children\":[{\"nonsense\":1},{\"s\":5}]}";
    bool done = false;

    (void)state;
    for (long nth = 0; !done && nth < 100; nth++) {
        struct arena *arena = arena_new(100000);
        struct violations violations;
        struct buf out = {0};
        struct err err = {0};

        violations_init(&violations, arena, 5);
        allowed = nth;
        bool ok = json_parse(fixture_schema(), fixture_message("Everything"), STR_LITERAL(text),
                             NULL, &out, &violations, &err);

        done = allowed >= 0;
        allowed = -1;
        if (ok)
            assert_int_equal(violations.count, 3);
        else
            assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
        buf_done(&out);
        arena_free(arena);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_violations),
    };

    return cmocka_run_group_tests_name("json_memory", tests, fixture_up, fixture_down);
}
