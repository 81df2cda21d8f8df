#include "readers/string_table.h"

#include "readers/rich_text.h"

#include <stdlib.h>

struct string_table {
    struct shared_strings *strings;
    struct xml *xml;
    struct rich_text rich;
    bool in_item;
};

struct string_table *string_table_new(struct shared_strings *strings)
{
    struct string_table *table = calloc(1, sizeof(*table));

    if (!table)
        return NULL;
    table->strings = strings;
    rich_text_init(&table->rich);
    return table;
}

void string_table_free(struct string_table *table)
{
    if (!table)
        return;
    rich_text_done(&table->rich);
    free(table);
}

void string_table_set_xml(struct string_table *table, struct xml *xml)
{
    table->xml = xml;
}

static void on_start(void *context, const char *name, const char **attributes)
{
    struct string_table *table = context;

    (void)attributes;
    if (!strcmp(name, "si")) {
        table->in_item = true;
        rich_text_begin(&table->rich);
    } else if (table->in_item) {
        rich_text_start(&table->rich, name);
    }
}

static void on_end(void *context, const char *name)
{
    struct string_table *table = context;
    struct err err = {0};

    if (strcmp(name, "si")) {
        if (table->in_item)
            rich_text_end(&table->rich, name);
        return;
    }
    table->in_item = false;
    if (!shared_strings_add(table->strings, rich_text_take(&table->rich), &err))
        xml_fail(table->xml, &err);
}

static void on_text(void *context, struct str text)
{
    struct string_table *table = context;

    if (table->in_item)
        rich_text_put(&table->rich, text);
}

const struct xml_handlers string_table_handlers = {on_start, on_end, on_text};
