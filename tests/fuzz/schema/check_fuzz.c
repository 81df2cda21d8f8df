/* schema_check on any bytes: what the fast walk lets through, the exact one finds nothing in. */
#include "schema/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct schema_message *message;
    struct str wire = {(const char *)data, size};
    struct violations violations;
    struct err err = {0};

    if (!message)
        message = schema_find_message(
            schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err),
            STR_LITERAL("dialplane.v1.CreateSkillbaseRequest"));
    struct arena *arena = arena_new(1 << 20);

    violations_init(&violations, arena, 20);
    bool fast = check_fast(message, wire, NULL);
    bool taken = check_exactly(message, wire, NULL, &violations, &err);

    if (fast && (!taken || violations.count))
        abort();
    arena_free(arena);
    return 0;
}
