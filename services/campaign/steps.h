/* steps: BeginDial and FinishTask of many agents, in few statements.
 *
 * A step is what one call asks: leave to dial, or its end. Steps that come while a statement is
 * under way wait and go out together in the next; that takes the ordinary ones and waits for
 * nobody's lock. Those that it leaves out, and all of a statement that failed, are asked for alone,
 * by the statement that knows every case: no call harms another. */
#ifndef DIALPLANE_CAMPAIGN_STEPS_H
#define DIALPLANE_CAMPAIGN_STEPS_H

#include "base/err.h"
#include "base/str.h"
#include "pg/pg.h"
#include "rpc/rpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calls in one request of a batch at most: as dispatch.proto says. */
#define STEPS_REQUEST_MOST 100

struct campaign_service;
struct step_lane;
struct step_request;

/* Columns of begin_dial.sql, finish_task.sql and take_steps.sql. */
enum step_column {
    STEP_VERDICT,
    STEP_STATUS, /* of the campaign, when it does not run */
    STEP_LEASE_UNTIL,
    STEP_TASK,
    STEP_STATE,
    STEP_NEXT_ATTEMPT_AT,
    STEP_PLACE, /* from 1 */
};

enum step_kind { STEP_BEGIN, STEP_FINISH, STEP_KINDS };

/* One call's step; everything in the rpc call's arena. */
struct step {
    enum step_kind kind;
    const char *company_id; /* scope of who asks; NULL: any */
    const char *call_id;
    int64_t fence;
    const char *disposition, *outcome, *error_message; /* of an end; the last two may be NULL */
    /* What the lane uses. */
    struct step *next;
    struct step_request *request;
};

/* What one RPC asks: its steps, and whom to tell. */
struct step_request {
    struct rpc_call *call;
    struct step *steps;
    size_t count;
    /* Once for each step, when it is on disk or refused. */
    void (*on_step)(struct step_request *request, struct step *step, const struct pg_result *result,
                    int row);
    /* Once, after the last. err: set when some step was not answered at all (the database is
     * away …); the others' on_step came. */
    void (*on_done)(struct step_request *request, const struct err *err);
    /* What the lane uses. */
    size_t unanswered;
    struct err err;
};

/* NULL when memory is short. */
struct step_lane *step_lane_new(struct campaign_service *service);
void step_lane_free(struct step_lane *lane);
/* Takes the request until on_done, which never comes before this returns. */
void step_lane_submit(struct step_lane *lane, struct step_request *request);
/* For on_done: ends the call, with the failure if there is one (NULL or not set: none). */
void step_request_reply(struct step_request *request, const struct err *err,
                        const ProtobufCMessage *response);

#endif
