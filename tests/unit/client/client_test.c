/* The C client where nobody answers: deadlines, cancelling, shutting down, streams, in every form
 * of call. What happens when somebody does is tests/contract/test_cli.py's, with example.c. */
#include "dialplane.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOWHERE "unix:/nonexistent/dialplane.sock"
enum { CANCELLED = 1, DEADLINE_EXCEEDED = 4, UNAVAILABLE = 14 };

static int begin(void **state)
{
    (void)state;
    dialplane_init();
    return 0;
}

static int end(void **state)
{
    (void)state;
    dialplane_exit();
    return 0;
}

static struct dialplane_client *open_fail_fast(void)
{
    const struct dialplane_client_options options = {.fail_fast = true};
    return dialplane_client_open_with(NOWHERE, &options);
}

static void test_waiting_for_a_connection(void **state)
{
    struct dialplane_client *client = dialplane_client_open(NOWHERE);
    Dialplane__V1__ListCompaniesRequest request = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
    Dialplane__V1__ListCompaniesResponse *response;
    struct dialplane_error error;
    size_t position = 0;
    const char *field, *message;
    (void)state;
    assert_false(dialplane_list_companies(client, &request, 100, &response, &error));
    assert_int_equal(error.code, DEADLINE_EXCEEDED);
    assert_false(dialplane_error_next_field(&error, &position, &field, &message));
    assert_false(dialplane_list_companies(client, &request, 1, &response, NULL));
    dialplane_client_close(client);
}

static void test_failing_fast(void **state)
{
    struct dialplane_client *client = open_fail_fast();
    struct dialplane_bytes response;
    struct dialplane_error error;
    (void)state;
    assert_false(dialplane_call_bytes(client, "/dialplane.v1.CompanyService/ListCompanies", "", 0,
                                      DIALPLANE_CHECK_ONLY, 60000, &response, &error));
    assert_int_equal(error.code, UNAVAILABLE);
    assert_true(dialplane_is_transient(&error));
    assert_true(error.message[0] != '\0');
    assert_string_equal(dialplane_code_name(error.code), "UNAVAILABLE");
    dialplane_client_close(client);
}

static void test_tokens(void **state)
{
    static const char *const wrong[] = {"", "two\nlines", "\x01", "ü"};
    struct dialplane_client_options options = {.token = "abc.DEF-123", .fail_fast = true};
    struct dialplane_client *client = dialplane_client_open_with(NOWHERE, &options);
    struct dialplane_bytes response;
    struct dialplane_error error;
    (void)state;
    assert_non_null(client);
    assert_false(dialplane_call_bytes(client, "/dialplane.v1.CompanyService/ListCompanies", "", 0,
                                      DIALPLANE_CALL, 60000, &response, &error));
    assert_int_equal(error.code, UNAVAILABLE);
    assert_null(strstr(error.message, "abc"));
    dialplane_client_close(client);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        options.token = wrong[i];
        assert_null(dialplane_client_open_with(NOWHERE, &options));
    }
}

/* Asynchronous */

struct seen {
    int calls, code;
};

static void on_companies(void *context, Dialplane__V1__ListCompaniesResponse *response,
                         const struct dialplane_error *error)
{
    struct seen *seen = context;
    assert_null(response);
    seen->calls++;
    seen->code = error->code;
}

static void on_any(void *context, ProtobufCMessage *response, const struct dialplane_error *error)
{
    assert_null(context); /* NULL is a context, too */
    assert_null(response);
    assert_int_equal(error->code, UNAVAILABLE);
}

static void test_asynchronous(void **state)
{
    struct dialplane_queue *queue = dialplane_queue_open();
    struct dialplane_client *patient = dialplane_client_open(NOWHERE), *hasty = open_fail_fast();
    Dialplane__V1__ListCompaniesRequest request = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
    struct seen late = {0}, refused = {0}, cancelled = {0};
    (void)state;
    assert_false(dialplane_queue_wait(queue, 0));
    assert_non_null(
        dialplane_list_companies_start(queue, patient, &request, 50, on_companies, &late));
    assert_non_null(
        dialplane_list_companies_start(queue, hasty, &request, 60000, on_companies, &refused));
    assert_non_null(
        dialplane_start(queue, hasty, "/dialplane.v1.CompanyService/ListCompanies", &request.base,
                        &dialplane__v1__list_companies_response__descriptor, 60000, on_any, NULL));
    struct dialplane_pending *pending =
        dialplane_list_companies_start(queue, patient, &request, 60000, on_companies, &cancelled);
    assert_int_equal(dialplane_queue_pending_count(queue), 4);
    assert_int_equal(late.calls + refused.calls + cancelled.calls, 0); /* only in the wait */
    dialplane_pending_cancel(pending);
    for (int i = 0; i < 4; i++)
        assert_true(dialplane_queue_wait(queue, 60000));
    assert_int_equal(dialplane_queue_pending_count(queue), 0);
    assert_int_equal(late.code, DEADLINE_EXCEEDED);
    assert_int_equal(refused.code, UNAVAILABLE);
    assert_int_equal(cancelled.code, CANCELLED);
    assert_int_equal(late.calls + refused.calls + cancelled.calls, 3);
    dialplane_queue_close(queue);
    dialplane_client_close(patient);
    dialplane_client_close(hasty);
}

