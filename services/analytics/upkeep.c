/* Each tick: fold → again while there is much to fold → remove some of what deleted companies left
 * behind → fold and so on, some times; at the first and then every ten minutes:
 * partitions ahead → drop what is too old, a month a statement → forget where it was → once a day,
 * rows of nothing. One statement at a time; what fails is tried at the next round. */
#include "upkeep.h"

#include "analytics_sql.h"

#include "base/log.h"

#include <stdlib.h>

#define FOLD_MOST 20000
#define PRUNE_MOST 20000
/* Calls of deleted companies, with their turns: a transaction, and transactions of one tick. */
#define REMOVE_MOST 500
#define REMOVALS_OF_A_TICK 10
#define MONTHS_AHEAD 3
#define ROUND_PERIOD_US (600 * TIME_US_PER_SECOND)
/* Rows of nothing are looked for once a day: it reads all figures. */
#define ROUNDS_OF_A_DAY 144

struct upkeep {
    struct analytics_service *service;
    struct upkeep_options options;
    struct loop_timer *timer;
    struct arena *arena;   /* of the statement under way; NULL: none is */
    int64_t next_round_us; /* monotonic */
    unsigned rounds;
    unsigned removals; /* in this tick */
    bool is_stopped;
    struct upkeep_figures figures;
};

static void on_folded(void *context, const struct pg_outcome *outcome);
static void on_removed(void *context, const struct pg_outcome *outcome);
static void on_made(void *context, const struct pg_outcome *outcome);
static void on_dropped(void *context, const struct pg_outcome *outcome);
static void on_index_pruned(void *context, const struct pg_outcome *outcome);
static void on_figures_pruned(void *context, const struct pg_outcome *outcome);

/* values: `count` parameters; a negative one is NULL. */
static void run_as(struct upkeep *upkeep, const struct pg_owner *owner,
                   const struct pg_statement *statement, const int64_t *values, size_t count,
                   pg_callback *callback)
{
    struct pg_params params = {.arena = arena_new(4096)};
    if (!params.arena)
        return;
    upkeep->arena = params.arena;
    for (size_t i = 0; i < count; i++)
        if (values[i] < 0)
            pg_param_null(&params);
        else
            pg_param_int64(&params, values[i]);
    pg_write(upkeep->service->pool, owner, statement, &params, callback, upkeep);
}

static void run(struct upkeep *upkeep, const struct pg_statement *statement, const int64_t *values,
                size_t count, pg_callback *callback)
{
    run_as(upkeep, &pg_service, statement, values, count, callback);
}

/* The statement has ended: its number, or -1 when it failed (pg has logged why) or all is over. */
static int64_t ended(struct upkeep *upkeep, const struct pg_outcome *outcome)
{
    arena_free(upkeep->arena);
    upkeep->arena = NULL;
    if (upkeep->is_stopped) {
        free(upkeep);
        return -1;
    }
    if (!outcome->result) {
        upkeep->figures.failures++;
        return -1;
    }
    return pg_int64(outcome->result, 0, 0);
}

static void fold(struct upkeep *upkeep)
{
    run(upkeep, &sql_fold_call_figures, &(int64_t){FOLD_MOST}, 1, on_folded);
}

static void on_tick(void *context)
{
    struct upkeep *upkeep = context;
    if (upkeep->arena)
        return; /* the last round is not over: the database is slow or away */
    const struct clock *clock = loop_clock(upkeep->service->loop);
    int64_t now = clock->monotonic_us(clock);
    if (now >= upkeep->next_round_us) {
        upkeep->next_round_us = now + ROUND_PERIOD_US;
        run_as(upkeep, &pg_schema_owner, &sql_make_call_partitions, &(int64_t){MONTHS_AHEAD}, 1,
               on_made);
    } else {
        upkeep->removals = 0;
        fold(upkeep);
    }
}

