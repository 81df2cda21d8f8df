#include "campaign.h"
#include "campaign_sql.h"
#include "claims.h"
#include "handlers/handlers.h"

static void on_finished(void *context, const struct pg_outcome *outcome);

void finish_task(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__FinishTaskRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->call_id);
    pg_param_int64(&params, request->fence);
    pg_param_text(&params, disposition_word(request->disposition));
    pg_param_text(&params, request->_outcome_case ? request->outcome : NULL);
    pg_param_text(&params, request->_error_message_case ? request->error_message : NULL);
    rpc_call_set_state(call, request->call_id);
    pg_write(service->pool, rpc_call_owner(call), &sql_finish_task, &params, on_finished, call);
}

static void on_finished(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_TASK, COLUMN_STATE, COLUMN_NEXT_ATTEMPT_AT };
    struct rpc_call *call = context;
    struct campaign_service *service = rpc_call_context(call);
    const struct pg_result *row = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__FinishTaskResponse response = DIALPLANE__V1__FINISH_TASK_RESPONSE__INIT;

    if (!row) {
        rpc_fail(call, &outcome->err);
        return;
    }
    struct str verdict = pg_str(row, 0, COLUMN_VERDICT);

    if (str_equal_cstr(verdict, "not_found")) {
        fail_not_found(call, "call", rpc_call_state(call));
    } else if (str_equal_cstr(verdict, "stale")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "STALE_FENCE", "the call is no longer yours");
    } else if (str_equal_cstr(verdict, "not_dialing")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "NOT_DIALING",
                      "the call has not begun to dial: BeginDial comes first");
    } else if (str_equal_cstr(verdict, "different")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "FINISHED_DIFFERENTLY",
                      "the call has been finished already with another result");
    } else if (str_equal_cstr(verdict, "bad_disposition")) {
        fail_field(call, "disposition", "has no rule");
    } else {
        response.task_id = pg_text(row, 0, COLUMN_TASK, arena);
        response.status = task_status_from_word(pg_str(row, 0, COLUMN_STATE));
        response.next_attempt_at = timestamp_from_column(arena, row, 0, COLUMN_NEXT_ATTEMPT_AT);
        claims_wake(service->claims); /* a line is free */
        if (arena_is_exhausted(arena))
            fail_memory(call);
        else
            rpc_reply(call, &response.base);
    }
}
