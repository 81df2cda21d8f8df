/* header: what the columns of a call list are, by the names in its first row. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_HEADER_H
#define DIALPLANE_CAMPAIGN_DOMAIN_HEADER_H

#include "base/arena.h"
#include "base/err.h"
#include "domain/csv.h"

enum column_kind { COLUMN_DATA, COLUMN_PHONE, COLUMN_NAME, COLUMN_PRIORITY, COLUMN_TIMEZONE };

struct header {
    size_t count;
    enum column_kind *kinds;
    struct str *names; /* unique among the data columns; valid UTF-8 */
};

/* Names are trimmed, and the known ones compared without case. False with err INVALID_ARGUMENT: not
 * UTF-8, no phone_number column, two columns of one known name, too many columns. A nameless column
 * becomes column_5, a repeated one note_2. */
bool header_read(struct header *header, const struct csv_row *row, struct arena *arena,
                 struct err *err);

#endif