/* A callback that starts another call, until there have been three. */
struct chain {
    struct dialplane_queue *queue;
    struct dialplane_client *client;
    int calls;
};

static void on_link(void *context, Dialplane__V1__ListCompaniesResponse *response,
                    const struct dialplane_error *error)
{
    struct chain *chain = context;
    Dialplane__V1__ListCompaniesRequest request = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
    assert_null(response);
    assert_int_equal(error->code, CANCELLED);
    if (++chain->calls < 3)
        dialplane_list_companies_start(chain->queue, chain->client, &request, 60000, on_link,
                                       chain);
}

static void test_closing_a_queue_ends_what_is_pending(void **state)
{
    struct chain chain = {dialplane_queue_open(), dialplane_client_open(NOWHERE), 0};
    Dialplane__V1__ListCompaniesRequest request = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
    (void)state;
    dialplane_list_companies_start(chain.queue, chain.client, &request, 60000, on_link, &chain);
    dialplane_queue_close(chain.queue);
    assert_int_equal(chain.calls, 3);
    dialplane_client_close(chain.client);
    dialplane_queue_close(NULL);
}

/* Shutting down */

static void *call_patiently(void *context)
{
    Dialplane__V1__ListCompaniesRequest request = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
    Dialplane__V1__ListCompaniesResponse *response;
    static struct dialplane_error error;
    assert_false(dialplane_list_companies(context, &request, 600000, &response, &error));
    return &error;
}

static void test_shutting_down(void **state)
{
    struct dialplane_client *client = dialplane_client_open(NOWHERE);
    struct dialplane_queue *queue = dialplane_queue_open();
    Dialplane__V1__ListCompaniesRequest request = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
    Dialplane__V1__ListCompaniesResponse *response;
    struct dialplane_error error;
    struct seen seen = {0};
    pthread_t thread;
    void *result;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, call_patiently, client), 0);
    assert_non_null(
        dialplane_list_companies_start(queue, client, &request, 600000, on_companies, &seen));
    dialplane_client_shutdown(client);
    pthread_join(thread, &result);
    assert_int_equal(((struct dialplane_error *)result)->code, CANCELLED);
    assert_true(dialplane_queue_wait(queue, 60000));
    assert_int_equal(seen.code, CANCELLED);
    assert_false(dialplane_list_companies(client, &request, 60000, &response, &error));
    assert_int_equal(error.code, CANCELLED);
    assert_null(
        dialplane_list_companies_start(queue, client, &request, 60000, on_companies, &seen));
    assert_int_equal(seen.calls, 1);
    dialplane_queue_close(queue);
    dialplane_client_close(client);
    dialplane_client_close(NULL);
}

/* Streams */

static void test_streams(void **state)
{
    struct dialplane_client *client = open_fail_fast();
    Dialplane__V1__WatchCallRequest watch = DIALPLANE__V1__WATCH_CALL_REQUEST__INIT;
    Dialplane__V1__UploadCallListRequest piece = DIALPLANE__V1__UPLOAD_CALL_LIST_REQUEST__INIT;
    Dialplane__V1__UploadCallListResponse *uploaded;
    struct dialplane_error error;
    (void)state;
    struct dialplane_stream *stream = dialplane_watch_call_open(client, &watch, 60000);
    assert_null(dialplane_watch_call_next(stream, &error));
    assert_int_equal(error.code, UNAVAILABLE);
    assert_null(dialplane_watch_call_next(stream, &error)); /* the end stays the end */
    assert_int_equal(error.code, UNAVAILABLE);
    dialplane_stream_close(stream);

    stream = dialplane_upload_call_list_open(client, 60000);
    while (dialplane_upload_call_list_send(stream, &piece))
        ; /* until the call is known to have ended */
    assert_false(dialplane_upload_call_list_finish(stream, &uploaded, &error));
    assert_int_equal(error.code, UNAVAILABLE);
    dialplane_stream_close(stream);
    dialplane_client_close(client);

    client = dialplane_client_open(NOWHERE);
    stream = dialplane_watch_call_open(client, &watch, 0);
    dialplane_stream_cancel(stream);
    assert_null(dialplane_watch_call_next(stream, &error));
    assert_int_equal(error.code, CANCELLED);
    dialplane_stream_close(stream);
    stream = dialplane_upload_call_list_open(client, 0);
    dialplane_stream_close(stream); /* with everything still under way */
    dialplane_stream_close(NULL);
    dialplane_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_for_a_connection),
        cmocka_unit_test(test_failing_fast),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_asynchronous),
        cmocka_unit_test(test_closing_a_queue_ends_what_is_pending),
        cmocka_unit_test(test_shutting_down),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
