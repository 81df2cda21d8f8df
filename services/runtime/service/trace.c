/* Traces of a service: a tracer, and the exporter that it sends with. */
#include "service/internal.h"

/* What a collector may cost at stop. */
#define CLOSE_LIMIT_US (2 * TIME_US_PER_SECOND)

bool service_trace_open(struct running *running, struct err *err)
{
    const struct app_trace_settings *settings = &running->settings.trace;
    char address[256];

    if (!trace_endpoint_parse(settings->endpoint, address, sizeof(address), err))
        return false;
    if (!address[0])
        return true;
    running->exporter = rpc_exporter_new(running->loop, address);
    if (!running->exporter)
        return err_set(err, ERR_INTERNAL, NULL, "not enough memory for traces");
    struct trace_transport transport = rpc_exporter_transport(running->exporter);
    const struct tracer_options options = {
        .service = running->service->process,
        .ratio = settings->ratio,
    };
    running->tracer = tracer_new(running->loop, &options, &transport);
    return running->tracer || err_set(err, ERR_INTERNAL, NULL, "not enough memory for traces");
}

static void on_exporter_closed(void *context)
{
    struct running *running = context;

    running->exporter = NULL;
    tracer_free(running->tracer);
    running->tracer = NULL;
    running->traces_closed(running);
}

static void on_tracer_closed(void *context)
{
    struct running *running = context;

    rpc_exporter_close(running->exporter, running->loop, on_exporter_closed, running);
}

void service_trace_close(struct running *running, void (*done)(void *context))
{
    running->traces_closed = done;
    tracer_close(running->tracer, running->loop, CLOSE_LIMIT_US, on_tracer_closed, running);
}
