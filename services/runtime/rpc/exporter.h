/* exporter: takes batches of spans to an OpenTelemetry collector: the client side of gRPC, as small
 * as that needs. Core's client and its thread start with the first batch. */
#ifndef DIALPLANE_RPC_EXPORTER_H
#define DIALPLANE_RPC_EXPORTER_H

#include "app/trace.h"
#include "loop/loop.h"

struct rpc_exporter;

/* address: "HOST:PORT", not encrypted. NULL when memory is short. */
struct rpc_exporter *rpc_exporter_new(struct loop *loop, const char *address);
/* A trace_transport of it. */
struct trace_transport rpc_exporter_transport(struct rpc_exporter *exporter);
/* Cancels what is under way, takes core's client down, frees the exporter, then calls done on the
 * loop. NULL is allowed: done comes all the same. After tracer_close(). */
void rpc_exporter_close(struct rpc_exporter *exporter, struct loop *loop,
                        void (*done)(void *context), void *context);

#endif
