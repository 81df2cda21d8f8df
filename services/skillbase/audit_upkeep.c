/* At the start and then each hour: some thousand entries a statement, until there are no more. */
#include "audit_upkeep.h"

#include "skillbase_sql.h"

#include "base/log.h"

#include <stdlib.h>

#define PERIOD_US (3600 * TIME_US_PER_SECOND)
#define FIRST_US (10 * TIME_US_PER_SECOND)
#define MOST 5000

struct audit_upkeep {
    struct loop *loop;
    struct pg_pool *pool;
    int64_t keep_days;
    struct loop_timer *timer;
    struct arena *arena; /* of the statement under way; NULL: none is */
    int64_t forgotten;   /* in this round */
    bool is_stopped;
};

static void on_forgotten(void *context, const struct pg_outcome *outcome);

static void forget(struct audit_upkeep *upkeep)
{
    struct pg_params params = {.arena = arena_new(4096)};

    if (!params.arena)
        return; /* in an hour there may be memory */
    upkeep->arena = params.arena;
    pg_param_int64(&params, upkeep->keep_days);
    pg_param_int64(&params, MOST);
    pg_write(upkeep->pool, &pg_service, &sql_forget_audit_entries, &params, on_forgotten, upkeep);
}

static void on_hour(void *context)
{
    struct audit_upkeep *upkeep = context;

    upkeep->forgotten = 0;
    if (!upkeep->arena) /* else the last round is not over */
        forget(upkeep);
}

static void on_first(void *context)
{
    struct audit_upkeep *upkeep = context;

    upkeep->timer = loop_timer_repeat(upkeep->loop, PERIOD_US, on_hour, upkeep);
    on_hour(upkeep);
}

static void on_forgotten(void *context, const struct pg_outcome *outcome)
{
    struct audit_upkeep *upkeep = context;

    arena_free(upkeep->arena);
    upkeep->arena = NULL;
    if (upkeep->is_stopped) {
        free(upkeep);
        return;
    }
    if (!outcome->result)
        return; /* pg has logged why; in an hour again */
    int64_t forgotten = pg_int64(outcome->result, 0, 0);

    upkeep->forgotten += forgotten;
    if (forgotten == MOST)
        forget(upkeep);
    else if (upkeep->forgotten)
        log_event(LOG_LEVEL_INFO, "audit_entries_forgotten", log_int("entries", upkeep->forgotten),
                  log_int("keep_audit_days", upkeep->keep_days));
}

struct audit_upkeep *audit_upkeep_start(struct loop *loop, struct pg_pool *pool, int64_t keep_days)
{
    struct audit_upkeep *upkeep = calloc(1, sizeof(*upkeep));

    if (!upkeep)
        return NULL;
    upkeep->loop = loop;
    upkeep->pool = pool;
    upkeep->keep_days = keep_days;
    upkeep->timer = loop_timer_start(loop, FIRST_US, on_first, upkeep);
    return upkeep;
}

void audit_upkeep_stop(struct audit_upkeep *upkeep)
{
    if (!upkeep)
        return;
    loop_timer_cancel(upkeep->timer);
    upkeep->is_stopped = true;
    if (!upkeep->arena)
        free(upkeep);
}
