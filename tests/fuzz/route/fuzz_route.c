/* A verb, a path, a query and a body, each on a line of its own; whatever comes, no crash, and what
 * is accepted is well-formed wire. */
#include "gateway/route/transcode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str take_line(struct str *rest)
{
    const char *end = rest->length ? memchr(rest->data, '\n', rest->length) : NULL;
    struct str line = {rest->data, end ? (size_t)(end - rest->data) : rest->length};

    *rest = end ? (struct str){end + 1, rest->length - line.length - 1} : (struct str){"", 0};
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct schema *schema;
    static struct router *router;
    struct str rest = {(const char *)data, size};
    struct err err = {0};

    if (!schema) {
        schema = schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);
        router = schema ? router_new(schema, &err) : NULL;
        if (!router)
            abort();
    }
    struct arena *arena = arena_new(1 << 20);
    struct route_match match;
    struct buf scratch = {0}, out = {0};
    struct str verb = take_line(&rest), path = take_line(&rest), query = take_line(&rest);
    router_find(router, verb, path, arena, &match, &err);
    if (match.route &&
        transcode_request(schema, &match, query, rest, arena, &scratch, &out, NULL, &err)) {
        struct violations violations;
        violations_init(&violations, arena, 10);
        if (!schema_check(match.route->method->input, buf_str(&out), NULL, &violations, &err))
            abort();
    }
    buf_done(&scratch);
    buf_done(&out);
    arena_free(arena);
    return 0;
}
