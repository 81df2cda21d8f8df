#include "gateway/route/router.h"

#include "gateway/route/percent.h"
#include "gateway/route/template.h"

#include <stdio.h>
#include <stdlib.h>

/* A leaf: the bindings that end at a node, each under its custom verb ("" for none). */
struct leaf {
    const char *custom_verb;
    const struct route *routes[5]; /* by the bit of `allow` */
    struct leaf *next;
};

struct child {
    struct str text;
    struct node *node;
};

struct node {
    struct child *literals; /* sorted */
    size_t literal_count;
    struct node *star;
    struct node *star_star;
    struct leaf *leaves;
};

struct router {
    struct arena *arena;
    struct node *root;
    struct route *routes;
    size_t route_count;
    bool has_custom_verbs;
};

static const char *const verb_names[] = {"GET", "PUT", "POST", "DELETE", "PATCH"};

static int verb_index(struct str verb)
{
    if (str_equal_cstr(verb, "HEAD"))
        return 0;
    for (int i = 0; i < 5; i++)
        if (str_equal_cstr(verb, verb_names[i]))
            return i;
    return -1;
}

static int compare(struct str a, struct str b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static struct node *find_literal(const struct node *node, struct str text)
{
    size_t low = 0, high = node->literal_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(text, node->literals[middle].text);
        if (order == 0)
            return node->literals[middle].node;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static struct node *add_literal(struct router *router, struct node *node, struct str text)
{
    struct node *found = find_literal(node, text);
    struct child *literals;
    size_t at = 0;

    if (found)
        return found;
    literals = ARENA_ARRAY(router->arena, struct child, node->literal_count + 1);
    found = ARENA_NEW(router->arena, struct node);
    if (!literals || !found)
        return NULL;
    while (at < node->literal_count && compare(node->literals[at].text, text) < 0)
        at++;
    if (node->literal_count) {
        memcpy(literals, node->literals, at * sizeof(*literals));
        memcpy(literals + at + 1, node->literals + at,
               (node->literal_count - at) * sizeof(*literals));
    }
    literals[at] = (struct child){text, found};
    node->literals = literals;
    node->literal_count++;
    return found;
}

static struct node *add_segment(struct router *router, struct node *node,
                                const struct template_segment *segment)
{
    struct node **place = segment->kind == TEMPLATE_STAR ? &node->star : &node->star_star;

    if (segment->kind == TEMPLATE_LITERAL)
        return add_literal(router, node, segment->literal);
    if (!*place)
        *place = ARENA_NEW(router->arena, struct node);
    return *place;
}

static struct leaf *find_leaf(const struct node *node, struct str custom_verb)
{
    for (struct leaf *leaf = node->leaves; leaf; leaf = leaf->next)
        if (str_equal_cstr(custom_verb, leaf->custom_verb))
            return leaf;
    return NULL;
}

static bool add_route(struct router *router, const struct route *route,
                      const struct template *parsed, struct err *err)
{
    struct node *node = router->root;
    int verb = verb_index(str_from(route->binding->verb));

    if (verb < 0)
        return err_set(err, ERR_INTERNAL, NULL, "%s: HTTP verb %s is not served",
                       route->method->path, route->binding->verb);
    for (unsigned i = 0; i < parsed->segment_count; i++) {
        node = add_segment(router, node, &parsed->segments[i]);
        if (!node)
            return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory for routes");
    }
    struct leaf *leaf = find_leaf(node, parsed->custom_verb);
    if (!leaf) {
        leaf = ARENA_NEW(router->arena, struct leaf);
        if (!leaf || !(leaf->custom_verb = arena_strndup(router->arena, parsed->custom_verb.data,
                                                         parsed->custom_verb.length)))
            return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory for routes");
        leaf->next = node->leaves;
        node->leaves = leaf;
        if (leaf->custom_verb[0])
            router->has_custom_verbs = true;
    }
    if (leaf->routes[verb])
        return err_set(err, ERR_INTERNAL, NULL, "%s and %s are both bound to %s %s",
                       leaf->routes[verb]->method->path, route->method->path, route->binding->verb,
                       route->binding->template_text);
    leaf->routes[verb] = route;
    return true;
}

/* What the response's ETag and an upload's first message need. */
static void plan_route(struct route *route)
{
    const struct schema_method *method = route->method;
    const struct schema_field *body = route->binding->body_field;

    for (size_t i = 0; i < method->output->field_count; i++)
        if (method->output->fields[i].rules.revision)
            route->revision = &method->output->fields[i];
    if (method->client_streaming) {
        if (body && body->type == SCHEMA_BYTES)
            route->chunk = body;
        route->file_name = schema_find_field(method->input, STR_LITERAL("file_name"));
        route->content_type = schema_find_field(method->input, STR_LITERAL("content_type"));
        return;
    }
    const struct schema_field *mask = schema_find_field(method->input, STR_LITERAL("update_mask"));
    if (body && mask && mask->message && mask->message->well_known == SCHEMA_FIELD_MASK)
        route->update_mask = mask;
}

static bool init_route(struct router *router, struct route *route, struct err *err)
{
    struct template parsed;

    if (!template_parse(route->binding->template_text, route->method->input, router->arena, &parsed,
                        err))
        return false;
    route->variables = parsed.variables;
    route->variable_count = parsed.variable_count;
    plan_route(route);
    if (route->method->client_streaming && !route->chunk)
        return err_set(err, ERR_INTERNAL, NULL, "%s: a client stream needs a bytes field as body",
                       route->method->path);
    return add_route(router, route, &parsed, err);
}

struct router *router_new(const struct schema *schema, struct err *err)
{
    struct router *router = calloc(1, sizeof(*router));
    size_t count = 0;

    if (!router || !(router->arena = arena_new(4 << 20)) ||
        !(router->root = ARENA_NEW(router->arena, struct node)))
        goto no_memory;
    for (size_t s = 0; s < schema->service_count; s++)
        for (size_t m = 0; m < schema->services[s].method_count; m++)
            count += schema->services[s].methods[m].binding_count;
    router->routes = ARENA_ARRAY(router->arena, struct route, count + 1);
    if (!router->routes)
        goto no_memory;
    for (size_t s = 0; s < schema->service_count; s++) {
        const struct schema_service *service = &schema->services[s];
        if (!service->backend || !service->backend[0])
            continue;
        for (size_t m = 0; m < service->method_count; m++) {
            for (size_t b = 0; b < service->methods[m].binding_count; b++) {
                struct route *route = &router->routes[router->route_count];
                route->index = (unsigned)router->route_count++;
                route->method = &service->methods[m];
                route->binding = &service->methods[m].bindings[b];
                if (!init_route(router, route, err))
                    goto fail;
            }
        }
    }
    return router;

no_memory:
    err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory for routes");
fail:
    router_free(router);
    return NULL;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    arena_free(router->arena);
    free(router);
}

size_t router_route_count(const struct router *router)
{
    return router->route_count;
}

const struct route *router_route(const struct router *router, size_t index)
{
    return &router->routes[index];
}

/* One look-up on its way down the trie. */
struct search {
    const struct str *segments;
    unsigned count;
    struct str custom_verb;
    int verb; /* -1: none of ours, only `allow` is wanted */
    unsigned allow;
};

static const struct route *take_leaf(const struct node *node, struct search *search)
{
    const struct leaf *leaf = find_leaf(node, search->custom_verb);

    if (!leaf)
        return NULL;
    for (unsigned i = 0; i < 5; i++)
        if (leaf->routes[i])
            search->allow |= 1u << i;
    return search->verb >= 0 ? leaf->routes[search->verb] : NULL;
}

/* Depth is bounded by the templates, and each step has at most three ways on. */
static const struct route *descend(const struct node *node, unsigned at, struct search *search)
{
    const struct route *route;

    if (at == search->count) {
        if ((route = take_leaf(node, search)))
            return route;
        return node->star_star ? take_leaf(node->star_star, search) : NULL;
    }
    const struct node *literal = find_literal(node, search->segments[at]);
    if (literal && (route = descend(literal, at + 1, search)))
        return route;
    if (node->star && search->segments[at].length && (route = descend(node->star, at + 1, search)))
        return route;
    return node->star_star ? take_leaf(node->star_star, search) : NULL;
}

/* Splits on raw '/', before anything is decoded: %2F is a character of a segment. */
static unsigned split(struct str path, struct arena *arena, struct route_match *match,
                      struct err *err)
{
    struct str rest = {path.data + 1, path.length - 1};

    for (;;) {
        const char *slash = rest.length ? memchr(rest.data, '/', rest.length) : NULL;
        struct str raw = {rest.data, slash ? (size_t)(slash - rest.data) : rest.length};
        if (match->segment_count == ROUTE_SEGMENTS_MAX)
            return 404;
        enum percent_result result =
            percent_decode(raw, false, arena, &match->segments[match->segment_count]);
        if (result != PERCENT_OK) {
            err_set(err,
                    result == PERCENT_NO_MEMORY ? ERR_RESOURCE_EXHAUSTED : ERR_INVALID_ARGUMENT,
                    NULL, "The path %s", percent_problem(result));
            return 400;
        }
        match->segment_count++;
        if (!slash)
            return 200;
        rest = (struct str){slash + 1, rest.length - raw.length - 1};
    }
}

void router_find(const struct router *router, struct str verb, struct str path, struct arena *arena,
                 struct route_match *ret_match, struct err *err)
{
    struct route_match *match = ret_match;
    struct search search = {.segments = match->segments, .verb = verb_index(verb)};

    match->route = NULL;
    match->segment_count = 0;
    match->allow = 0;
    if (!path.length || path.data[0] != '/') {
        match->status = 404;
        return;
    }
    match->status = split(path, arena, match, err);
    if (match->status != 200)
        return;
    search.count = match->segment_count;

    /* The verb is looked for in the raw text: an escaped colon is a colon of the value. */
    const char *slash = memrchr(path.data, '/', path.length);
    const char *raw_colon = memrchr(slash, ':', (size_t)(path.data + path.length - slash));
    struct str *last = &match->segments[match->segment_count - 1];
    const char *colon = raw_colon ? memrchr(last->data, ':', last->length) : NULL;
    if (router->has_custom_verbs && colon) {
        struct str whole = *last;
        search.custom_verb =
            (struct str){colon + 1, (size_t)(last->data + last->length - colon - 1)};
        last->length = (size_t)(colon - last->data);
        match->route = descend(router->root, 0, &search);
        if (!match->route)
            *last = whole;
    }
    if (!match->route) {
        search.custom_verb = (struct str){NULL, 0};
        match->route = descend(router->root, 0, &search);
    }
    match->allow = search.allow;
    if (!match->route)
        match->status = search.allow ? 405 : 404;
}

void router_allow_text(unsigned allow, char out[ROUTE_ALLOW_SIZE])
{
    size_t used = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < 5; i++)
        if (allow & 1u << i)
            used += (size_t)snprintf(out + used, ROUTE_ALLOW_SIZE - used, "%s%s", used ? ", " : "",
                                     i == 0 ? "GET, HEAD" : verb_names[i]);
}
