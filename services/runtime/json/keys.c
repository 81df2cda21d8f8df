#include "json/keys.h"

#include <stdlib.h>
#include <string.h>

/* Any total order does: lengths first, which settles most. */
static int compare(const struct json_key *a, const struct json_key *b)
{
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->length ? memcmp(a->data, b->data, a->length) : 0;
}

static int compare_with_index(const void *a, const void *b)
{
    const struct json_key *left = a, *right = b;
    int order = compare(left, right);

    return order ? order : (left->index > right->index) - (left->index < right->index);
}

size_t json_keys_find_repeated(struct json_key *keys, size_t count, bool keep_last, bool *repeated)
{
    size_t marked = 0;

    for (size_t i = 0; i < count; i++) {
        keys[i].index = i;
        repeated[i] = false;
    }
    if (count <= JSON_KEYS_SMALL) {
        for (size_t later = 1; later < count; later++)
            for (size_t earlier = 0; earlier < later; earlier++) {
                size_t loser = keep_last ? earlier : later;

                if (!repeated[loser] && compare(&keys[earlier], &keys[later]) == 0) {
                    repeated[loser] = true;
                    marked++;
                }
            }
        return marked;
    }
    qsort(keys, count, sizeof(*keys), compare_with_index);
    for (size_t i = 1; i < count; i++)
        if (compare(&keys[i - 1], &keys[i]) == 0) {
            repeated[keep_last ? keys[i - 1].index : keys[i].index] = true;
            marked++;
        }
    return marked;
}
