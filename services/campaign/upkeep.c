#include "upkeep.h"

#include "campaign.h"
#include "campaign_sql.h"
#include "claims.h"

#include "base/log.h"

#include <stdlib.h>

/* Of one campaign in one transaction: it holds the campaign's lock meanwhile. */
#define SWEEP_MOST 500
#define FOLD_MOST 20000
#define SETTLE_MOST 100
/* Tasks of deleted campaigns: a transaction, and transactions of one turn. */
#define REMOVE_MOST 1000
#define REMOVALS_OF_A_TURN 8

struct upkeep {
    struct campaign_service *service;
    struct loop_timer *timer;
    int64_t period_us;
    struct arena *arena; /* of the statement under way; NULL: none is */
    unsigned removals;   /* in this turn */
    bool is_stopped;
    struct upkeep_figures figures;
};

static void on_turn(void *context, const struct pg_outcome *outcome);
static void on_swept(void *context, const struct pg_outcome *outcome);
static void on_settled(void *context, const struct pg_outcome *outcome);
static void on_completed(void *context, const struct pg_outcome *outcome);
static void on_folded(void *context, const struct pg_outcome *outcome);
static void on_removed(void *context, const struct pg_outcome *outcome);

static void run(struct upkeep *upkeep, const struct pg_statement *statement, int64_t most,
                pg_callback *callback)
{
    struct pg_params params = {0};

    if (upkeep->is_stopped)
        return;
    upkeep->arena = params.arena = arena_new(4096);
    if (!upkeep->arena)
        return;
    if (most)
        pg_param_int64(&params, most);
    pg_write(upkeep->service->pool, &pg_service, statement, &params, callback, upkeep);
}

/* The statement has ended; false when it failed (pg has logged why). */
static bool has_ended(struct upkeep *upkeep, const struct pg_outcome *outcome)
{
    arena_free(upkeep->arena);
    upkeep->arena = NULL;
    if (!outcome->result)
        upkeep->figures.failures++;
    return outcome->result;
}

static void on_tick(void *context)
{
    struct upkeep *upkeep = context;

    if (!upkeep->arena) /* else the last round is not over: the database is slow or away */
        run(upkeep, &sql_take_upkeep_turn, upkeep->period_us, on_turn);
}

/* Of all instances one does it, each period. */
static void on_turn(void *context, const struct pg_outcome *outcome)
{
    struct upkeep *upkeep = context;

    if (has_ended(upkeep, outcome) && pg_bool(outcome->result, 0, 0))
        run(upkeep, &sql_sweep_leases, SWEEP_MOST, on_swept);
}

static void on_swept(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_REFUNDED, COLUMN_UNKNOWN };
    struct upkeep *upkeep = context;

    if (!has_ended(upkeep, outcome))
        return;
    int64_t refunded = pg_int64(outcome->result, 0, COLUMN_REFUNDED);
    int64_t unknown = pg_int64(outcome->result, 0, COLUMN_UNKNOWN);

    upkeep->figures.refunded += (uint64_t)refunded;
    upkeep->figures.unknown += (uint64_t)unknown;
    if (unknown)
        log_event(LOG_LEVEL_WARN, "calls_lost_while_dialing", log_int("calls", unknown));
    if (refunded || unknown)
        claims_wake(upkeep->service->claims);
    run(upkeep, &sql_settle_by_records, SETTLE_MOST, on_settled);
}

static void on_settled(void *context, const struct pg_outcome *outcome)
{
    struct upkeep *upkeep = context;

    if (!has_ended(upkeep, outcome))
        return;
    upkeep->figures.settled += (uint64_t)pg_int64(outcome->result, 0, 0);
    run(upkeep, &sql_complete_campaigns, 0, on_completed);
}

static void on_completed(void *context, const struct pg_outcome *outcome)
{
    struct upkeep *upkeep = context;

    if (!has_ended(upkeep, outcome))
        return;
    upkeep->figures.completed += (uint64_t)pg_int64(outcome->result, 0, 0);
    run(upkeep, &sql_fold_counts, FOLD_MOST, on_folded);
}

static void on_folded(void *context, const struct pg_outcome *outcome)
{
    struct upkeep *upkeep = context;

    if (!has_ended(upkeep, outcome))
        return;
    if (pg_int64(outcome->result, 0, 0) == FOLD_MOST) {
        run(upkeep, &sql_fold_counts, FOLD_MOST, on_folded);
        return;
    }
    upkeep->removals = 0;
    run(upkeep, &sql_remove_deleted_tasks, REMOVE_MOST, on_removed);
}

/* A campaign of millions goes over many turns, so that leases do not wait for it. */
static void on_removed(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_TASKS, COLUMN_MORE };
    struct upkeep *upkeep = context;

    if (!has_ended(upkeep, outcome))
        return;
    upkeep->figures.removed += (uint64_t)pg_int64(outcome->result, 0, COLUMN_TASKS);
    if (pg_bool(outcome->result, 0, COLUMN_MORE) && ++upkeep->removals < REMOVALS_OF_A_TURN)
        run(upkeep, &sql_remove_deleted_tasks, REMOVE_MOST, on_removed);
}

struct upkeep *upkeep_start(struct campaign_service *service, int64_t period_us)
{
    struct upkeep *upkeep = calloc(1, sizeof(*upkeep));

    if (!upkeep)
        return NULL;
    upkeep->service = service;
    upkeep->period_us = period_us - period_us / 20; /* a tick may come a little early */
    upkeep->timer = loop_timer_repeat(service->loop, period_us, on_tick, upkeep);
    return upkeep;
}

void upkeep_stop(struct upkeep *upkeep)
{
    upkeep->is_stopped = true;
    loop_timer_cancel(upkeep->timer);
    upkeep->timer = NULL;
}

const struct upkeep_figures *upkeep_figures(const struct upkeep *upkeep)
{
    return &upkeep->figures;
}
