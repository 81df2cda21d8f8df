#include "schemas.h"

#include <stdio.h>
#include <stdlib.h>

static struct schema *load_file(const char *path, struct err *err)
{
    static struct buf content; /* the schema keeps pointing into it */
    FILE *file = fopen(path, "rb");
    char chunk[4096];
    size_t got;

    if (!file)
        abort();
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_put(&content, chunk, got);
    fclose(file);
    return schema_load(content.data, content.length, err);
}

const struct fuzz_subject *fuzz_subjects(void)
{
    static struct fuzz_subject subjects[FUZZ_SUBJECTS];
    struct err err = {0};

    if (subjects[0].schema)
        return subjects;
    subjects[0].schema = schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);
    subjects[1].schema = load_file(EVERYTHING_PROTOSET, &err);
    if (!subjects[0].schema || !subjects[1].schema) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    subjects[0].message =
        schema_find_message(subjects[0].schema, STR_LITERAL("dialplane.v1.Skillbase"));
    subjects[1].message =
        schema_find_message(subjects[1].schema, STR_LITERAL("json.test.Everything"));
    if (!subjects[0].message || !subjects[1].message)
        abort();
    return subjects;
}

void fuzz_must_print(const struct fuzz_subject *subject, struct str wire, enum json_print_mode mode,
                     struct buf *out)
{
    struct err err = {0};

    if (!json_print(subject->schema, subject->message, wire, mode, out, &err)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    if (!utf8_is_valid(out->data, out->length))
        abort();
}
