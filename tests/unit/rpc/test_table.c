/* The table of methods: every mistake a handler table can have stops the start with a sentence that
 * names the method. */
#include "load_echo.h"
#include "rpc/internal.h"
#include "test_rpc.h"

#include <echo.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct schema *schema;

static int load(void **state)
{
    (void)state;
    schema = load_echo();
    return schema ? 0 : 1;
}

static int unload(void **state)
{
    (void)state;
    schema_free(schema);
    return 0;
}

static void handle(struct rpc_call *call, const void *request)
{
    (void)call;
    (void)request;
}

static void end(struct rpc_call *call)
{
    (void)call;
}

#define ECHO "/dialplane.test.EchoService/"
enum { AT_ECHO, AT_COUNT, AT_SUM, AT_STATE, HANDLER_COUNT };

static void good_handlers(struct rpc_handler out[HANDLER_COUNT])
{
    const struct rpc_handler good[HANDLER_COUNT] = {
        {.path = ECHO "Echo",
         .request = &dialplane__test__echo_request__descriptor,
         .response = &dialplane__test__echo_reply__descriptor,
         .handle = handle},
        {.path = ECHO "Count",
         .request = &dialplane__test__count_request__descriptor,
         .response = &dialplane__test__count_reply__descriptor,
         .handle = handle},
        {.path = ECHO "Sum",
         .request = &dialplane__test__sum_request__descriptor,
         .response = &dialplane__test__sum_reply__descriptor,
         .on_message = handle,
         .on_end = end,
         .on_gone = end},
        {.path = ECHO "State",
         .request = &dialplane__test__state_request__descriptor,
         .response = &dialplane__test__state_reply__descriptor,
         .handle = handle},
    };
    memcpy(out, good, sizeof(good));
}

/* The message of the refusal; empty when the table was taken. */
static const char *make(const char *service, const struct rpc_handler *handlers, size_t count,
                        size_t *ret_methods)
{
    static struct err err;
    const char *const services[] = {service, NULL};
    struct rpc_server server = {.schema = schema, .arena = arena_new(1 << 20)};
    err = (struct err){0};
    bool good = rpc_table_make(&server, services, handlers, count, &err);
    assert_int_equal(good, !err_is_set(&err));
    if (ret_methods)
        *ret_methods = server.method_count;
    arena_free(server.arena);
    return err.message;
}

static const char *refusal(const struct rpc_handler *handlers, size_t count)
{
    return make("dialplane.test.EchoService", handlers, count, NULL);
}

static void test_good(void **state)
{
    (void)state;
    struct rpc_handler handlers[HANDLER_COUNT];
    size_t methods;
    good_handlers(handlers);
    handlers[AT_ECHO].partial_field = "config";
    assert_string_equal(make("dialplane.test.EchoService", handlers, HANDLER_COUNT, &methods), "");
    assert_int_equal(methods, 4 + 2 + 1 + 1 + 1); /* health, two reflections, the unknown one */
}

static void test_missing_and_too_many(void **state)
{
    (void)state;
    struct rpc_handler handlers[HANDLER_COUNT + 1];
    good_handlers(handlers);
    assert_string_equal(refusal(handlers, HANDLER_COUNT - 1), ECHO "State has no handler");
    handlers[HANDLER_COUNT] = handlers[AT_ECHO];
    assert_string_equal(refusal(handlers, HANDLER_COUNT + 1),
                        ECHO "Echo has more than one handler");
    handlers[HANDLER_COUNT].path = ECHO "Ecco";
    assert_string_equal(refusal(handlers, HANDLER_COUNT + 1),
                        ECHO "Ecco is no method of the services served");
    assert_string_equal(make("dialplane.test.Nobody", handlers, HANDLER_COUNT, NULL),
                        "the schema has no service dialplane.test.Nobody");
}

static void test_wrong_kind(void **state)
{
    (void)state;
    struct rpc_handler handlers[HANDLER_COUNT];
    good_handlers(handlers);
    handlers[AT_SUM].on_gone = NULL;
    assert_non_null(strstr(refusal(handlers, HANDLER_COUNT), ECHO "Sum streams from the client"));
    good_handlers(handlers);
    handlers[AT_COUNT].on_end = end;
    assert_non_null(strstr(refusal(handlers, HANDLER_COUNT), ECHO "Count takes one message"));
    good_handlers(handlers);
    handlers[AT_ECHO].handle = NULL;
    assert_non_null(strstr(refusal(handlers, HANDLER_COUNT), ECHO "Echo takes one message"));
}

static void test_wrong_types(void **state)
{
    (void)state;
    struct rpc_handler handlers[HANDLER_COUNT];
    good_handlers(handlers);
    handlers[AT_ECHO].response = &dialplane__test__sum_reply__descriptor;
    assert_non_null(strstr(refusal(handlers, HANDLER_COUNT), "dialplane.test.SumReply"));
    good_handlers(handlers);
    handlers[AT_ECHO].partial_field = "items";
    assert_non_null(strstr(refusal(handlers, HANDLER_COUNT), "\"items\" is no message field"));
}

int run_table_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_missing_and_too_many),
        cmocka_unit_test(test_wrong_kind),
        cmocka_unit_test(test_wrong_types),
    };
    return cmocka_run_group_tests_name("table", tests, load, unload);
}
