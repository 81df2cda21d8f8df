/* arena, buf and wire: what fits, what does not, and what is left afterwards. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* arena */

static void arena_gives_aligned_separate_memory(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    unsigned char *blocks[500];

    (void)state;
    for (size_t i = 0; i < 500; i++) {
        blocks[i] = arena_alloc(arena, i);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        memset(blocks[i], (int)(i & 0xFF), i);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal(blocks[i][j], i & 0xFF);
    assert_false(arena_is_exhausted(arena));
    arena_free(arena);
    arena_free(NULL);
}

static void arena_keeps_to_its_cap(void **state)
{
    struct arena *arena = arena_new(1000);

    (void)state;
    assert_non_null(arena_alloc(arena, 900));
    size_t used = arena_used_bytes(arena);

    assert_true(used >= 900 && used <= 1000);
    assert_null(arena_alloc(arena, 200));
    assert_true(arena_is_exhausted(arena));
    assert_int_equal(arena_used_bytes(arena), used);
    /* What is small enough still fits; the mark stays. */
    assert_non_null(arena_alloc(arena, 10));
    assert_true(arena_is_exhausted(arena));
    arena_free(arena);
}

static void arena_refuses_sizes_that_overflow(void **state)
{
    struct arena *arena = arena_new(SIZE_MAX);

    (void)state;
    assert_null(arena_alloc(arena, SIZE_MAX));
    assert_null(arena_calloc(arena, SIZE_MAX / 2, 3));
    assert_null(arena_strndup(arena, "", SIZE_MAX));
    assert_true(arena_is_exhausted(arena));
    assert_int_equal(arena_used_bytes(arena), 0);
    arena_free(arena);
}

static void arena_takes_large_blocks_between_small_ones(void **state)
{
    struct arena *arena = arena_new(8 << 20);
    char *first = arena_alloc(arena, 16);
    char *large = arena_alloc(arena, 1 << 20);
    char *second = arena_alloc(arena, 16);

    (void)state;
    assert_non_null(large);
    memset(large, 1, 1 << 20);
    /* The block that was being carved is carved further. */
    assert_ptr_equal(second, first + 16);
    /* The same with nothing before it, and exactly the largest shared block. */
    struct arena *fresh = arena_new(8 << 20);

    memset(arena_alloc(fresh, 1 << 20), 1, 1 << 20);
    memset(arena_alloc(fresh, 256 << 10), 2, 256 << 10);
    memset(arena_alloc(fresh, 100), 3, 100);
    arena_free(fresh);
    arena_free(arena);
}

static void arena_copies_text(void **state)
{
    struct arena *arena = arena_new(1 << 20);

    (void)state;
    assert_string_equal(arena_strdup(arena, ""), "");
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(arena, NULL, 0), "");
    assert_string_equal(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    assert_memory_equal(arena_memdup(arena, "a\0b", 3), "a\0b", 3);
    unsigned char *zeros = arena_calloc(arena, 10, 10);

    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    assert_non_null(arena_calloc(arena, 0, 8));
    arena_free(arena);
    arena = arena_new(16);
    assert_null(arena_printf(arena, "%040d", 1));
    assert_true(arena_is_exhausted(arena));
    arena_free(arena);
}

/* buf */

static void buf_grows_up_to_its_limit_and_sticks(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    for (int i = 0; i < 1000; i++)
        buf_put_char(&buf, 'x');
    assert_false(buf.failed);
    assert_int_equal(buf.length, 1000);
    assert_true(buf.capacity <= 1000);
    buf_put_char(&buf, 'y');
    assert_true(buf.failed);
    assert_int_equal(buf.length, 1000);
    buf_put_cstr(&buf, "");
    assert_true(buf.failed);
    assert_null(buf_take_cstr(&buf));
    assert_int_equal(buf.length, 0);
    buf_put_cstr(&buf, "again");
    assert_false(buf.failed);
    buf_reset(&buf);
    assert_int_equal(buf.length, 0);
    buf_done(&buf);
}

static void buf_works_zero_initialised(void **state)
{
    struct buf buf = {0};

    (void)state;
    char *nothing = buf_take_cstr(&buf);

    assert_string_equal(nothing, "");
    free(nothing);
    buf_put_str(&buf, (struct str){NULL, 0});
    buf_printf(&buf, "%s=%d", "a", 5);
    buf_printf(&buf, "%0500d", 1);
    assert_int_equal(buf.length, 503);
    buf_consume(&buf, 2);
    assert_memory_equal(buf.data, "5000", 4);
    buf_consume(&buf, 5000);
    assert_int_equal(buf.length, 0);
    buf_put_cstr(&buf, "kept");
    char *text = buf_take_cstr(&buf);

    assert_string_equal(text, "kept");
    free(text);
    buf_done(&buf);
}

static void buf_printf_may_fill_the_limit_exactly(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 300);
    buf_printf(&buf, "%0300d", 0);
    assert_false(buf.failed);
    assert_int_equal(buf.length, 300);
    char *text = buf_take_cstr(&buf);

    assert_int_equal(strlen(text), 300);
    free(text);
    buf_done(&buf);
}

