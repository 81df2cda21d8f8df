/* Any text as the URL of a Redis. */
#include "base/arena.h"
#include "bus/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(1 << 20);
    char *text = size < 65536 ? arena_strndup(arena, (const char *)data, size) : NULL;
    struct redis_url url;
    struct err err = {0};

    if (text && redis_url_parse(text, &url, &err) && !url.host[0] == !url.path[0])
        __builtin_trap(); /* neither, or both */
    arena_free(arena);
    return 0;
}
