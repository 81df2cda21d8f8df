/* fixture: what every test of the routes begins with: the platform's own schema, an arena, an empty
 * list of violations. */
#ifndef TESTS_ROUTE_FIXTURE_H
#define TESTS_ROUTE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/wire.h"
#include "gateway/route/router.h"
#include "schema/schema.h"

struct fixture {
    struct schema *schema;
    struct router *router;
    struct arena *arena;
    struct violations violations;
    struct buf out, scratch;
    struct err err;
    struct route_match match;
};

static inline int fixture_setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){0};
    fixture.schema =
        schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &fixture.err);
    if (!fixture.schema || !(fixture.router = router_new(fixture.schema, &fixture.err))) {
        print_error("%s\n", fixture.err.message);
        return -1;
    }
    fixture.arena = arena_new(4 << 20);
    violations_init(&fixture.violations, fixture.arena, 100);
    buf_init(&fixture.out, 0);
    buf_init(&fixture.scratch, 0);
    *state = &fixture;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    buf_done(&fixture->out);
    buf_done(&fixture->scratch);
    arena_free(fixture->arena);
    router_free(fixture->router);
    schema_free(fixture->schema);
    return 0;
}

/* The message of the violation of that field, or NULL. */
static inline const char *violation_of(const struct violations *violations, const char *field)
{
    for (const struct violation *at = violations ? violations->first : NULL; at; at = at->next)
        if (strcmp(at->field, field) == 0)
            return at->message;
    return NULL;
}

static inline void find(struct fixture *fixture, const char *verb, const char *path)
{
    fixture->err = (struct err){0};
    router_find(fixture->router, str_from(verb), str_from(path), fixture->arena, &fixture->match,
                &fixture->err);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
