/* A key set that may be anything: read or refused with a sentence, and nothing is left behind. */
#include "auth/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_set *set = malloc(sizeof(*set));
    struct err err = {0};

    if (!set)
        return 0;
    if (key_set_parse((const char *)data, size, true, set, &err)) {
        if (!set->count || err_is_set(&err))
            abort();
        key_set_done(set);
    } else if (!err.message[0]) {
        abort();
    }
    free(set);
    return 0;
}
