#include "gateway/upstream/exporter.h"

#include "gateway/upstream/upstream.h"

#include <stdlib.h>

struct exporter {
    struct loop *loop;
    struct upstream *upstream;
    struct tracer *tracer;
    trace_sent *sent;
};

static void on_done(struct upstream_call *call, const struct err *status)
{
    struct exporter *exporter = upstream_call_context(call);

    exporter->sent(exporter->tracer, status->code);
}

/* Memory was short: that, too, is told later. */
static void fail_later(void *context)
{
    struct exporter *exporter = context;

    exporter->sent(exporter->tracer, ERR_RESOURCE_EXHAUSTED);
}

static void send_batch(void *context, struct str message, struct tracer *tracer, trace_sent *sent)
{
    static const struct upstream_handler handler = {.on_done = on_done};
    struct exporter *exporter = context;
    const struct upstream_request request = {
        .path = TRACE_EXPORT_PATH,
        .message = message,
        .timeout_us = TRACE_EXPORT_TIMEOUT_US,
    };

    exporter->tracer = tracer;
    exporter->sent = sent;
    if (!upstream_call_start(exporter->upstream, &request, &handler, exporter))
        loop_defer(exporter->loop, fail_later, exporter);
}

struct exporter *exporter_new(struct loop *loop, const char *address, struct err *err)
{
    struct exporter *exporter = calloc(1, sizeof(*exporter));

    if (!exporter) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    exporter->loop = loop;
    exporter->upstream = upstream_new(loop, "trace collector", address, NULL, err);
    if (!exporter->upstream) {
        free(exporter);
        return NULL;
    }
    return exporter;
}

struct trace_transport exporter_transport(struct exporter *exporter)
{
    return (struct trace_transport){send_batch, exporter};
}

void exporter_free(struct exporter *exporter)
{
    if (!exporter)
        return;
    upstream_free(exporter->upstream);
    free(exporter);
}
