#include "gateway/policy/rate_limit.h"

#include "gateway/policy/rate_places.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 8
#define ENTRIES_MIN ((size_t)64)
#define ENTRIES_MAX ((size_t)1 << 22)
#define NS_PER_US INT64_C(1000)

struct entry {
    struct rate_key key;
    int64_t full_ns[RATE_SLOTS]; /* when the bucket is full again; all 0: the place is free */
    uint32_t untold[RATE_SLOTS]; /* tokens taken that others have not been told of */
};

struct rate_table {
    struct places places;
    struct entry *entries;         /* WAYS to a set */
    _Atomic uint64_t *untold_sets; /* a bit a set: some entry has something untold */
    size_t set_count, collect_at;
};

size_t places_sets(size_t entries)
{
    size_t size = ENTRIES_MIN;

    if (entries > ENTRIES_MAX)
        entries = ENTRIES_MAX;
    while (size < entries)
        size *= 2;
    return size / WAYS;
}

void places_init(struct places *places, size_t set_count, struct entropy *entropy)
{
    places->mask = set_count - 1;
    entropy->fill(entropy, places->secret, sizeof(places->secret));
    for (size_t i = 0; i < PLACES_LOCKS; i++)
        pthread_mutex_init(&places->locks[i], NULL);
}

void places_done(struct places *places)
{
    for (size_t i = 0; i < PLACES_LOCKS; i++)
        pthread_mutex_destroy(&places->locks[i]);
}

struct rate_table *rate_table_new(size_t entries, struct entropy *entropy)
{
    struct rate_table *table = calloc(1, sizeof(*table));

    if (!table)
        return NULL;
    table->set_count = places_sets(entries);
    places_init(&table->places, table->set_count, entropy);
    table->entries = calloc(table->set_count * WAYS, sizeof(*table->entries));
    table->untold_sets = calloc(table->set_count / 64 + 1, sizeof(*table->untold_sets));
    if (!table->entries || !table->untold_sets) {
        rate_table_free(table);
        return NULL;
    }
    return table;
}

void rate_table_free(struct rate_table *table)
{
    if (!table)
        return;
    places_done(&table->places);
    free(table->entries);
    free(table->untold_sets);
    free(table);
}

/* When the last of its buckets is full again. */
static int64_t full_at(const struct entry *entry)
{
    int64_t latest = 0;

    for (size_t i = 0; i < RATE_SLOTS; i++)
        if (entry->full_ns[i] > latest)
            latest = entry->full_ns[i];
    return latest;
}

/* The key's entry, or the place of the one that is full first. The set is locked. */
static struct entry *find(struct rate_table *table, size_t set, const struct rate_key *key)
{
    struct entry *ways = table->entries + set * WAYS, *fullest = ways;
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < WAYS; i++)
        if (memcmp(&ways[i].key, key, sizeof(*key)) == 0)
            return &ways[i];
    for (size_t i = 0; i < WAYS; i++) {
        int64_t at = full_at(&ways[i]);
        if (at < first) {
            first = at;
            fullest = &ways[i];
        }
    }
    memset(fullest, 0, sizeof(*fullest));
    fullest->key = *key;
    return fullest;
}

static void mark_untold(struct rate_table *table, struct entry *entry, size_t set, unsigned slot,
                        uint32_t tokens)
{
    if (entry->untold[slot] <= UINT32_MAX - tokens)
        entry->untold[slot] += tokens;
    atomic_fetch_or_explicit(&table->untold_sets[set / 64], UINT64_C(1) << (set % 64),
                             memory_order_relaxed);
}

