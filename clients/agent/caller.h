/* caller: one line of the agent: claims a task, makes the simulated call, reports it, finishes it;
 * again and again. */
#ifndef AGENT_CALLER_H
#define AGENT_CALLER_H

#include "agent/conversation.h"
#include "agent/leases.h"
#include "dialplane.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Shared by all lines of the agent; read-only while they run, except what is atomic. */
struct agent {
    struct dialplane_client *claims; /* shut down first, so that a claim that waits ends at once */
    struct dialplane_client *dispatch, *skillbase, *analytics;
    struct leases *leases;
    const char *worker_id;
    const char *company_id, *campaign_id; /* NULL: any */
    double speed;                         /* 1: as in life; 60: a minute a second */
    uint64_t seed;
    int64_t call_limit;   /* calls to make in all; 0: no limit */
    int64_t idle_exit_ms; /* end when there was nothing to call for so long; 0: never */
    bool renews_token;    /* somebody writes a new token to its file before the old one ends */
    FILE *dial_log;       /* the telephone side's own record: one line a dial; NULL: none */
    int wake_descriptor;  /* becomes readable when the agent is to stop */
    _Atomic bool is_stopping;
    _Atomic int64_t calls_claimed, calls_made, calls_lost;
    _Atomic int64_t by_disposition[9];
};

/* Runs until the agent stops; for pthread_create. */
void *caller_run(void *agent);

#endif
