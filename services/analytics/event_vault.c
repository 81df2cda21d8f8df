#include "event_vault.h"

void event_place(struct vault_place *place, const struct uuid *call, int64_t seq)
{
    vault_place_init(place, "call_events.event");
    vault_place_uuid(place, call);
    vault_place_int64(place, seq);
}

struct str event_open(const struct vault *vault, const struct uuid *call, int64_t seq,
                      struct str stored, struct arena *arena, struct err *err)
{
    struct str event = {NULL, 0};
    struct vault_place place;
    struct buf plain;

    if (!vault_is_sealed(stored))
        return stored;
    buf_init(&plain, 0);
    event_place(&place, call, seq);
    if (vault_open(vault, &place, stored, &plain, err)) {
        event = (struct str){arena_memdup(arena, plain.data, plain.length), plain.length};
        if (!event.data)
            err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                    "an event does not fit the memory of one call");
    }
    buf_done(&plain);
    return event;
}