void rate_take(struct rate_table *table, const struct rate_key *key, unsigned slot,
               const struct rate_rule *rule, int64_t now_us, struct rate_answer *ret_answer)
{
    size_t set = places_of(&table->places, key->bytes, sizeof(key->bytes));
    pthread_mutex_t *lock = places_lock(&table->places, set);
    int64_t now_ns = now_us * NS_PER_US, holds_ns = rule->interval_ns * rule->burst, missing_ns;

    pthread_mutex_lock(lock);
    struct entry *entry = find(table, set, key);
    int64_t full_ns = entry->full_ns[slot] > now_ns ? entry->full_ns[slot] : now_ns;
    ret_answer->allowed = full_ns + rule->interval_ns - now_ns <= holds_ns;
    if (ret_answer->allowed) {
        full_ns += rule->interval_ns;
        entry->full_ns[slot] = full_ns;
        mark_untold(table, entry, set, slot, 1);
    }
    pthread_mutex_unlock(lock);
    missing_ns = full_ns - now_ns;
    ret_answer->remaining =
        missing_ns < holds_ns ? (uint32_t)((holds_ns - missing_ns) / rule->interval_ns) : 0;
    ret_answer->full_us = missing_ns / NS_PER_US;
    ret_answer->retry_us =
        ret_answer->allowed ? 0 : (missing_ns + rule->interval_ns - holds_ns) / NS_PER_US + 1;
}

void rate_charge(struct rate_table *table, const struct rate_key *key, unsigned slot,
                 const struct rate_rule *rule, uint32_t tokens, bool share, int64_t now_us)
{
    size_t set = places_of(&table->places, key->bytes, sizeof(key->bytes));
    pthread_mutex_t *lock = places_lock(&table->places, set);
    int64_t now_ns = now_us * NS_PER_US, most_ns = 2 * rule->interval_ns * rule->burst;

    if (tokens > 2 * rule->burst)
        tokens = 2 * rule->burst;
    pthread_mutex_lock(lock);
    struct entry *entry = find(table, set, key);
    int64_t full_ns = entry->full_ns[slot] > now_ns ? entry->full_ns[slot] : now_ns;
    full_ns += rule->interval_ns * tokens;
    entry->full_ns[slot] = full_ns - now_ns > most_ns ? now_ns + most_ns : full_ns;
    if (share)
        mark_untold(table, entry, set, slot, tokens);
    pthread_mutex_unlock(lock);
}

/* One set's news, copied out: `give` is not called under the lock. False: there is no room. */
static bool collect_set(struct rate_table *table, size_t set, size_t *room,
                        void (*give)(void *context, const struct rate_key *key, unsigned slot,
                                     uint32_t tokens),
                        void *context)
{
    struct entry copies[WAYS];
    struct entry *ways = table->entries + set * WAYS;
    pthread_mutex_t *lock = places_lock(&table->places, set);

    if (*room < WAYS * RATE_SLOTS)
        return false;
    pthread_mutex_lock(lock);
    memcpy(copies, ways, sizeof(copies));
    for (size_t i = 0; i < WAYS; i++)
        memset(ways[i].untold, 0, sizeof(ways[i].untold));
    atomic_fetch_and_explicit(&table->untold_sets[set / 64], ~(UINT64_C(1) << (set % 64)),
                              memory_order_relaxed);
    pthread_mutex_unlock(lock);
    for (size_t i = 0; i < WAYS; i++)
        for (unsigned slot = 0; slot < RATE_SLOTS; slot++)
            if (copies[i].untold[slot]) {
                give(context, &copies[i].key, slot, copies[i].untold[slot]);
                --*room;
            }
    return true;
}

size_t rate_collect(struct rate_table *table, size_t most,
                    void (*give)(void *context, const struct rate_key *key, unsigned slot,
                                 uint32_t tokens),
                    void *context)
{
    size_t words = table->set_count / 64 + 1, room = most;

    for (size_t n = 0; n < words; n++) {
        size_t word = (table->collect_at + n) % words;
        uint64_t bits = atomic_load_explicit(&table->untold_sets[word], memory_order_relaxed);
        while (bits) {
            size_t set = word * 64 + (size_t)__builtin_ctzll(bits);
            bits &= bits - 1;
            if (!collect_set(table, set, &room, give, context)) {
                table->collect_at = word;
                return most - room;
            }
        }
    }
    return most - room;
}