static void assert_json(const char *text, size_t length, const char *expected)
{
    struct buf buf = {0};

    buf_put_json_string(&buf, (struct str){text, length});
    char *json = buf_take_cstr(&buf);

    assert_string_equal(json, expected);
    free(json);
}

static void buf_escapes_json(void **state)
{
    (void)state;
    assert_json("", 0, "\"\"");
    assert_json("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    assert_json("\b\t\n\v\f\r", 6, "\"\\b\\t\\n\\u000b\\f\\r\"");
    assert_json("\0\x1f\x7f", 3, "\"\\u0000\\u001f\x7f\"");
    assert_json("Zoë 漢 😀", 13, "\"Zoë 漢 😀\"");
    /* Not UTF-8: a lone byte, an overlong slash, a surrogate, a cut character. */
    assert_json("\xff", 1, "\"\xEF\xBF\xBD\"");
    assert_json("\xc0\xaf", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    assert_json("\xed\xa0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    assert_json("a\xe6\xbc", 3, "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

/* wire */

static void wire_reads_back_what_it_writes(void **state)
{
    static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, INT64_MAX, UINT64_MAX};
    struct buf buf = {0};
    struct wire_reader reader;

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        wire_put_tag(&buf, (uint32_t)i + 1, 0);
        wire_put_varint(&buf, values[i]);
    }
    wire_put_bytes(&buf, (1 << 29) - 1, STR_LITERAL("bytes"));
    wire_put_bytes(&buf, 9, (struct str){NULL, 0});
    wire_put_tag(&buf, 10, 5);
    buf_put(&buf, "\x01\x02\x03\x04", 4);
    wire_put_tag(&buf, 11, 1);
    buf_put(&buf, "\x01\x02\x03\x04\x05\x06\x07\x88", 8);
    wire_reader_init(&reader, buf_str(&buf));
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_true(wire_reader_next(&reader));
        assert_int_equal(reader.number, i + 1);
        assert_true(reader.integer == values[i]);
    }
    assert_true(wire_reader_next(&reader));
    assert_int_equal(reader.number, (1 << 29) - 1);
    assert_true(str_equal_cstr(reader.bytes, "bytes"));
    assert_true(wire_reader_next(&reader));
    assert_int_equal(reader.bytes.length, 0);
    assert_true(wire_reader_next(&reader));
    assert_true(reader.integer == 0x04030201);
    assert_true(wire_reader_next(&reader));
    assert_true(reader.integer == UINT64_C(0x8807060504030201));
    assert_false(wire_reader_next(&reader));
    assert_false(reader.malformed);
    /* Cut anywhere inside a field, it is malformed; never a read beyond the end (asan watches: each
     * cut has memory of its own). */
    for (size_t length = 0; length < buf.length; length++) {
        char *cut = malloc(length ? length : 1);

        memcpy(cut, buf.data, length);
        wire_reader_init(&reader, (struct str){cut, length});
        while (wire_reader_next(&reader))
            ;
        assert_true(reader.malformed || reader.at == reader.end);
        free(cut);
    }
    buf_done(&buf);
}

static void wire_refuses_malformed(void **state)
{
    static const struct str cases[] = {
        {"\x00\x01", 2},                                      /* field number 0 */
        {"\x80\x80\x80\x80\x10\x01", 6},                      /* field number 2^29 */
        {"\x0b", 1},                                          /* group */
        {"\x0c", 1},                                          /* end of group */
        {"\x0e\x01", 2},                                      /* wire type 6 */
        {"\x08", 1},                                          /* no value */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, /* 65 bits */
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12},
        {"\x0a\x05zzzz", 6},                                  /* shorter than it says */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* length 2^64 - 1 */
        {"\x0d\x01\x02\x03", 4},
        {"\x09\x01\x02\x03\x04\x05\x06\x07", 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reader reader;

        wire_reader_init(&reader, cases[i]);
        assert_false(wire_reader_next(&reader));
        assert_true(reader.malformed);
        assert_false(wire_reader_next(&reader));
    }
    struct wire_reader empty;

    wire_reader_init(&empty, (struct str){NULL, 0});
    assert_false(wire_reader_next(&empty));
    assert_false(empty.malformed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_gives_aligned_separate_memory),
        cmocka_unit_test(arena_keeps_to_its_cap),
        cmocka_unit_test(arena_refuses_sizes_that_overflow),
        cmocka_unit_test(arena_takes_large_blocks_between_small_ones),
        cmocka_unit_test(arena_copies_text),
        cmocka_unit_test(buf_grows_up_to_its_limit_and_sticks),
        cmocka_unit_test(buf_works_zero_initialised),
        cmocka_unit_test(buf_printf_may_fill_the_limit_exactly),
        cmocka_unit_test(buf_escapes_json),
        cmocka_unit_test(wire_reads_back_what_it_writes),
        cmocka_unit_test(wire_refuses_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
