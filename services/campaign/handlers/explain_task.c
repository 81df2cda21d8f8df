#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

static void on_explained(void *context, const struct pg_outcome *outcome);

void explain_task(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ExplainTaskRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->campaign_id);
    pg_param_text(&params, request->id);
    rpc_call_set_state(call, request->id);
    pg_read(service->pool, rpc_call_owner(call), &sql_explain_task, &params, on_explained, call);
}

enum explain_column {
    COLUMN_RULE,
    COLUMN_PASSED,
    COLUMN_DETAIL,
    COLUMN_PASSES_AT,
    COLUMN_AT,
    COLUMN_EARLIEST,
    COLUMN_AHEAD,
};

static Dialplane__V1__Decision *decision_from_row(struct arena *arena, const struct pg_result *rows,
                                                  int row)
{
    Dialplane__V1__Decision *decision = ARENA_NEW(arena, Dialplane__V1__Decision);

    if (!decision)
        return NULL;
    dialplane__v1__decision__init(decision);
    decision->rule = pg_text(rows, row, COLUMN_RULE, arena);
    decision->passed = pg_bool(rows, row, COLUMN_PASSED);
    decision->detail = pg_text(rows, row, COLUMN_DETAIL, arena);
    decision->passes_at = timestamp_from_column(arena, rows, row, COLUMN_PASSES_AT);
    return decision;
}

static void on_explained(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ExplainTaskResponse response = DIALPLANE__V1__EXPLAIN_TASK_RESPONSE__INIT;

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        fail_not_found(call, "task", rpc_call_state(call));
        return;
    }
    response.now = timestamp_from_column(arena, rows, 0, COLUMN_AT);
    response.earliest = timestamp_from_column(arena, rows, 0, COLUMN_EARLIEST);
    if (!pg_is_null(rows, 0, COLUMN_AHEAD)) {
        response._ahead_case = DIALPLANE__V1__EXPLAIN_TASK_RESPONSE___AHEAD_AHEAD;
        response.ahead = (int32_t)pg_int64(rows, 0, COLUMN_AHEAD);
    }
    response.decisions = ARENA_ARRAY(arena, Dialplane__V1__Decision *, (size_t)pg_rows(rows));
    response.callable = true;
    for (int i = 0; response.decisions && i < pg_rows(rows); i++) {
        Dialplane__V1__Decision *decision = decision_from_row(arena, rows, i);

        if (!decision)
            break;
        response.decisions[response.n_decisions++] = decision;
        if (!decision->passed && response.callable) {
            response.callable = false;
            response._obstacle_case = DIALPLANE__V1__EXPLAIN_TASK_RESPONSE___OBSTACLE_OBSTACLE;
            response.obstacle = decision->rule;
        }
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
