/* The statements a pool has seen, numbered: the server knows them by name, connections by number.
 */
#include "pg/internal.h"

#include "base/log.h"

#include <stdlib.h>

/* PostgreSQL cuts the names of prepared statements silently beyond 63 bytes, of which one is for
 * identity_statement_name(). */
#define NAME_LIMIT 62

/* A batch of reads that takes longer than this makes its statements suspects: they run alone until
 * each has been quick so often in a row. The server sends the answers of a batch at its end, so one
 * slow read delays all its neighbours. A false suspicion costs a few batches of one. */
#define SLOW_US INT64_C(30000)
#define SLOW_EACH_US INT64_C(1000)
#define QUICK_RUNS 8

static uint32_t name_hash(const char *name)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619U;
    return hash;
}

static void buckets_insert(struct statements *statements, size_t slot)
{
    size_t mask = statements->bucket_count - 1;
    size_t at = name_hash(statements->items[slot]->name) & mask;
    while (statements->buckets[at])
        at = (at + 1) & mask;
    statements->buckets[at] = (uint32_t)slot + 1;
}

static void statements_grow(struct statements *statements)
{
    statements->capacity = statements->capacity ? statements->capacity * 2 : 64;
    const struct pg_statement **items = xcalloc(statements->capacity, sizeof(*items));
    if (statements->count)
        memcpy(items, statements->items, statements->count * sizeof(*items));
    free(statements->items);
    statements->items = items;
    unsigned char *slow = xcalloc(statements->capacity, sizeof(*slow));
    if (statements->count)
        memcpy(slow, statements->slow, statements->count);
    free(statements->slow);
    statements->slow = slow;

    struct pg_statement_stats *stats = xcalloc(statements->capacity, sizeof(*stats));
    if (statements->count)
        memcpy(stats, statements->stats, statements->count * sizeof(*stats));
    free(statements->stats);
    statements->stats = stats;

    free(statements->buckets);
    statements->bucket_count = statements->capacity * 4;
    statements->buckets = xcalloc(statements->bucket_count, sizeof(*statements->buckets));
    for (size_t slot = 0; slot < statements->count; slot++)
        buckets_insert(statements, slot);
}

bool statements_find(struct statements *statements, const struct pg_statement *statement,
                     size_t *ret_slot, struct err *err)
{
    if (statements->bucket_count) {
        size_t mask = statements->bucket_count - 1;
        for (size_t at = name_hash(statement->name) & mask; statements->buckets[at];
             at = (at + 1) & mask) {
            size_t slot = statements->buckets[at] - 1;
            const struct pg_statement *known = statements->items[slot];
            if (strcmp(known->name, statement->name) != 0)
                continue;
            if (known->text != statement->text && strcmp(known->text, statement->text) != 0) {
                log_event(LOG_LEVEL_ERROR, "sql_statement_name_used_twice",
                          log_text("statement", statement->name));
                return err_set(err, ERR_INTERNAL, NULL, "internal error");
            }
            *ret_slot = slot;
            return true;
        }
    }
    if (strlen(statement->name) > NAME_LIMIT) {
        log_event(LOG_LEVEL_ERROR, "sql_statement_name_too_long",
                  log_text("statement", statement->name));
        return err_set(err, ERR_INTERNAL, NULL, "internal error");
    }
    if (statements->count == statements->capacity)
        statements_grow(statements);
    statements->items[statements->count] = statement;
    statements->stats[statements->count].name = statement->name;
    buckets_insert(statements, statements->count);
    *ret_slot = statements->count++;
    return true;
}

void statements_done(struct statements *statements)
{
    free(statements->items);
    free(statements->slow);
    free(statements->stats);
    free(statements->buckets);
}

void statements_learn(struct statements *statements, const struct connection *connection,
                      int64_t took_us)
{
    int64_t queries = 0;
    for (unsigned i = 0; i < connection->step_count; i++)
        queries += connection->steps[i].kind == STEP_QUERY;
    bool slow = took_us > SLOW_US + queries * SLOW_EACH_US;
    if (!slow && queries != 1)
        return;
    for (unsigned i = 0; i < connection->step_count; i++) {
        const struct step *step = &connection->steps[i];
        if (step->kind != STEP_QUERY)
            continue;
        unsigned char *runs = &statements->slow[step->slot];
        if (slow)
            *runs = QUICK_RUNS;
        else if (*runs)
            --*runs;
    }
}
