/* trace: W3C trace context, and spans that go to an OpenTelemetry collector in batches.
 *
 * A span is a struct on its owner's side; nothing of it is known here before it ends. A tracer
 * belongs to one thread and its loop. Without one (tracing is off) ids are still made, for logs and
 * for whoever comes after us, and trace_end() costs one comparison. */
#ifndef DIALPLANE_APP_TRACE_H
#define DIALPLANE_APP_TRACE_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Context: https://www.w3.org/TR/trace-context/ ---- */

#define TRACE_ID_TEXT_SIZE 33
#define TRACEPARENT_SIZE 56 /* "00-<32 hex>-<16 hex>-<2 hex>" and NUL */
#define TRACE_SAMPLED 1u

struct trace_context {
    uint8_t trace_id[16], span_id[8];
    uint8_t flags; /* TRACE_SAMPLED */
};
/* False when malformed; a later version may be longer, "ff" is forbidden. */
bool trace_context_parse(struct str traceparent, struct trace_context *ret_context);
void trace_context_format(const struct trace_context *context, char out[TRACEPARENT_SIZE]);
void trace_id_format(const struct trace_context *context, char out[TRACE_ID_TEXT_SIZE]);

/* ---- Spans ---- */

struct tracer;

/* What a child needs to know; may be copied freely while the tracer lives. */
struct trace_parent {
    struct tracer *tracer; /* NULL: the trace is not recorded */
    struct trace_context context;
};

struct trace_span {
    struct trace_parent self;
    uint8_t parent_id[8];
    bool has_parent;
    int64_t began_us; /* monotonic */
};

/* Begins a span of the caller's trace, or without one (caller NULL) of a new one, of which the
 * tracer records its ratio. entropy names it. tracer may be NULL: then a new trace is marked as
 * sampled, which leaves the choice to those that come after. */
void trace_begin(struct trace_span *span, struct tracer *tracer, const struct trace_context *caller,
                 struct entropy *entropy, int64_t now_us);
/* A span below another one; not recorded when the parent is not. */
void trace_begin_child(struct trace_span *span, const struct trace_parent *parent, int64_t now_us);
static inline bool trace_is_recorded(const struct trace_span *span)
{
    return span->self.tracer != NULL;
}

/* Semantic conventions of OpenTelemetry name the keys. Values are bounded by the caller: templates
 * and names, never what a person has written. */
struct trace_attribute {
    const char *key;
    const char *text; /* NULL: integer */
    int64_t integer;
};
enum trace_kind { TRACE_INTERNAL = 1, TRACE_SERVER = 2, TRACE_CLIENT = 3 };
struct trace_end {
    enum trace_kind kind;
    const char *name; /* at most 128 bytes are kept */
    const struct trace_attribute *attributes;
    size_t attribute_count;
    bool failed;
    int64_t now_us; /* monotonic */
};
/* Records it when it is to be recorded; a span ends at most once. */
void trace_end(const struct trace_span *span, const struct trace_end *end);

/* ---- The tracer ---- */

/* How batches leave the process. send() takes one ExportTraceServiceRequest, which stays until
 * `done` has been called, exactly once, later, on the loop's thread. One at a time. */
#define TRACE_EXPORT_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define TRACE_EXPORT_TIMEOUT_US (10 * TIME_US_PER_SECOND)
typedef void trace_sent(struct tracer *tracer, enum err_code code);
struct trace_transport {
    void (*send)(void *context, struct str message, struct tracer *tracer, trace_sent *done);
    void *context;
};

struct tracer_options {
    const char *service;  /* service.name: the process */
    double ratio;         /* of new traces that are recorded, 0 to 1 */
    size_t queue_bytes;   /* 0: 1 MB of spans wait at most; more are dropped and counted */
    int64_t period_us;    /* 0: 2 s between batches */
    unsigned attempts;    /* 0: 4 for a batch that the collector was not there to take */
    const char *instance; /* service.instance.id; NULL: made up */
};
/* NULL when memory is short. The transport is the caller's and outlives it. */
struct tracer *tracer_new(struct loop *loop, const struct tracer_options *options,
                          const struct trace_transport *transport);
/* Sends what is there, waits at most limit_us for it, then calls done on the loop, later. Spans
 * that end from here on are lost. NULL is allowed: done comes all the same. */
void tracer_close(struct tracer *tracer, struct loop *loop, int64_t limit_us,
                  void (*done)(void *context), void *context);
/* After tracer_close()'s done, or when no batch was ever sent. NULL is allowed. */
void tracer_free(struct tracer *tracer);

/* The monotonic clock of its loop. */
int64_t tracer_now_us(const struct tracer *tracer);

struct tracer_stats {
    uint64_t exported, dropped, batches, failures; /* spans, spans, sent, sent in vain */
    size_t waiting_bytes;
};
void tracer_stats(const struct tracer *tracer, struct tracer_stats *ret_stats); /* NULL: zeros */

/* Where spans go, from --otlp-endpoint: "HOST:PORT" or "http://HOST:PORT[/]"; false with err for
 * anything else ("https://": there is no TLS yet). Empty or NULL: *ret_address is empty, tracing is
 * off. */
bool trace_endpoint_parse(const char *endpoint, char *ret_address, size_t size, struct err *err);

#endif
