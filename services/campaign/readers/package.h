/* package: the parts of a zip file (libzip), read one after the other within limits: a count of
 * entries, bytes unpacked in all, and the proportion of each. Blocking. */
#ifndef DIALPLANE_CAMPAIGN_READERS_PACKAGE_H
#define DIALPLANE_CAMPAIGN_READERS_PACKAGE_H

#include "base/err.h"
#include "readers/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKAGE_ENTRIES_MOST 4096

struct package;
/* Keeps its own descriptor of the spool. Errors INVALID_ARGUMENT: no whole zip, too many entries.
 */
struct package *package_open(const struct spool *spool, int64_t unpacked_limit, struct err *err);
void package_close(struct package *package);
/* True when there is such a part; case does not matter, nor does a leading slash. */
bool package_has(struct package *package, const char *name);
/* Begins to read a part; the one before is closed. False with err INVALID_ARGUMENT: missing,
 * encrypted, packed in an unusual way. */
bool package_open_part(struct package *package, const char *name, struct err *err);
/* Up to `size` bytes; 0 at the end, -1 with err INVALID_ARGUMENT or RESOURCE_EXHAUSTED. */
long package_read(struct package *package, void *data, size_t size, struct err *err);
void package_close_part(struct package *package);

#endif
