/* Which principal a credential belongs to. Only services know: the gateway verifies nothing, and
 * what a token says of itself anybody can write. So nobody can put anything in here, or empty
 * another's bucket, without a credential that a service has accepted. */
#include "gateway/policy/rate_limit.h"
#include "gateway/policy/rate_places.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 8
/* After this a service is to say again whose it is. */
#define KEPT_US (10 * 60 * TIME_US_PER_SECOND)

struct entry {
    XXH128_hash_t credential; /* with the secret */
    struct rate_key principal;
    int64_t learnt_us, used_us; /* 0: free */
};

struct rate_credentials {
    struct places places;
    struct entry *entries;
};

struct rate_credentials *rate_credentials_new(size_t entries, struct entropy *entropy)
{
    struct rate_credentials *credentials = calloc(1, sizeof(*credentials));
    size_t sets = places_sets(entries);

    if (!credentials)
        return NULL;
    places_init(&credentials->places, sets, entropy);
    credentials->entries = calloc(sets * WAYS, sizeof(*credentials->entries));
    if (!credentials->entries) {
        rate_credentials_free(credentials);
        return NULL;
    }
    return credentials;
}

void rate_credentials_free(struct rate_credentials *credentials)
{
    if (!credentials)
        return;
    places_done(&credentials->places);
    free(credentials->entries);
    free(credentials);
}

static XXH128_hash_t hash(const struct rate_credentials *credentials, struct str text)
{
    return XXH3_128bits_withSecret(text.data, text.length, credentials->places.secret,
                                   sizeof(credentials->places.secret));
}

/* Its entry, or the one that was not used for longest. */
static struct entry *find(struct rate_credentials *credentials, size_t set, XXH128_hash_t wanted,
                          bool *ret_found)
{
    struct entry *ways = credentials->entries + set * WAYS, *oldest = ways;

    *ret_found = false;
    for (size_t i = 0; i < WAYS; i++) {
        if (ways[i].learnt_us && XXH128_isEqual(ways[i].credential, wanted)) {
            *ret_found = true;
            return &ways[i];
        }
        if (ways[i].used_us < oldest->used_us)
            oldest = &ways[i];
    }
    return oldest;
}

void rate_credentials_learn(struct rate_credentials *credentials, struct str credential,
                            struct str principal, int64_t now_us)
{
    XXH128_hash_t wanted = hash(credentials, credential);
    /* Without a secret: gateways that share their counts must agree. */
    XXH128_hash_t name = XXH3_128bits(principal.data, principal.length);
    size_t set = (size_t)wanted.low64 & credentials->places.mask;
    pthread_mutex_t *lock = places_lock(&credentials->places, set);
    bool found;

    pthread_mutex_lock(lock);
    struct entry *entry = find(credentials, set, wanted, &found);
    entry->credential = wanted;
    memcpy(entry->principal.bytes, &name, sizeof(name));
    entry->learnt_us = entry->used_us = now_us > 0 ? now_us : 1;
    pthread_mutex_unlock(lock);
}

bool rate_credentials_find(struct rate_credentials *credentials, struct str credential,
                           int64_t now_us, struct rate_key *ret_key)
{
    XXH128_hash_t wanted = hash(credentials, credential);
    size_t set = (size_t)wanted.low64 & credentials->places.mask;
    pthread_mutex_t *lock = places_lock(&credentials->places, set);
    bool found;

    pthread_mutex_lock(lock);
    struct entry *entry = find(credentials, set, wanted, &found);
    found = found && now_us - entry->learnt_us < KEPT_US;
    if (found) {
        entry->used_us = now_us;
        *ret_key = entry->principal;
    }
    pthread_mutex_unlock(lock);
    return found;
}

void rate_credentials_forget(struct rate_credentials *credentials, struct str credential)
{
    XXH128_hash_t wanted = hash(credentials, credential);
    size_t set = (size_t)wanted.low64 & credentials->places.mask;
    pthread_mutex_t *lock = places_lock(&credentials->places, set);
    bool found;

    pthread_mutex_lock(lock);
    struct entry *entry = find(credentials, set, wanted, &found);
    if (found)
        memset(entry, 0, sizeof(*entry));
    pthread_mutex_unlock(lock);
}
