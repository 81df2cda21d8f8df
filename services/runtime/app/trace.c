/* Spans into batches, batches to the collector.
 *
 * A span is encoded as it ends, into a buffer with a limit: what does not fit is dropped and
 * counted, so a collector that is away costs bounded memory and no time. Every period, or when the
 * buffer is half full, the buffer becomes the batch under way; a batch that finds nobody is tried
 * again with doubling waits while new spans gather, and given up in the end. What the collector
 * refuses for good is not tried again.
 *
 * The numbers of fields are those of opentelemetry-proto 1.0: trace/v1/trace.proto,
 * common/v1/common.proto, resource/v1/resource.proto and collector/trace/v1/trace_service.proto
 * (https://github.com/open-telemetry/opentelemetry-proto). */
#include "app/trace.h"

#include "app/app.h"
#include "base/log.h"
#include "base/uuid.h"
#include "base/wire.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LIMIT 128
#define TEXT_LIMIT 256
#define SPAN_LIMIT ((size_t)4096)
#define RETRY_US TIME_US_PER_SECOND

enum { /* Span */
       SPAN_TRACE_ID = 1,
       SPAN_ID = 2,
       SPAN_PARENT_ID = 4,
       SPAN_NAME = 5,
       SPAN_KIND = 6,
       SPAN_START = 7,
       SPAN_END = 8,
       SPAN_ATTRIBUTES = 9,
       SPAN_STATUS = 15,
};
enum { STATUS_CODE = 3, STATUS_CODE_ERROR = 2 };
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2, ANY_STRING = 1, ANY_INT = 3 };
enum { RESOURCE_ATTRIBUTES = 1, SCOPE_NAME = 1, SCOPE_VERSION = 2 };
enum { SCOPE_SPANS_SCOPE = 1, SCOPE_SPANS_SPANS = 2 };
enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2, REQUEST_RESOURCE_SPANS = 1 };
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1 };

struct tracer {
    struct loop *loop;
    struct trace_transport transport;
    struct entropy entropy;
    uint64_t threshold; /* new traces whose last 8 bytes lie below it are recorded */
    int64_t period_us;
    unsigned attempts;
    struct buf resource, scope; /* encoded once */
    struct buf span;            /* scratch */
    struct buf waiting;         /* spans, each as a field of ScopeSpans */
    uint64_t waiting_count;
    struct buf batch; /* under way: the whole request */
    uint64_t batch_count;
    unsigned batch_attempts; /* 0: none is under way */
    bool sending;
    bool reported_away;
    struct loop_timer *timer, *retry_timer, *limit_timer;
    bool closing, closed;
    void (*done)(void *context);
    void *context;
    struct tracer_stats stats;
};

int64_t tracer_now_us(const struct tracer *tracer)
{
    const struct clock *clock = loop_clock(tracer->loop);

    return clock->monotonic_us(clock);
}

/* ---- Encoding ---- */

static void put_fixed64(struct buf *out, uint32_t number, uint64_t value)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    wire_put_tag(out, number, WIRE_FIXED64);
    buf_put(out, bytes, sizeof(bytes));
}

static void put_int(struct buf *out, uint32_t number, uint64_t value)
{
    wire_put_tag(out, number, WIRE_VARINT);
    wire_put_varint(out, value);
}

