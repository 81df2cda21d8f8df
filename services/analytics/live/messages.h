/* messages: what a watcher is sent: serialized WatchCallResponses. Pure. */
#ifndef ANALYTICS_LIVE_MESSAGES_H
#define ANALYTICS_LIVE_MESSAGES_H

#include "live/watched.h"

#include "base/buf.h"

/* Each replaces what is in `out`. False when memory is short. */
bool message_init(const struct watched *watched, const struct prices *prices, uint64_t after_seq,
                  struct buf *out);
bool message_metrics(const struct watched *watched, const struct prices *prices, uint64_t seq,
                     struct buf *out);
/* A stored event as a message: a turn, or a change of status (the end is one, too). An event that
 * watchers are not sent (the start) leaves `out` empty. False when the bytes are not an event. */
bool message_event(struct str event, struct buf *out);

#endif
