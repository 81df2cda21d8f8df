#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_KEPT 4096

static struct schema *schema;
static void *kept[MOST_KEPT];
static size_t kept_count;
static char *descriptor_set;

static void *keep(void *memory)
{
    assert_true(kept_count < MOST_KEPT);
    assert_non_null(memory);
    kept[kept_count++] = memory;
    return memory;
}

void fixture_release(void)
{
    while (kept_count)
        free(kept[--kept_count]);
}

int fixture_up(void **state)
{
    struct buf content = {0};
    struct err err = {0};
    FILE *file = fopen(EVERYTHING_PROTOSET, "rb");
    char chunk[4096];
    size_t got;

    (void)state;
    if (!file)
        return -1;
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_put(&content, chunk, got);
    fclose(file);
    descriptor_set = content.data;
    schema = schema_load(content.data, content.length, &err);
    if (!schema)
        fprintf(stderr, "%s\n", err.message);
    return schema ? 0 : -1;
}

int fixture_down(void **state)
{
    (void)state;
    fixture_release();
    schema_free(schema);
    free(descriptor_set);
    return 0;
}

const struct schema *fixture_schema(void)
{
    return schema;
}

const struct schema_message *fixture_message(const char *name)
{
    char full[200];

    snprintf(full, sizeof(full), "%s%s", strchr(name, '.') ? "" : "json.test.", name);
    const struct schema_message *message = schema_find_message(schema, str_from(full));

    assert_non_null(message);
    return message;
}

const char *fixture_print(const char *message, struct str wire, enum json_print_mode mode)
{
    struct buf out = {0};
    struct err err = {0};

    if (!json_print(schema, fixture_message(message), wire, mode, &out, &err))
        fail_msg("%s", err.message);
    return keep(buf_take_cstr(&out));
}

const char *fixture_print_error(const char *message, struct str wire)
{
    struct buf out = {0};
    struct err err = {0};

    buf_put_cstr(&out, "before");
    assert_false(
        json_print(schema, fixture_message(message), wire, JSON_PRINT_CONTRACT, &out, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(out.length, 6); /* nothing half-written stays */
    buf_done(&out);
    return fixture_text("%s", err.message);
}

struct str fixture_parse(const char *message, const char *text)
{
    struct arena *arena = arena_new((size_t)1 << 20);
    struct violations violations;
    struct buf out = {0};
    struct err err = {0};

    violations_init(&violations, arena, 10);
    if (!json_parse(schema, fixture_message(message), str_from(text), NULL, &out, &violations,
                    &err))
        fail_msg("%s: %s", text, err.message);
    if (violations.count)
        fail_msg("%s: %s: %s", text, violations.first->field, violations.first->message);
    arena_free(arena);
    /* Exactly as large as it is, so that a sanitizer sees one byte too many. */
    struct str wire = {NULL, out.length};

    if (out.length)
        wire.data = memcpy(keep(malloc(out.length)), out.data, out.length);
    buf_done(&out);
    return wire;
}

const char *fixture_complaints_bytes(const char *message, struct str text)
{
    struct arena *arena = arena_new((size_t)1 << 20);
    struct violations violations;
    struct buf out = {0}, all = {0};
    struct err err = {0};
    char *exact = malloc(text.length ? text.length : 1);

    violations_init(&violations, arena, 10);
    assert_non_null(exact);
    memcpy(exact, text.data, text.length);
    if (!json_parse(schema, fixture_message(message), (struct str){exact, text.length}, NULL, &out,
                    &violations, &err)) {
        assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
        assert_int_equal(out.length, 0);
        buf_printf(&all, "%s", err.message);
    } else {
        for (const struct violation *v = violations.first; v; v = v->next)
            buf_printf(&all, "%s%s: %s", all.length ? "\n" : "", v->field, v->message);
    }
    free(exact);
    buf_done(&out);
    arena_free(arena);
    return keep(buf_take_cstr(&all));
}

const char *fixture_complaints(const char *message, const char *text)
{
    return fixture_complaints_bytes(message, str_from(text));
}

struct str fixture_hex(const char *digits)
{
    size_t length = 0;
    unsigned byte;
    char *bytes;
    int used;

    bytes = keep(malloc(strlen(digits) / 2 + 1));
    while (sscanf(digits, " %2x%n", &byte, &used) == 1) {
        bytes[length++] = (char)byte;
        digits += used;
    }
    return (struct str){bytes, length};
}

const char *fixture_text(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);

    va_end(arguments);
    assert_true(length >= 0);
    return keep(text);
}
