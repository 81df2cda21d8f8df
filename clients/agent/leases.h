/* leases: the calls that this agent has, and the heartbeats that keep them. */
#ifndef AGENT_LEASES_H
#define AGENT_LEASES_H

#include "dialplane.h"

#include <stdbool.h>
#include <stdint.h>

struct leases;

/* A call whose lease is kept. Embedded in whoever makes the call; is_lost may be read at any time.
 */
struct lease {
    char call_id[37];
    int64_t fence;
    _Atomic bool is_lost;    /* somebody else has it: hang up, report nothing to dispatch */
    _Atomic bool should_end; /* the campaign was cancelled: end politely */
    struct lease *next;
};

/* Starts the thread that sends a Heartbeat every interval_ms. worker_id and client are borrowed.
 * NULL: no memory or no thread. */
struct leases *leases_start(struct dialplane_client *dispatch, const char *worker_id,
                            unsigned interval_ms);
/* Stops the thread; every lease has been removed before. */
void leases_stop(struct leases *leases);
void leases_add(struct leases *leases, struct lease *lease);
void leases_remove(struct leases *leases, struct lease *lease);

#endif
