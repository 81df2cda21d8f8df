/* A configuration file that is read can be edited, and then says what was asked for. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(1 << 22);
    struct config config, after;
    struct err err = {0};
    struct buf changed;
    buf_init(&changed, 2 * CONFIG_SIZE_LIMIT);
    bool ok = arena && size < CONFIG_SIZE_LIMIT - 100 &&
              config_parse((struct str){(const char *)data, size}, arena, &config, &err);
    if (ok && config.profile_count < CONFIG_PROFILES_MAX) {
        config_edit((struct str){(const char *)data, size}, "fresh-one", "token", "a = b",
                    &changed);
        if (!config_parse(buf_str(&changed), arena, &after, &err))
            abort();
        const struct config_profile *profile = config_find(&after, "fresh-one");
        if (!profile || strcmp(profile->values[CONFIG_TOKEN], "a = b") != 0 ||
            after.profile_count < config.profile_count)
            abort();
    }
    buf_done(&changed);
    arena_free(arena);
    return 0;
}
