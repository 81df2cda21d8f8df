/* The recorded examples: gateway/pages/examples/<operation>.json, written by
 * tests/contract/examples.py from real answers. A file is a JSON object with one member a line, so
 * that taking one out needs no parser. */
#include "gateway/pages/openapi_writer.h"
#include "gateway/pages/pages.h"

#include <stdio.h>
#include <string.h>

static struct str file_of(const char *operation)
{
    char path[160];
    int length = snprintf(path, sizeof(path), "/%s.json", operation);
    for (size_t i = 0; length > 0 && i < gateway_examples_count; i++)
        if (strcmp(gateway_examples[i].path, path) == 0)
            return (struct str){(const char *)gateway_examples[i].data, gateway_examples[i].size};
    return (struct str){NULL, 0};
}

bool write_example(struct writer *writer, const char *operation, const char *part)
{
    struct str file = file_of(operation);
    char start[160];
    int length = snprintf(start, sizeof(start), "\n\"%s\": ", part);
    if (!file.length || length <= 0 || (size_t)length >= sizeof(start))
        return false;
    const char *at = memmem(file.data, file.length, start, (size_t)length);
    if (!at)
        return false;
    at += length;
    const char *end = memchr(at, '\n', (size_t)(file.data + file.length - at));
    if (!end)
        return false;
    if (end[-1] == ',')
        end--;
    write_key(writer, "example");
    write_raw_str(writer, (struct str){at, (size_t)(end - at)});
    return true;
}
