/* rate_places: where in a table of sets a key has its place: by a hash with a secret of the
 * process, so that nobody outside can aim at a set; and the locks of the sets. For the files of
 * rate_limit.h only. */
#ifndef GATEWAY_POLICY_RATE_PLACES_H
#define GATEWAY_POLICY_RATE_PLACES_H

#include "base/time.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PLACES_LOCKS 64

struct places {
    size_t mask; /* sets - 1 */
    uint8_t secret[192];
    pthread_mutex_t locks[PLACES_LOCKS];
};

/* How many sets hold so many entries. */
size_t places_sets(size_t entries);
void places_init(struct places *places, size_t set_count, struct entropy *entropy);
void places_done(struct places *places);

static inline size_t places_of(const struct places *places, const void *key, size_t length)
{
    return (size_t)XXH3_64bits_withSecret(key, length, places->secret, sizeof(places->secret)) &
           places->mask;
}

static inline pthread_mutex_t *places_lock(struct places *places, size_t set)
{
    return &places->locks[set % PLACES_LOCKS];
}

#endif
