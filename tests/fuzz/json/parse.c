/* Any text: refused with a place, refused with violations, or read; and what was read prints, reads
 * and prints the same. */
#include "schemas.h"

#include <stdlib.h>

/* depth_limit: what is printed shows empty lists and maps, which are a level of their own. */
static bool parse(const struct fuzz_subject *subject, struct str text, unsigned depth_limit,
                  struct buf *out)
{
    struct json_parse_options options = {.depth_limit = depth_limit};
    struct arena *arena = arena_new(100000);
    struct violations violations;
    struct err err = {0};

    violations_init(&violations, arena, 5);
    bool ok = json_parse(subject->schema, subject->message, text, &options, out, &violations, &err);

    if (!ok && (!err.code || !err.message[0] || out->length))
        abort();
    ok = ok && violations.count == 0;
    arena_free(arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int i = 0; i < FUZZ_SUBJECTS; i++) {
        const struct fuzz_subject *subject = &fuzz_subjects()[i];
        struct buf wire = {0}, text = {0}, again = {0}, text_again = {0};

        if (parse(subject, (struct str){(const char *)data, size}, 0, &wire)) {
            fuzz_must_print(subject, buf_str(&wire), JSON_PRINT_CONTRACT, &text);
            if (!parse(subject, buf_str(&text), 200, &again))
                abort();
            fuzz_must_print(subject, buf_str(&again), JSON_PRINT_CONTRACT, &text_again);
            if (!str_equal(buf_str(&text), buf_str(&text_again)))
                abort();
        }
        buf_done(&wire);
        buf_done(&text);
        buf_done(&again);
        buf_done(&text_again);
    }
    return 0;
}
