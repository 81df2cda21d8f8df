/* exporter: takes a thread's batches of spans to an OpenTelemetry collector, as calls like those to
 * our own services. */
#ifndef GATEWAY_UPSTREAM_EXPORTER_H
#define GATEWAY_UPSTREAM_EXPORTER_H

#include "app/trace.h"
#include "base/err.h"

struct exporter;

/* address: "HOST:PORT". NULL with err when it is malformed. */
struct exporter *exporter_new(struct loop *loop, const char *address, struct err *err);
/* A trace_transport of it. */
struct trace_transport exporter_transport(struct exporter *exporter);
/* Ends what is under way without a word. NULL is allowed. */
void exporter_free(struct exporter *exporter);

#endif
