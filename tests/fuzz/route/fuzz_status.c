/* What a service says about a failure: message, a line end, google.rpc.Status. */
#include "gateway/upstream/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(1 << 20);
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t length = end ? (size_t)(end - data) : size;
    char *message = arena_memdup(arena, data, length);
    struct str rest = {end ? (const char *)end + 1 : "", end ? size - length - 1 : 0};
    struct err err = {0};

    status_read(3, message, length, rest, 0, arena, &err);
    status_read_details(rest, arena, &err);
    arena_free(arena);
    return 0;
}