static size_t varint_size(uint64_t value)
{
    size_t size = 1;

    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

/* All numbers here are below 16: a tag is one byte. */
static size_t field_size(size_t length)
{
    return 1 + varint_size(length) + length;
}

/* Not in the middle of a character: OTLP strings are UTF-8, or the collector refuses the batch. */
static struct str bounded(const char *text, size_t limit)
{
    size_t length = strnlen(text, limit + 1);

    if (length > limit) {
        length = limit;
        while (length && (text[length] & 0xC0) == 0x80)
            length--;
    }
    return (struct str){text, utf8_is_valid(text, length) ? length : 0};
}

static void put_attribute(struct buf *out, uint32_t number, const struct trace_attribute *attribute)
{
    struct str key = str_from(attribute->key);
    struct str text = attribute->text ? bounded(attribute->text, TEXT_LIMIT) : (struct str){"", 0};
    size_t value_size =
        attribute->text ? field_size(text.length) : 1 + varint_size((uint64_t)attribute->integer);

    wire_put_tag(out, number, 2);
    wire_put_varint(out, field_size(key.length) + field_size(value_size));
    wire_put_bytes(out, KEY_VALUE_KEY, key);
    wire_put_tag(out, KEY_VALUE_VALUE, 2);
    wire_put_varint(out, value_size);
    if (attribute->text)
        wire_put_bytes(out, ANY_STRING, text);
    else
        put_int(out, ANY_INT, (uint64_t)attribute->integer);
}

static struct str bytes_of(const uint8_t *bytes, size_t count)
{
    return (struct str){(const char *)bytes, count};
}

static void put_span(const struct tracer *tracer, struct buf *out, const struct trace_span *span,
                     const struct trace_end *end)
{
    const struct clock *clock = loop_clock(tracer->loop);
    /* The wall clock may have been set meanwhile: the duration is the monotonic one's. */
    int64_t wall_us = clock->wall_us(clock) - (tracer_now_us(tracer) - end->now_us);
    int64_t duration_us = end->now_us > span->began_us ? end->now_us - span->began_us : 0;

    wire_put_bytes(out, SPAN_TRACE_ID, bytes_of(span->self.context.trace_id, 16));
    wire_put_bytes(out, SPAN_ID, bytes_of(span->self.context.span_id, 8));
    if (span->has_parent)
        wire_put_bytes(out, SPAN_PARENT_ID, bytes_of(span->parent_id, 8));
    wire_put_bytes(out, SPAN_NAME, bounded(end->name, NAME_LIMIT));
    put_int(out, SPAN_KIND, end->kind);
    put_fixed64(out, SPAN_START, (uint64_t)(wall_us - duration_us) * 1000);
    put_fixed64(out, SPAN_END, (uint64_t)wall_us * 1000);
    for (size_t i = 0; i < end->attribute_count; i++)
        put_attribute(out, SPAN_ATTRIBUTES, &end->attributes[i]);
    if (end->failed) {
        wire_put_tag(out, SPAN_STATUS, 2);
        wire_put_varint(out, 2);
        put_int(out, STATUS_CODE, STATUS_CODE_ERROR);
    }
}

/* The waiting spans as one ExportTraceServiceRequest. */
static void make_batch(struct tracer *tracer)
{
    size_t scope_spans = field_size(tracer->scope.length) + tracer->waiting.length;
    size_t resource_spans = field_size(tracer->resource.length) + field_size(scope_spans);
    struct buf *out = &tracer->batch;

    buf_reset(out);
    wire_put_tag(out, REQUEST_RESOURCE_SPANS, 2);
    wire_put_varint(out, resource_spans);
    wire_put_bytes(out, RESOURCE_SPANS_RESOURCE, buf_str(&tracer->resource));
    wire_put_tag(out, RESOURCE_SPANS_SCOPE_SPANS, 2);
    wire_put_varint(out, scope_spans);
    wire_put_bytes(out, SCOPE_SPANS_SCOPE, buf_str(&tracer->scope));
    buf_put_str(out, buf_str(&tracer->waiting));
    tracer->batch_count = tracer->waiting_count;
    tracer->batch_attempts = 0;
    buf_reset(&tracer->waiting);
    tracer->waiting_count = 0;
}

/* ---- Sending ---- */

static void on_sent(struct tracer *tracer, enum err_code code);
static void progress(struct tracer *tracer);

static void send_batch(struct tracer *tracer)
{
    tracer->sending = true;
    tracer->batch_attempts++;
    tracer->stats.batches++;
    tracer->transport.send(tracer->transport.context, buf_str(&tracer->batch), tracer, on_sent);
}

static void on_retry(void *context)
{
    struct tracer *tracer = context;

    tracer->retry_timer = NULL;
    send_batch(tracer);
}

/* https://opentelemetry.io/docs/specs/otlp/#failures: these may be tried again. */
static bool is_retryable(enum err_code code)
{
    return code == ERR_UNAVAILABLE || code == ERR_DEADLINE_EXCEEDED || code == ERR_CANCELLED ||
           code == ERR_ABORTED || code == ERR_OUT_OF_RANGE || code == ERR_DATA_LOSS ||
           code == ERR_RESOURCE_EXHAUSTED;
}

/* Once per outage, not once per batch. */
static void report(struct tracer *tracer, enum err_code code)
{
    bool away = code != ERR_OK;

    if (away == tracer->reported_away)
        return;
    tracer->reported_away = away;
    if (away)
        log_event(LOG_LEVEL_WARN, "trace_export_failed", log_text("code", err_code_name(code)));
    else
        log_event(LOG_LEVEL_INFO, "trace_export_back",
                  log_int("dropped", (int64_t)tracer->stats.dropped));
}

static void on_sent(struct tracer *tracer, enum err_code code)
{
    tracer->sending = false;
    report(tracer, code);
    if (code == ERR_OK) {
        tracer->stats.exported += tracer->batch_count;
        tracer->batch_attempts = 0;
    } else {
        tracer->stats.failures++;
        if (is_retryable(code) && tracer->batch_attempts < tracer->attempts && !tracer->closing) {
            tracer->retry_timer = loop_timer_start(
                tracer->loop, RETRY_US << (tracer->batch_attempts - 1), on_retry, tracer);
            if (tracer->retry_timer)
                return;
        }
        tracer->stats.dropped += tracer->batch_count;
        tracer->batch_attempts = 0;
    }
    if (tracer->closing)
        progress(tracer);
}

static void on_period(void *context)
{
    struct tracer *tracer = context;

    if (tracer->batch_attempts || !tracer->waiting_count)
        return;
    make_batch(tracer);
    send_batch(tracer);
}

/* ---- Closing ---- */

static void tell_closed(void *context)
{
    struct tracer *tracer = context;

    tracer->done(tracer->context);
}

static void finish_close(struct tracer *tracer)
{
    if (tracer->closed)
        return;
    tracer->closed = true;
    loop_timer_cancel(tracer->limit_timer);
    tracer->limit_timer = NULL;
    loop_defer(tracer->loop, tell_closed, tracer);
}

static void progress(struct tracer *tracer)
{
    if (tracer->sending)
        return;
    if (tracer->waiting_count && !tracer->batch_attempts) {
        make_batch(tracer);
        send_batch(tracer);
    } else {
        finish_close(tracer);
    }
}

static void on_limit(void *context)
{
    struct tracer *tracer = context;

    tracer->limit_timer = NULL;
    tracer->stats.dropped += tracer->waiting_count + tracer->batch_count;
    finish_close(tracer);
}

void tracer_close(struct tracer *tracer, struct loop *loop, int64_t limit_us,
                  void (*done)(void *context), void *context)
{
    if (!tracer) {
        loop_defer(loop, done, context);
        return;
    }
    tracer->closing = true;
    tracer->done = done;
    tracer->context = context;
    loop_timer_cancel(tracer->timer);
    tracer->timer = NULL;
    tracer->limit_timer = loop_timer_start(loop, limit_us, on_limit, tracer);
    if (tracer->retry_timer) { /* its last chance is now */
        loop_timer_cancel(tracer->retry_timer);
        tracer->retry_timer = NULL;
        send_batch(tracer);
    } else {
        progress(tracer);
    }
}

/* ---- Life ---- */

static uint64_t threshold(double ratio)
{
    if (!(ratio > 0))
        return 0;
    return ratio >= 1 ? UINT64_MAX : (uint64_t)ldexp(ratio, 64);
}

static void describe(struct tracer *tracer, const struct tracer_options *options)
{
    char made_up[UUID_TEXT_SIZE];
    struct uuid id = uuid_v7(loop_clock(tracer->loop), &tracer->entropy);

    uuid_format(&id, made_up);
    const struct trace_attribute attributes[] = {
        {"service.name", options->service, 0},
        {"service.namespace", "dialplane", 0},
        {"service.version", app_version, 0},
        {"service.instance.id", options->instance ? options->instance : made_up, 0},
    };
    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
        put_attribute(&tracer->resource, RESOURCE_ATTRIBUTES, &attributes[i]);
    wire_put_bytes(&tracer->scope, SCOPE_NAME, STR_LITERAL("dialplane"));
    wire_put_bytes(&tracer->scope, SCOPE_VERSION, str_from(app_version));
}

struct tracer *tracer_new(struct loop *loop, const struct tracer_options *options,
                          const struct trace_transport *transport)
{
    struct tracer *tracer = calloc(1, sizeof(*tracer));
    size_t limit = options->queue_bytes ? options->queue_bytes : (size_t)1 << 20;

    if (!tracer)
        return NULL;
    tracer->loop = loop;
    tracer->transport = *transport;
    entropy_init_system(&tracer->entropy);
    entropy_init_seeded(&tracer->entropy, entropy_uint64(&tracer->entropy));
    tracer->threshold = threshold(options->ratio);
    tracer->period_us = options->period_us ? options->period_us : 2 * TIME_US_PER_SECOND;
    tracer->attempts = options->attempts ? options->attempts : 4;
    buf_init(&tracer->resource, 2048);
    buf_init(&tracer->scope, 256);
    buf_init(&tracer->span, SPAN_LIMIT);
    buf_init(&tracer->waiting, limit);
    buf_init(&tracer->batch, limit + 4096);
    describe(tracer, options);
    tracer->timer = loop_timer_repeat(loop, tracer->period_us, on_period, tracer);
    if (!tracer->timer || tracer->resource.failed || tracer->scope.failed) {
        tracer_free(tracer);
        return NULL;
    }
    return tracer;
}

void tracer_free(struct tracer *tracer)
{
    if (!tracer)
        return;
    loop_timer_cancel(tracer->timer);
    loop_timer_cancel(tracer->retry_timer);
    loop_timer_cancel(tracer->limit_timer);
    buf_done(&tracer->resource);
    buf_done(&tracer->scope);
    buf_done(&tracer->span);
    buf_done(&tracer->waiting);
    buf_done(&tracer->batch);
    free(tracer);
}

void tracer_stats(const struct tracer *tracer, struct tracer_stats *ret_stats)
{
    *ret_stats = tracer ? tracer->stats : (struct tracer_stats){0};
    if (tracer)
        ret_stats->waiting_bytes = tracer->waiting.length;
}

/* ---- Spans ---- */

/* Neither id may be all zeros. */
static void name_span(struct trace_context *context, struct entropy *entropy)
{
    entropy->fill(entropy, context->span_id, sizeof(context->span_id));
    context->span_id[7] |= 1;
}

/* By the trace's id, so that processes that begin the same trace decide alike. */
static bool is_chosen(const struct tracer *tracer, const struct trace_context *context)
{
    uint64_t value = 0;

    for (unsigned i = 8; i < 16; i++)
        value = value << 8 | context->trace_id[i];
    return tracer->threshold == UINT64_MAX || value < tracer->threshold;
}

void trace_begin(struct trace_span *span, struct tracer *tracer, const struct trace_context *caller,
                 struct entropy *entropy, int64_t began_us)
{
    struct trace_context *context = &span->self.context;

    memset(span, 0, sizeof(*span));
    span->began_us = began_us;
    if (caller) {
        *context = *caller;
        memcpy(span->parent_id, caller->span_id, sizeof(span->parent_id));
        span->has_parent = true;
    } else {
        entropy->fill(entropy, context->trace_id, sizeof(context->trace_id));
        context->trace_id[15] |= 1;
        context->flags = !tracer || is_chosen(tracer, context) ? TRACE_SAMPLED : 0;
    }
    name_span(context, entropy);
    span->self.tracer = context->flags & TRACE_SAMPLED ? tracer : NULL;
}

void trace_begin_child(struct trace_span *span, const struct trace_parent *parent, int64_t began_us)
{
    memset(span, 0, sizeof(*span));
    span->began_us = began_us;
    if (!parent->tracer)
        return;
    span->self = *parent;
    memcpy(span->parent_id, parent->context.span_id, sizeof(span->parent_id));
    span->has_parent = true;
    name_span(&span->self.context, &parent->tracer->entropy);
}

void trace_end(const struct trace_span *span, const struct trace_end *end)
{
    struct tracer *tracer = span->self.tracer;

    if (!tracer)
        return;
    if (tracer->closing) {
        tracer->stats.dropped++;
        return;
    }
    buf_reset(&tracer->span);
    put_span(tracer, &tracer->span, span, end);
    /* Looked at first: a buffer that has overflown takes nothing any more. */
    if (tracer->span.failed ||
        tracer->waiting.length + field_size(tracer->span.length) > tracer->waiting.limit) {
        tracer->stats.dropped++;
        return;
    }
    wire_put_bytes(&tracer->waiting, SCOPE_SPANS_SPANS, buf_str(&tracer->span));
    tracer->waiting_count++;
    if (tracer->waiting.length > tracer->waiting.limit / 2)
        on_period(tracer);
}

/* ---- Setting ---- */

bool trace_endpoint_parse(const char *endpoint, char *ret_address, size_t size, struct err *err)
{
    static const char scheme[] = "http://";
    int64_t port;

    ret_address[0] = '\0';
    if (!endpoint || !endpoint[0])
        return true;
    const char *address = endpoint;
    if (strncmp(address, scheme, sizeof(scheme) - 1) == 0)
        address += sizeof(scheme) - 1;
    size_t length = strlen(address);
    if (length && address[length - 1] == '/')
        length--;
    const char *colon = memrchr(address, ':', length);
    if (length >= size || memchr(address, '/', length) || !colon || colon == address ||
        !str_parse_int64((struct str){colon + 1, (size_t)(address + length - colon - 1)}, &port) ||
        port < 1 || port > 65535)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "--otlp-endpoint must be HOST:PORT or http://HOST:PORT, where a collector "
                       "takes OTLP over gRPC, got \"%.100s\"",
                       endpoint);
    memcpy(ret_address, address, length);
    ret_address[length] = '\0';
    return true;
}
