/* A table of companies and keys by name. Questions about the same one are asked once, whoever
 * waits; a record that is in use is asked for again when half its time is over, so that nobody
 * waits for what is asked for all the time. */
#include "auth/internal.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define LOOKUPS_MAX 1024 /* under way at once */
#define TRIM_SCAN 16     /* how many are looked at for one that can be given up */

TAILQ_HEAD(fact_list, fact);

struct facts {
    const struct clock *clock;
    struct auth_store store;
    unsigned limit, bucket_count;
    int64_t recheck_us;
    uint64_t seed;
    struct fact **buckets;
    struct fact_list all, held;
    unsigned looking;
    struct facts_stats stats;
};

struct facts *facts_new(const struct clock *clock, const struct auth_store *store, unsigned limit,
                        int64_t recheck_us, uint64_t seed)
{
    struct facts *facts = calloc(1, sizeof(*facts));

    if (!facts)
        return NULL;
    *facts = (struct facts){.clock = clock,
                            .store = *store,
                            .limit = limit,
                            .bucket_count = limit > 64 ? limit : 64,
                            .recheck_us = recheck_us,
                            .seed = seed};
    TAILQ_INIT(&facts->all);
    TAILQ_INIT(&facts->held);
    facts->buckets = calloc(facts->bucket_count, sizeof(struct fact *));
    if (facts->buckets)
        return facts;
    free(facts);
    return NULL;
}

static struct fact **place_of(struct facts *facts, enum fact_kind kind, const char *name)
{
    uint64_t hash = XXH3_64bits_withSeed(name, strlen(name), facts->seed + kind);
    struct fact **place = &facts->buckets[hash % facts->bucket_count];

    while (*place && ((*place)->kind != kind || strcmp((*place)->name, name) != 0))
        place = &(*place)->next;
    return place;
}

static void forget(struct fact *fact)
{
    struct facts *facts = fact->facts;
    struct fact **place = place_of(facts, fact->kind, fact->name);

    *place = fact->next;
    TAILQ_REMOVE(&facts->all, fact, link);
    facts->stats.count--;
    free(fact);
}

void facts_free(struct facts *facts)
{
    struct fact *fact;

    if (!facts)
        return;
    while ((fact = TAILQ_FIRST(&facts->all)))
        forget(fact);
    free(facts->buckets);
    free(facts);
}

static bool is_in_use(const struct fact *fact)
{
    return fact->looking || fact->pinned || !TAILQ_EMPTY(&fact->waiters) ||
           !TAILQ_EMPTY(&fact->holds);
}

/* What is being asked for does not count: it may be made up, and is not to push out what is not. */
static bool is_too_full(const struct facts *facts)
{
    return facts->stats.count > facts->limit + facts->looking;
}

static void trim(struct facts *facts)
{
    struct fact *fact = TAILQ_FIRST(&facts->all), *next;

    for (unsigned i = 0; fact && i < TRIM_SCAN && is_too_full(facts); i++) {
        next = TAILQ_NEXT(fact, link);
        if (is_in_use(fact)) { /* not looked at again until the others have been */
            TAILQ_REMOVE(&facts->all, fact, link);
            TAILQ_INSERT_TAIL(&facts->all, fact, link);
        } else {
            forget(fact);
        }
        fact = next;
    }
}

static void on_answer(struct auth_lookup *lookup, const struct auth_record *record,
                      const struct err *err);

struct fact *facts_get(struct facts *facts, enum fact_kind kind, const char *name)
{
    struct fact **place = place_of(facts, kind, name);
    struct fact *fact = *place;

    if (fact) {
        TAILQ_REMOVE(&facts->all, fact, link);
        TAILQ_INSERT_TAIL(&facts->all, fact, link);
        return fact;
    }
    trim(facts);
    place = place_of(facts, kind, name); /* what it hung on may be gone */
    fact = calloc(1, sizeof(*fact));
    if (!fact)
        return NULL;
    fact->facts = facts;
    fact->kind = kind;
    fact->lookup.on_answer = on_answer;
    memcpy(fact->name, name, strlen(name) + 1);
    TAILQ_INIT(&fact->waiters);
    TAILQ_INIT(&fact->holds);
    TAILQ_INSERT_TAIL(&facts->all, fact, link);
    *place = fact;
    facts->stats.count++;
    return fact;
}

