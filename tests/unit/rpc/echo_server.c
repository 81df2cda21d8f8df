/* A server with one method of each kind, for test_server.py: prints "port N" when it listens,
 * drains at SIGTERM. */
#include "app/app.h"
#include "rpc/rpc.h"

#include "load_echo.h"

#include <echo.pb-c.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    struct loop *loop;
    struct rpc_server *server;
    Dialplane__Test__StateReply seen;
} world = {.seen = DIALPLANE__TEST__STATE_REPLY__INIT};

static const char *listen_on;
static int64_t grace_us, default_deadline_us, max_calls, max_message;
static bool serving;

static const struct app_setting settings[] = {
    {.name = "listen",
     .kind = APP_TEXT,
     .default_text = "127.0.0.1:0",
     .help = "where",
     .ret_value = &listen_on},
    {.name = "grace",
     .kind = APP_DURATION,
     .default_text = "2s",
     .help = "at stop",
     .ret_value = &grace_us},
    {.name = "deadline",
     .kind = APP_DURATION,
     .default_text = "1s",
     .help = "of calls without one",
     .ret_value = &default_deadline_us},
    {.name = "max-calls",
     .kind = APP_INT,
     .default_text = "2000",
     .help = "at once",
     .ret_value = &max_calls},
    {.name = "max-message",
     .kind = APP_SIZE,
     .default_text = "1MB",
     .help = "limit",
     .ret_value = &max_message},
    {.name = "serving",
     .kind = APP_BOOL,
     .default_text = "true",
     .help = "health at start",
     .ret_value = &serving},
};

/* ---- Echo ---- */

struct echo {
    struct rpc_call *call;
    const Dialplane__Test__EchoRequest *request;
};

static Dialplane__Test__Config *config_of(struct rpc_call *call, Dialplane__Test__Config *config,
                                          struct err *err)
{
    struct arena *arena = rpc_call_arena(call);
    if (!rpc_apply_defaults(rpc_call_schema(call), &config->base, arena)) {
        err_set(err, ERR_INTERNAL, NULL, "no defaults");
        return NULL;
    }
    char *json = rpc_message_to_json(call, &config->base, err);
    if (!json)
        return NULL;
    return (Dialplane__Test__Config *)rpc_message_from_json(
        call, &dialplane__test__config__descriptor, str_from(json), err);
}

static void finish_echo(void *context)
{
    struct echo *echo = context;
    struct rpc_call *call = echo->call;
    if (rpc_call_is_cancelled(call))
        world.seen.dropped++;
    if (echo->request->fail_code) {
        struct err err = {0};
        err_set(&err, (enum err_code)echo->request->fail_code, "ON_PURPOSE",
                "failed on purpose: \xd0\xb4\xd0\xb0");
        err.retry_after_seconds = 7;
        rpc_fail(call, &err);
        return;
    }
    Dialplane__Test__EchoReply reply = DIALPLANE__TEST__ECHO_REPLY__INIT;
    struct err err = {0};
    reply.text = echo->request->text;
    reply.request_id = (char *)(uintptr_t)rpc_call_request_id(call);
    reply.has_if_match = rpc_call_if_match(call, &reply.if_match);
    reply.object = echo->request->object;
    if (echo->request->config) {
        reply.config = config_of(call, echo->request->config, &err);
        if (!reply.config) {
            rpc_fail(call, &err);
            return;
        }
    }
    rpc_reply(call, &reply.base);
}

static void on_cancel(void *context)
{
    (void)context;
    world.seen.cancelled++;
}

static void handle_echo(struct rpc_call *call, const void *request)
{
    struct echo *echo = ARENA_NEW(rpc_call_arena(call), struct echo);
    echo->call = call;
    echo->request = request;
    rpc_call_on_cancel(call, on_cancel, NULL);
    if (echo->request->delay_ms)
        loop_timer_start(world.loop, (int64_t)echo->request->delay_ms * 1000, finish_echo, echo);
    else
        finish_echo(echo);
}

static void check_echo(const void *message, struct violations *violations)
{
    const Dialplane__Test__EchoRequest *request = message;
    if (strcmp(request->text, "forbidden") == 0)
        violations_add(violations, "text", "is forbidden");
}

/* ---- Count ---- */

struct counter {
    struct rpc_call *call;
    const Dialplane__Test__CountRequest *request;
    uint32_t sent;
};

static void send_more(void *context)
{
    struct counter *counter = context;
    if (!counter->request->forever && counter->sent == counter->request->count) {
        rpc_stream_end(counter->call);
        return;
    }
    Dialplane__Test__CountReply reply = DIALPLANE__TEST__COUNT_REPLY__INIT;
    reply.number = counter->sent;
    reply.padding.len = counter->request->size;
    reply.padding.data = calloc(1, counter->request->size + 1);
    size_t size = protobuf_c_message_get_packed_size(&reply.base);
    char *bytes = malloc(size + 1);
    protobuf_c_message_pack(&reply.base, (uint8_t *)bytes);
    if (rpc_stream_send(counter->call, (struct str){bytes, size}))
        counter->sent++;
    free(bytes);
    free(reply.padding.data);
}

