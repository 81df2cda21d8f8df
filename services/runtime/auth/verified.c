/* Tokens whose signature has been found good, by all their bytes. A token has WAYS places, of which
 * the one that was not shown for longest is taken: in a table without a choice, two that meet would
 * push each other out with every request, and cost a signature each time. */
#include "auth/internal.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define WAYS 8

struct place {
    uint64_t hash;
    uint64_t shown; /* the table's count when it was shown last */
    char *text;     /* malloc; NULL: free */
    size_t length;
    struct arena *arena; /* of the claims' text */
    struct token claims;
};

struct verified {
    unsigned ways, sets;
    uint64_t shown;
    uint64_t seed; /* so that nobody can choose tokens that push each other out */
    struct place places[];
};

struct verified *verified_new(unsigned limit)
{
    struct entropy entropy;
    unsigned ways = limit < WAYS ? limit : WAYS, sets = limit ? limit / ways : 0;
    struct verified *table = calloc(1, sizeof(*table) + (size_t)ways * sets * sizeof(struct place));

    if (!table)
        return NULL;
    entropy_init_system(&entropy);
    table->seed = entropy_uint64(&entropy);
    table->ways = ways;
    table->sets = sets;
    return table;
}

static void forget(struct place *place)
{
    free(place->text);
    arena_free(place->arena);
    memset(place, 0, sizeof(*place));
}

void verified_clear(struct verified *table)
{
    for (size_t i = 0; i < (size_t)table->ways * table->sets; i++)
        forget(&table->places[i]);
}

void verified_free(struct verified *table)
{
    if (!table)
        return;
    verified_clear(table);
    free(table);
}

static uint64_t hash_of(const struct verified *table, struct str text)
{
    return XXH3_64bits_withSeed(text.data, text.length, table->seed);
}

static struct place *set_of(struct verified *table, uint64_t hash)
{
    return &table->places[hash % table->sets * table->ways];
}

const struct token *verified_find(struct verified *table, struct str text)
{
    if (!table->sets)
        return NULL;
    uint64_t hash = hash_of(table, text);
    struct place *set = set_of(table, hash);

    for (unsigned i = 0; i < table->ways; i++)
        if (set[i].text && set[i].hash == hash && set[i].length == text.length &&
            memcmp(set[i].text, text.data, text.length) == 0) {
            set[i].shown = ++table->shown;
            return &set[i].claims;
        }
    return NULL;
}

void verified_keep(struct verified *table, struct str text, const struct token *token)
{
    struct err err = {0};

    if (!table->sets)
        return;
    uint64_t hash = hash_of(table, text);
    struct place *set = set_of(table, hash), *place = set;
    for (unsigned i = 1; i < table->ways && place->text; i++)
        if (!set[i].text || set[i].shown < place->shown)
            place = &set[i];
    forget(place);
    place->hash = hash;
    place->shown = ++table->shown;
    place->arena = arena_new(8192);
    place->text = malloc(text.length);
    place->length = text.length;
    place->claims = *token;
    if (place->arena && place->text &&
        principal_copy(&token->principal, place->arena, &place->claims.principal, &err))
        memcpy(place->text, text.data, text.length);
    else
        forget(place);
}