static int64_t age_of(const struct fact *fact)
{
    const struct clock *clock = fact->facts->clock;

    return fact->known ? clock->monotonic_us(clock) - fact->looked_us : INT64_MAX;
}

bool fact_is_fresh(struct fact *fact)
{
    int64_t age = age_of(fact);

    if (age >= fact->facts->recheck_us)
        return false;
    if (age > fact->facts->recheck_us / 2)
        fact_look(fact, NULL); /* too many under way: then later */
    fact->facts->stats.recalled++;
    return true;
}

bool fact_look(struct fact *fact, struct err *err)
{
    struct facts *facts = fact->facts;
    const struct auth_store *store = &facts->store;

    if (fact->looking)
        return true;
    if (facts->looking >= LOOKUPS_MAX) {
        err_set(err, ERR_UNAVAILABLE, "OVERLOADED",
                "too many callers are being looked up: try again");
        if (err)
            err->retry_after_seconds = 1;
        if (!fact->known && !is_in_use(fact))
            forget(fact); /* nor does it take anybody's place */
        return false;
    }
    fact->looking = true;
    facts->looking++;
    facts->stats.lookups++;
    if (fact->kind == FACT_COMPANY)
        store->find_company(store->context, fact->name, &fact->lookup);
    else
        store->find_key(store->context, fact->name, &fact->lookup);
    return true;
}

/* Nobody has asked for it before: what nobody has is given up first, so that made-up names push out
 * nothing that is in use. */
static void place_last(struct fact *fact)
{
    struct facts *facts = fact->facts;

    TAILQ_REMOVE(&facts->all, fact, link);
    TAILQ_INSERT_HEAD(&facts->all, fact, link);
}

static void end_holds(struct fact *fact)
{
    const struct clock *clock = fact->facts->clock;
    struct auth_hold *hold;
    struct err gone = {0};

    if (TAILQ_EMPTY(&fact->holds) || !auth_fact_is_gone(fact, clock->wall_us(clock), &gone))
        return;
    while ((hold = TAILQ_FIRST(&fact->holds))) {
        fact_release(hold);
        hold->on_gone(hold, &gone);
    }
}

static void on_answer(struct auth_lookup *lookup, const struct auth_record *record,
                      const struct err *err)
{
    struct fact *fact = (struct fact *)(void *)((char *)lookup - offsetof(struct fact, lookup));
    struct facts *facts = fact->facts;
    struct auth_check_list waiters = TAILQ_HEAD_INITIALIZER(waiters);
    struct auth_check *check;

    fact->looking = false;
    facts->looking--;
    if (record) {
        fact->record = *record;
        fact->record.subject = (struct str){NULL, 0};
        fact->known = true;
        fact->looked_us = facts->clock->monotonic_us(facts->clock);
        if (!record->exists)
            place_last(fact);
    } else {
        facts->stats.failures++;
    }
    fact->pinned = true; /* whoever is told may ask again */
    TAILQ_CONCAT(&waiters, &fact->waiters, link);
    while ((check = TAILQ_FIRST(&waiters))) {
        TAILQ_REMOVE(&waiters, check, link);
        auth_check_fact_came(check, fact, record ? NULL : err);
    }
    if (record)
        end_holds(fact);
    fact->pinned = false;
    trim(facts);
}

void fact_hold(struct fact *fact, struct auth_hold *hold)
{
    if (TAILQ_EMPTY(&fact->holds))
        TAILQ_INSERT_TAIL(&fact->facts->held, fact, held_link);
    TAILQ_INSERT_TAIL(&fact->holds, hold, link);
    hold->fact = fact;
}

void fact_release(struct auth_hold *hold)
{
    struct fact *fact = hold->fact;

    hold->fact = NULL;
    TAILQ_REMOVE(&fact->holds, hold, link);
    if (TAILQ_EMPTY(&fact->holds))
        TAILQ_REMOVE(&fact->facts->held, fact, held_link);
}

/* While the store does not answer, what is held goes on: that nobody can say whether a key has been
 * revoked ends no stream. New callers are refused all the same. */
void facts_tick(struct facts *facts)
{
    struct fact *fact;

    TAILQ_FOREACH (fact, &facts->held, held_link)
        if (age_of(fact) >= facts->recheck_us && !fact_look(fact, NULL))
            break; /* at the next tick */
    trim(facts);
}

void facts_stats(const struct facts *facts, struct facts_stats *ret_stats)
{
    *ret_stats = facts->stats;
}