static void on_folded(void *context, const struct pg_outcome *outcome)
{
    struct upkeep *upkeep = context;
    int64_t folded = ended(upkeep, outcome);
    if (folded < 0)
        return;
    upkeep->figures.folded += (uint64_t)folded;
    if (folded >= FOLD_MOST)
        fold(upkeep);
    else
        run(upkeep, &sql_remove_deleted_calls, &(int64_t){REMOVE_MOST}, 1, on_removed);
}

/* Changes are folded between the steps: a company's figures go when none of them is waiting. */
static void on_removed(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_CALLS, COLUMN_COMPANIES, COLUMN_MORE };
    struct upkeep *upkeep = context;
    bool more = outcome->result && pg_bool(outcome->result, 0, COLUMN_MORE);
    int64_t companies = outcome->result ? pg_int64(outcome->result, 0, COLUMN_COMPANIES) : 0;
    int64_t calls = ended(upkeep, outcome);
    if (calls < 0)
        return;
    upkeep->figures.calls_removed += (uint64_t)calls;
    upkeep->figures.companies_removed += (uint64_t)companies;
    if (companies > 0)
        log_event(LOG_LEVEL_INFO, "company_removed", log_int("companies", companies));
    if (more && ++upkeep->removals < REMOVALS_OF_A_TICK)
        fold(upkeep);
}

static void drop(struct upkeep *upkeep)
{
    const struct upkeep_options *options = &upkeep->options;
    const int64_t days[] = {options->keep_calls_days ? options->keep_calls_days : -1,
                            options->keep_turns_days ? options->keep_turns_days : -1};
    run_as(upkeep, &pg_schema_owner, &sql_drop_call_partitions, days, 2, on_dropped);
}

static void on_made(void *context, const struct pg_outcome *outcome)
{
    struct upkeep *upkeep = context;
    int64_t made = ended(upkeep, outcome);
    if (made < 0)
        return;
    upkeep->figures.partitions_made += (uint64_t)made;
    if (made > 0)
        log_event(LOG_LEVEL_INFO, "partitions_made", log_int("months", made));
    drop(upkeep);
}

static void on_dropped(void *context, const struct pg_outcome *outcome)
{
    struct upkeep *upkeep = context;
    int64_t months = ended(upkeep, outcome);
    if (months < 0)
        return;
    upkeep->figures.months_dropped += (uint64_t)months;
    if (months > 0) {
        log_event(LOG_LEVEL_INFO, "month_dropped",
                  log_int("keep_calls_days", upkeep->options.keep_calls_days),
                  log_int("keep_turns_days", upkeep->options.keep_turns_days));
        drop(upkeep);
    } else {
        run(upkeep, &sql_prune_call_index, &(int64_t){PRUNE_MOST}, 1, on_index_pruned);
    }
}

static void on_index_pruned(void *context, const struct pg_outcome *outcome)
{
    struct upkeep *upkeep = context;
    int64_t rows = ended(upkeep, outcome);
    if (rows >= PRUNE_MOST)
        run(upkeep, &sql_prune_call_index, &(int64_t){PRUNE_MOST}, 1, on_index_pruned);
    else if (rows >= 0 && ++upkeep->rounds % ROUNDS_OF_A_DAY == 0)
        run(upkeep, &sql_prune_call_figures, NULL, 0, on_figures_pruned);
}

static void on_figures_pruned(void *context, const struct pg_outcome *outcome)
{
    ended(context, outcome);
}

struct upkeep *upkeep_start(struct analytics_service *service, const struct upkeep_options *options)
{
    struct upkeep *upkeep = calloc(1, sizeof(*upkeep));
    if (!upkeep)
        return NULL;
    upkeep->service = service;
    upkeep->options = *options;
    upkeep->timer = loop_timer_repeat(service->loop, options->fold_us, on_tick, upkeep);
    return upkeep;
}

void upkeep_stop(struct upkeep *upkeep)
{
    if (!upkeep)
        return;
    loop_timer_cancel(upkeep->timer);
    upkeep->is_stopped = true;
    if (!upkeep->arena)
        free(upkeep);
}

const struct upkeep_figures *upkeep_figures(const struct upkeep *upkeep)
{
    return &upkeep->figures;
}
