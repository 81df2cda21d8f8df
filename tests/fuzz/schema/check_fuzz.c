/* schema_check on any bytes: the fast and the exact walk agree, and what passes decodes in
 * protobuf-c. */
#include "schema/internal.h"

#include "dialplane/v1/skillbase.pb-c.h"

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
    if (taken) {
        void *request = dialplane__v1__create_skillbase_request__unpack(NULL, size, data);

        /* protobuf-c 1.4 cannot merge a message in pieces where an optional field is unset: that
         * alone it may refuse. */
        if (!request && fast)
            abort();
        if (request)
            dialplane__v1__create_skillbase_request__free_unpacked(request, NULL);
    }
    arena_free(arena);
    return 0;
}
