/* Contexts, sampling, and what the tracer does with a transport that is slow, away or refuses. */
#include "app/trace.h"

#include "app/app.h"
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char parent_text[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static void test_contexts(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    };
    struct trace_context context;
    char text[TRACEPARENT_SIZE], id[TRACE_ID_TEXT_SIZE];

    (void)state;
    assert_true(trace_context_parse(str_from(parent_text), &context));
    trace_context_format(&context, text);
    assert_string_equal(text, parent_text);
    trace_id_format(&context, id);
    assert_string_equal(id, "4bf92f3577b34da6a3ce929d0e0e4736");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(trace_context_parse(str_from(bad[i]), &context));
    assert_true(trace_context_parse(
        STR_LITERAL("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what"), &context));
}

static void test_endpoints(void **state)
{
    static const char *const bad[] = {
        "collector", "https://collector:1", "http://a/b:1", ":1",   "collector:0", "collector:x",
        "a:70000",   "grpc://a:4317",       "http://",      "a:1/x"};
    char address[32];
    struct err err = {0};

    (void)state;
    assert_true(trace_endpoint_parse(NULL, address, sizeof(address), &err));
    assert_string_equal(address, "");
    assert_true(trace_endpoint_parse("http://collector:4317/", address, sizeof(address), &err));
    assert_string_equal(address, "collector:4317");
    assert_true(trace_endpoint_parse("[::1]:4317", address, sizeof(address), &err));
    assert_string_equal(address, "[::1]:4317");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(trace_endpoint_parse(bad[i], address, sizeof(address), &err));
}

/* A collector that answers when the test says so. */
struct fake {
    struct loop *loop;
    struct tracer *tracer;
    trace_sent *done;
    unsigned batches, spans;
    bool closed;
};

static void fake_send(void *context, struct str message, struct tracer *tracer, trace_sent *done)
{
    struct fake *fake = context;
    struct wire_reader request, resource, scope;

    assert_null(fake->done); /* one at a time */
    fake->tracer = tracer;
    fake->done = done;
    fake->batches++;
    fake->spans = 0;
    wire_reader_init(&request, message);
    while (wire_reader_next(&request)) {
        wire_reader_init(&resource, request.bytes);
        while (wire_reader_next(&resource)) {
            wire_reader_init(&scope, resource.bytes);
            while (resource.number == 2 && wire_reader_next(&scope))
                fake->spans += scope.number == 2;
            assert_false(resource.number == 2 && scope.malformed);
        }
        assert_false(resource.malformed);
    }
    assert_false(request.malformed);
}

static void answer(struct fake *fake, enum err_code code)
{
    trace_sent *done = fake->done;

    assert_non_null(done);
    fake->done = NULL;
    done(fake->tracer, code);
}

static void on_closed(void *context)
{
    struct fake *fake = context;

    fake->closed = true;
    loop_stop(fake->loop);
}

static struct tracer *make(struct fake *fake, double ratio, size_t queue_bytes)
{
    const struct trace_transport transport = {fake_send, fake};
    const struct tracer_options options = {.service = "test",
                                           .ratio = ratio,
                                           .queue_bytes = queue_bytes,
                                           .period_us = 3600 * TIME_US_PER_SECOND,
                                           .attempts = 1};

    *fake = (struct fake){.loop = loop_new(NULL)};
    assert_non_null(fake->loop);
    struct tracer *tracer = tracer_new(fake->loop, &options, &transport);
    assert_non_null(tracer);
    return tracer;
}

static void unmake(struct fake *fake, struct tracer *tracer)
{
    tracer_free(tracer);
    loop_free(fake->loop);
}

static void record(struct tracer *tracer, struct entropy *entropy)
{
    const struct trace_attribute attributes[] = {{"a", "text", 0}, {"b", NULL, -1}};
    const struct trace_end end = {.kind = TRACE_SERVER,
                                  .name = "span",
                                  .attributes = attributes,
                                  .attribute_count = 2,
                                  .failed = true,
                                  .now_us = tracer_now_us(tracer)};
    struct trace_span span;

    trace_begin(&span, tracer, NULL, entropy, end.now_us);
    trace_end(&span, &end);
}

