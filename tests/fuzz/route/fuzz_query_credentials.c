/* A query: whatever it is, no crash; a ticket that was taken out is not in the rest, and what is
 * refused is not repeated. */
#include "gateway/route/query_credentials.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str query = {(const char *)data, size}, rest, ticket, again, none;
    struct arena *arena = arena_new(1 << 20);
    struct err err = {0};

    if (!arena)
        return 0;
    if (query_credentials(query, arena, &rest, &ticket, &err)) {
        if (rest.length > query.length || (ticket.data && rest.length >= query.length) ||
            !query_credentials(rest, arena, &again, &none, &err) || none.data ||
            !str_equal(rest, again))
            abort();
    } else if (!err.message[0]) {
        abort();
    }
    arena_free(arena);
    return 0;
}
