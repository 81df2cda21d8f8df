/* scope_messages: what a watcher of live figures is sent: serialized WatchLiveResponses. */
#ifndef ANALYTICS_LIVE_SCOPE_MESSAGES_H
#define ANALYTICS_LIVE_SCOPE_MESSAGES_H

#include "live/scopes.h"

#include "base/arena.h"
#include "base/buf.h"

#define SCOPE_INTERVAL_MS 1000

/* Each replaces what is in `out`. False when memory is short. */
bool scope_message_init(enum scope_kind kind, const char *id, const char *company_id,
                        const char *name, struct buf *out);
/* rows: of get_live_figures.sql, at least one. The arena is scratch. */
bool scope_message_figures(const struct pg_result *rows, uint64_t seq, struct arena *arena,
                           struct buf *out);

#endif
