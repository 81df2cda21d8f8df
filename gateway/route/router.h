/* router: a trie over the google.api.http bindings of the schema: verb and raw path → method, with
 * the path's variables. Literal beats * beats **, per segment, with backtracking. Pure; read-only
 * once made: any thread. */
#ifndef GATEWAY_ROUTE_ROUTER_H
#define GATEWAY_ROUTE_ROUTER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "schema/schema.h"

#define ROUTE_SEGMENTS_MAX 32
#define ROUTE_VARIABLE_DEPTH 8

/* A variable of the template: a field path of the request, and the segments that it takes. */
struct route_variable {
    const char *path; /* "id", "filter.company_id": snake_case */
    const struct schema_field *fields[ROUTE_VARIABLE_DEPTH];
    unsigned depth;
    unsigned first_segment;
    unsigned segment_count; /* 0: all that remain ("**") */
};

/* One binding, with what every request on it needs worked out once. */
struct route {
    unsigned index; /* dense, from 0: for figures */
    const struct schema_method *method;
    const struct schema_binding *binding;
    struct route_variable *variables;
    size_t variable_count;
    const struct schema_field *update_mask; /* filled from the body's root keys; NULL: none */
    const struct schema_field *revision;    /* of the response: see etag.h; NULL: none */
    const struct schema_field *file_name, *content_type; /* of an upload's request; NULL: none */
    const struct schema_field *chunk; /* the bytes field of an upload; NULL: no upload */
};

struct router;

/* Every binding of every service with a backend. NULL with err when two collide or a template is
 * wrong: such a .proto does not start. The schema must outlive the router. */
struct router *router_new(const struct schema *schema, struct err *err);
void router_free(struct router *router);
size_t router_route_count(const struct router *router);
const struct route *router_route(const struct router *router, size_t index);

struct route_match {
    const struct route *route;               /* NULL: see status */
    struct str segments[ROUTE_SEGMENTS_MAX]; /* decoded; the verb taken off the last */
    unsigned segment_count;
    unsigned status; /* 200, or 400, 404, 405 */
    enum { ROUTE_GET = 1, ROUTE_PUT = 2, ROUTE_POST = 4, ROUTE_DELETE = 8, ROUTE_PATCH = 16 } allow;
};

/* HEAD is looked up as GET. With 404 and 405 err is left for the caller to word; with 400 err is
 * set. `allow` has every verb that the path is known with (when status is 405, or the verb is
 * OPTIONS). Decoded text lives in the arena. */
void router_find(const struct router *router, struct str verb, struct str path, struct arena *arena,
                 struct route_match *ret_match, struct err *err);
/* "GET, HEAD, PUT, DELETE" into out. */
#define ROUTE_ALLOW_SIZE 48
void router_allow_text(unsigned allow, char out[ROUTE_ALLOW_SIZE]);

#endif
