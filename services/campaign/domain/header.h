/* header: what the columns of a call list are, by the names in its first row. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_HEADER_H
#define DIALPLANE_CAMPAIGN_DOMAIN_HEADER_H

#include "base/arena.h"
#include "base/err.h"
#include "domain/list_row.h"

enum column_kind { COLUMN_DATA, COLUMN_PHONE, COLUMN_NAME, COLUMN_PRIORITY, COLUMN_TIMEZONE };

#define COLUMN_NAME_LIMIT_BYTES 512

/* An uploader's word on which column is what: field "phone_number", column "Mobile". */
struct column_mapping {
    const char *field, *column;
};

struct header_options {
    const char *phone_aliases; /* names beside phone_number, comma-separated; NULL: none */
    const struct column_mapping *mappings;
    size_t mapping_count;
};

struct header {
    size_t count;
    enum column_kind *kinds;
    struct str *names; /* unique among the data columns; valid UTF-8 */
};

/* True when a column can be mapped to the field: phone_number, contact_name, priority, timezone. */
bool header_field_is_known(const char *field);

/* Names are compared without case, spaces, '_' and '-'. A mapping goes before the names, and what
 * it leaves over of the same field is data. False with err INVALID_ARGUMENT, one sentence about
 * all of it: not UTF-8, no phone column, two columns of one field, a mapped column that is not
 * there, too many columns. A nameless column becomes column_5, a repeated data column note_2. */
bool header_read(struct header *header, const struct header_options *options,
                 const struct list_row *row, struct arena *arena, struct err *err);

#endif
