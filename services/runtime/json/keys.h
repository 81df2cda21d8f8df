/* keys: which keys of an object were there before. Small objects are compared pairwise, large ones
 * sorted: no hash that a client could aim at. */
#ifndef DIALPLANE_JSON_KEYS_H
#define DIALPLANE_JSON_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two keys are equal when all three members but index are. */
struct json_key {
    const char *data;
    size_t length;
    uint64_t number;
    size_t index; /* filled in by json_keys_find_repeated() */
};

/* Up to this many keys may be passed and answered without memory of their own. */
#define JSON_KEYS_SMALL 16

/* Marks repeats of keys[0..count) in repeated[0..count): of equal keys all but the last when
 * keep_last, else all but the first. May reorder keys. Returns how many are marked. O(n log n)
 * comparisons. */
size_t json_keys_find_repeated(struct json_key *keys, size_t count, bool keep_last, bool *repeated);

#endif
