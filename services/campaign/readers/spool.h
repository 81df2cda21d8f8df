/* spool: a temporary file without a name, within a limit. Blocking; not on the loop's thread. */
#ifndef DIALPLANE_CAMPAIGN_READERS_SPOOL_H
#define DIALPLANE_CAMPAIGN_READERS_SPOOL_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct spool {
    int fd; /* -1: not open */
    int64_t size, limit;
};

#define SPOOL_CLOSED ((struct spool){.fd = -1})

/* In `directory` (NULL: /tmp). Unlinked from the start: it is gone when it is closed, however the
 * process ends. False with err INTERNAL. */
bool spool_open(struct spool *spool, const char *directory, int64_t limit, struct err *err);
void spool_close(struct spool *spool);
/* Appends. False with err RESOURCE_EXHAUSTED, REASON_TOO_LARGE (`what` has passed the limit) or
 * INTERNAL. */
bool spool_write(struct spool *spool, struct str bytes, const char *what, struct err *err);
/* All of it from an offset; false with err INTERNAL also when the file ends before. */
bool spool_read(const struct spool *spool, int64_t offset, void *data, size_t size,
                struct err *err);

#endif
