/* shared_strings: the table of strings of a workbook, on disk: however many there are, memory holds
 * a small cache of it. Written once, then asked at any place. Blocking. */
#ifndef DIALPLANE_CAMPAIGN_READERS_SHARED_STRINGS_H
#define DIALPLANE_CAMPAIGN_READERS_SHARED_STRINGS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct shared_strings;
/* The files lie in `directory` (NULL: /tmp) and may have `limit` bytes each. */
struct shared_strings *shared_strings_new(const char *directory, int64_t limit, struct err *err);
void shared_strings_free(struct shared_strings *strings);
/* Appends one; false with err RESOURCE_EXHAUSTED or INTERNAL. */
bool shared_strings_add(struct shared_strings *strings, struct str text, struct err *err);
/* All have been added. */
bool shared_strings_finish(struct shared_strings *strings, struct err *err);
int64_t shared_strings_count(const struct shared_strings *strings);
/* The string with that index from 0, valid until the next call. False with err INTERNAL; the index
 * must be below the count. */
bool shared_strings_get(struct shared_strings *strings, int64_t index, struct str *ret_text,
                        struct err *err);

#endif
