#include "support.h"

#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct str rules_set(void)
{
    static struct buf set;

    if (!set.length) {
        FILE *file = fopen(RULES_SET, "rb");
        char block[4096];
        size_t size;

        assert_non_null(file);
        while ((size = fread(block, 1, sizeof(block), file)) > 0)
            buf_put(&set, block, size);
        fclose(file);
        assert_false(set.failed);
    }
    return buf_str(&set);
}

struct schema *load_rules(void)
{
    struct str set = rules_set();
    struct err err = {0};
    struct schema *schema = schema_load(set.data, set.length, &err);

    if (!schema)
        fail_msg("%s", err.message);
    return schema;
}

const struct schema_message *find(const struct schema *schema, const char *name)
{
    const struct schema_message *message = schema_find_message(schema, str_from(name));

    if (!message)
        fail_msg("%s is not there", name);
    return message;
}

void put_text(struct buf *out, uint32_t number, const char *text)
{
    wire_put_bytes(out, number, str_from(text));
}

void put_number(struct buf *out, uint32_t number, uint64_t value)
{
    wire_put_tag(out, number, 0);
    wire_put_varint(out, value);
}

void put_double(struct buf *out, uint32_t number, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    wire_put_tag(out, number, 1);
    for (int i = 0; i < 8; i++)
        buf_put_char(out, (char)(bits >> (8 * i)));
}

void put_child(struct buf *out, uint32_t number, struct buf *child)
{
    wire_put_bytes(out, number, buf_str(child));
    buf_reset(child);
}
