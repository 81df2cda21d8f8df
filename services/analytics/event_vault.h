/* event_vault: events of calls as they lie in call_events.event: serialized, and sealed in their
 * place when there are keys. */
#ifndef DIALPLANE_ANALYTICS_EVENT_VAULT_H
#define DIALPLANE_ANALYTICS_EVENT_VAULT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/uuid.h"
#include "vault/vault.h"

void event_place(struct vault_place *place, const struct uuid *call, int64_t seq);
/* The event itself: `stored`, or in the arena. NULL data: err says why, as vault_open(). */
struct str event_open(const struct vault *vault, const struct uuid *call, int64_t seq,
                      struct str stored, struct arena *arena, struct err *err);

#endif