static void test_sampling(void **state)
{
    struct fake fake;
    struct tracer *tracer = make(&fake, 0.25, 0);
    struct trace_context caller;
    struct trace_span span, child;
    struct entropy entropy;
    unsigned recorded = 0;

    (void)state;
    entropy_init_seeded(&entropy, 7);
    for (unsigned i = 0; i < 4000; i++) {
        trace_begin(&span, tracer, NULL, &entropy, 0);
        recorded += trace_is_recorded(&span);
        assert_int_equal(span.self.context.flags & TRACE_SAMPLED, trace_is_recorded(&span));
        trace_begin_child(&child, &span.self, 0);
        assert_int_equal(trace_is_recorded(&child), trace_is_recorded(&span));
    }
    assert_in_range(recorded, 850, 1150); /* the seed is fixed: always the same */
    /* The caller's choice goes before the ratio. */
    assert_true(trace_context_parse(str_from(parent_text), &caller));
    trace_begin(&span, tracer, &caller, &entropy, 0);
    assert_true(trace_is_recorded(&span) && span.has_parent);
    assert_memory_equal(span.parent_id, caller.span_id, 8);
    assert_memory_equal(span.self.context.trace_id, caller.trace_id, 16);
    assert_memory_not_equal(span.self.context.span_id, caller.span_id, 8);
    caller.flags = 0;
    trace_begin(&span, tracer, &caller, &entropy, 0);
    assert_false(trace_is_recorded(&span));
    /* Without a tracer the choice is left to those that come after. */
    trace_begin(&span, NULL, NULL, &entropy, 0);
    assert_false(trace_is_recorded(&span));
    assert_int_equal(span.self.context.flags, TRACE_SAMPLED);
    unmake(&fake, tracer);
}

static void test_the_queue_is_bounded(void **state)
{
    struct fake fake;
    struct tracer *tracer = make(&fake, 1, 4096);
    struct tracer_stats stats;
    struct entropy entropy;

    (void)state;
    entropy_init_seeded(&entropy, 7);
    while (!fake.done) /* half full: it does not wait for the period */
        record(tracer, &entropy);
    unsigned first = fake.spans;
    assert_int_not_equal(first, 0);
    for (unsigned i = 0; i < 1000; i++) /* the collector is slow */
        record(tracer, &entropy);
    tracer_stats(tracer, &stats);
    assert_int_equal(fake.batches, 1);
    assert_in_range(stats.waiting_bytes, 2048, 4096);
    assert_in_range(stats.dropped, 900, 999);
    uint64_t dropped = stats.dropped;
    answer(&fake, ERR_OK); /* the queue is more than half full: the next goes at once */
    tracer_stats(tracer, &stats);
    assert_int_equal(stats.exported, first);
    assert_int_equal(fake.batches, 2);
    answer(&fake, ERR_INVALID_ARGUMENT); /* for good */
    tracer_stats(tracer, &stats);
    assert_int_equal(stats.failures, 1);
    assert_int_equal(stats.dropped, dropped + fake.spans);
    unmake(&fake, tracer);
}

static void test_closing_sends_the_rest(void **state)
{
    struct fake fake;
    struct tracer *tracer = make(&fake, 1, 0);
    struct tracer_stats stats;
    struct entropy entropy;

    (void)state;
    entropy_init_seeded(&entropy, 7);
    record(tracer, &entropy);
    record(tracer, &entropy);
    assert_int_equal(fake.batches, 0);
    tracer_close(tracer, fake.loop, 3600 * TIME_US_PER_SECOND, on_closed, &fake);
    assert_int_equal(fake.spans, 2);
    record(tracer, &entropy); /* too late */
    answer(&fake, ERR_OK);
    loop_run(fake.loop);
    assert_true(fake.closed);
    tracer_stats(tracer, &stats);
    assert_int_equal(stats.exported, 2);
    assert_int_equal(stats.dropped, 1);
    unmake(&fake, tracer);
}

static void test_closing_does_not_wait_for_ever(void **state)
{
    struct fake fake;
    struct tracer *tracer = make(&fake, 1, 0);
    struct tracer_stats stats;
    struct entropy entropy;

    (void)state;
    entropy_init_seeded(&entropy, 7);
    record(tracer, &entropy);
    tracer_close(tracer, fake.loop, 1000, on_closed, &fake); /* nobody answers */
    loop_run(fake.loop);
    assert_true(fake.closed);
    tracer_stats(tracer, &stats);
    assert_int_equal(stats.dropped, 1);
    unmake(&fake, tracer);
}

static void test_durations_and_histograms(void **state)
{
    struct durations durations = {0};
    struct buf out = {0};

    (void)state;
    durations_add(&durations, 500);
    durations_add(&durations, 501);
    durations_add(&durations, 31 * TIME_US_PER_SECOND);
    metrics_durations(&out, "x_seconds", "a=\"b\"", &durations);
    buf_put(&out, "", 1);
    assert_non_null(strstr(out.data, "x_seconds_bucket{a=\"b\",le=\"0.0005\"} 1\n"));
    assert_non_null(strstr(out.data, "x_seconds_bucket{a=\"b\",le=\"0.001\"} 2\n"));
    assert_non_null(strstr(out.data, "x_seconds_bucket{a=\"b\",le=\"30\"} 2\n"));
    assert_non_null(strstr(out.data, "x_seconds_bucket{a=\"b\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(out.data, "x_seconds_count{a=\"b\"} 3\n"));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_the_queue_is_bounded),
        cmocka_unit_test(test_closing_sends_the_rest),
        cmocka_unit_test(test_closing_does_not_wait_for_ever),
        cmocka_unit_test(test_durations_and_histograms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