static void on_counter_gone(void *context)
{
    struct counter *counter = context;
    world.seen.cancelled++;
    rpc_stream_end(counter->call);
}

static void start_counting(void *context)
{
    struct counter *counter = context;
    struct rpc_call *call = counter->call;
    rpc_call_on_cancel(call, on_counter_gone, counter);
    rpc_stream_on_writable(call, send_more, counter);
    if (!counter->request->forever || counter->request->count)
        send_more(counter);
}

/* With delay_ms the stream begins late, as after a query. */
static void handle_count(struct rpc_call *call, const void *request)
{
    struct counter *counter = ARENA_NEW(rpc_call_arena(call), struct counter);
    counter->call = call;
    counter->request = request;
    if (counter->request->delay_ms)
        loop_timer_start(world.loop, (int64_t)counter->request->delay_ms * 1000, start_counting,
                         counter);
    else
        start_counting(counter);
}

/* ---- Sum ---- */

static Dialplane__Test__SumReply *sum_of(struct rpc_call *call)
{
    Dialplane__Test__SumReply *sum = rpc_call_state(call);
    if (!sum) {
        sum = ARENA_NEW(rpc_call_arena(call), Dialplane__Test__SumReply);
        dialplane__test__sum_reply__init(sum);
        rpc_call_set_state(call, sum);
    }
    return sum;
}

static void on_sum_message(struct rpc_call *call, const void *message)
{
    const Dialplane__Test__SumRequest *request = message;
    struct rpc_call *same = call;
    sum_of(same)->messages++;
    rpc_stream_next(call);
    sum_of(same)->total += request->value; /* still there after asking for the next */
    if (request->value < 0)
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "NEGATIVE", "no negative values");
}

static void on_sum_end(struct rpc_call *call)
{
    world.seen.ended++;
    rpc_reply(call, &sum_of(call)->base);
}

static void on_sum_gone(struct rpc_call *call)
{
    world.seen.gone++;
    rpc_fail_code(call, ERR_CANCELLED, NULL, "gone");
}

static void handle_state(struct rpc_call *call, const void *request)
{
    (void)request;
    rpc_reply(call, &world.seen.base);
}

static const struct rpc_handler handlers[] = {
    {.path = "/dialplane.test.EchoService/Echo",
     .request = &dialplane__test__echo_request__descriptor,
     .response = &dialplane__test__echo_reply__descriptor,
     .handle = handle_echo,
     .check = check_echo},
    {.path = "/dialplane.test.EchoService/Count",
     .request = &dialplane__test__count_request__descriptor,
     .response = &dialplane__test__count_reply__descriptor,
     .handle = handle_count},
    {.path = "/dialplane.test.EchoService/Sum",
     .request = &dialplane__test__sum_request__descriptor,
     .response = &dialplane__test__sum_reply__descriptor,
     .on_message = on_sum_message,
     .on_end = on_sum_end,
     .on_gone = on_sum_gone},
    {.path = "/dialplane.test.EchoService/State",
     .request = &dialplane__test__state_request__descriptor,
     .response = &dialplane__test__state_reply__descriptor,
     .handle = handle_state},
};

/* ---- The process ---- */

static void on_stopped(void *context)
{
    (void)context;
    app_drained(world.loop);
}

static void drain(void *context)
{
    (void)context;
    rpc_server_stop(world.server, on_stopped, NULL);
}

/* SIGUSR1 turns health over. */
static void on_toggle(void *context)
{
    (void)context;
    serving = !serving;
    rpc_server_set_serving(world.server, serving);
}

int main(int argc, char **argv)
{
    app_configure("dialplane-echo", "A server for tests.", settings,
                  sizeof(settings) / sizeof(settings[0]), argc, argv);
    static const char *const services[] = {"dialplane.test.EchoService", NULL};
    struct err err = {0};
    world.loop = loop_new(NULL);
    struct schema *schema = load_echo();
    struct rpc_options options = {
        .listen = listen_on,
        .grace_us = grace_us,
        .default_deadline_us = default_deadline_us,
        .max_calls = (unsigned)max_calls,
        .max_receive_bytes = (unsigned)max_message,
        .stream_message_bytes = (unsigned)max_message,
    };
    if (schema)
        world.server = rpc_server_start(world.loop, schema, &options, services, handlers,
                                        sizeof(handlers) / sizeof(handlers[0]), NULL, &err);
    if (!world.server) {
        fprintf(stderr, "dialplane-echo: %s\n", err.message);
        schema_free(schema);
        loop_free(world.loop);
        return 1;
    }
    rpc_server_set_serving(world.server, serving);
    app_on_stop(world.loop, 20 * TIME_US_PER_SECOND, drain, NULL);
    loop_on_signal(world.loop, SIGUSR1, on_toggle, NULL);
    printf("port %d\n", rpc_server_port(world.server));
    fflush(stdout);
    loop_run(world.loop);
    rpc_server_free(world.server);
    loop_free(world.loop);
    schema_free(schema);
    return 0;
}
