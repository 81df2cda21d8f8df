/* worker: one thread of the gateway: a loop, a listener, connections to the services; and the first
 * look at every request. */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "gateway/call/gateway.h"

struct worker_options {
    const char *listen;
    bool reuse_port;
    struct http_limits limits;
    const char *addresses[GATEWAY_BACKENDS_MAX]; /* in the order of gateway->backends */
    struct upstream_options upstream;
    const char *trace_address; /* of a collector; empty: tracing is off */
    double trace_ratio;
};

/* worker->gateway and index are set. Listens at once; nothing is served before its loop runs. */
bool worker_init(struct worker *worker, const struct worker_options *options, struct err *err);
/* On the worker's own thread: ends streams, lets requests finish, then calls done. */
void worker_drain(struct worker *worker, int64_t grace_us, void (*done)(void *context),
                  void *context);
/* After its loop has ended, or a failed init. */
void worker_done(struct worker *worker);

#endif
