/* string_table: the part sharedStrings.xml of a workbook, tag by tag, into shared_strings. */
#ifndef DIALPLANE_CAMPAIGN_READERS_STRING_TABLE_H
#define DIALPLANE_CAMPAIGN_READERS_STRING_TABLE_H

#include "readers/shared_strings.h"
#include "readers/xml.h"

struct string_table;
struct string_table *string_table_new(struct shared_strings *strings);
void string_table_free(struct string_table *table);
/* Its context is the table. */
extern const struct xml_handlers string_table_handlers;
/* Before anything is fed. */
void string_table_set_xml(struct string_table *table, struct xml *xml);

#endif
