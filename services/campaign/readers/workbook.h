/* workbook: what an .xlsx package says about itself: its sheets, its strings, its date system and
 * which cell styles show dates (ECMA-376 part 1, chapter 18; both its transitional and its strict
 * form). */
#ifndef DIALPLANE_CAMPAIGN_READERS_WORKBOOK_H
#define DIALPLANE_CAMPAIGN_READERS_WORKBOOK_H

#include "base/arena.h"
#include "readers/package.h"
#include "readers/sheet_value.h"

struct workbook {
    const char *sheet_name; /* of the sheet that was asked for */
    const char *sheet_part;
    const char *strings_part; /* NULL: there are none */
    bool is_1904;
    const unsigned char *formats; /* enum sheet_format by style */
    size_t format_count;
};

/* Reads it and finds the sheet. Texts live in the arena. False with err INVALID_ARGUMENT: it is no
 * workbook but something else that is named, it is broken, there is no such sheet. */
bool workbook_read(struct workbook *workbook, struct package *package, const char *wanted_sheet,
                   struct arena *arena, struct err *err);

#endif
