/* Any bytes as wire: an error, or UTF-8 text that is well-formed JSON, in both modes alike. */
#include "schemas.h"

#include <stdlib.h>

static void check(const struct fuzz_subject *subject, struct str wire, enum json_print_mode mode)
{
    struct buf text = {0}, again = {0};
    struct err err = {0};
    struct arena *arena = arena_new(100000);
    struct violations violations;

    violations_init(&violations, arena, 5);
    if (json_print(subject->schema, subject->message, wire, mode, &text, &err)) {
        if (!utf8_is_valid(text.data, text.length))
            abort();
        /* Well-formed is what reading it says; that it has the right types is known to the fields
         * alone. */
        struct err malformed = {0};

        if (!json_parse(subject->schema, subject->message, buf_str(&text), NULL, &again,
                        &violations, &malformed) &&
            malformed.code == ERR_INVALID_ARGUMENT &&
            __builtin_strcmp(malformed.reason, "TOO_DEEP") != 0)
            abort();
    } else if (err.code != ERR_INTERNAL && err.code != ERR_RESOURCE_EXHAUSTED) {
        abort();
    }
    arena_free(arena);
    buf_done(&text);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int i = 0; i < FUZZ_SUBJECTS; i++) {
        check(&fuzz_subjects()[i], (struct str){(const char *)data, size}, JSON_PRINT_CONTRACT);
        check(&fuzz_subjects()[i], (struct str){(const char *)data, size}, JSON_PRINT_COMPACT);
    }
    return 0;
}
