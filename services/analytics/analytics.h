/* analytics: what the handlers of this service share. */
#ifndef DIALPLANE_ANALYTICS_ANALYTICS_H
#define DIALPLANE_ANALYTICS_ANALYTICS_H

#include "domain/prices.h"

#include "loop/loop.h"
#include "pg/pg.h"
#include "rpc/rpc.h"
#include "schema/schema.h"
#include "service/handler.h"

#include "dialplane/v1/analytics.pb-c.h"

#include <stdint.h>

struct ingest;
struct live;
struct scopes;
struct database_metrics;
struct upkeep;
struct vault;

/* The scope of the page tokens. */
#define CALLS_SCOPE "calls"

/* Numbers of the members of CallEvent.event, as call_events.kind has them. */
enum event_kind {
    EVENT_STARTED = DIALPLANE__V1__CALL_EVENT__EVENT_STARTED,
    EVENT_TURN = DIALPLANE__V1__CALL_EVENT__EVENT_TURN,
    EVENT_STATUS = DIALPLANE__V1__CALL_EVENT__EVENT_STATUS,
    EVENT_FINISHED = DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED,
};

/* What rpc_call_context() gives. */
struct analytics_service {
    struct loop *loop;
    struct pg_pool *pool;
    const struct schema *schema;
    struct vault *vault; /* keys of the events; it may have none */
    struct prices prices;
    int64_t outcome_words; /* that a company may have beside those of the contract */
    struct live *live;
    struct scopes *scopes;
    struct database_metrics *active_calls, *calls_to_remove;
    struct ingest *ingest;
    struct upkeep *upkeep;
    /* since start */
    uint64_t events_accepted, events_repeated, calls_finished;
};

#endif
