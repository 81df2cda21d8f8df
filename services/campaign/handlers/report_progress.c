#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

static void on_noted(void *context, const struct pg_outcome *outcome);

void report_progress(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ReportProgressRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->call_id);
    pg_param_int64(&params, request->fence);
    pg_param_text(&params, request->stage == DIALPLANE__V1__CALL_STAGE__CALL_STAGE_RINGING
                               ? "ringing"
                               : "answered");
    rpc_call_set_state(call, request->call_id);
    pg_write(service->pool, rpc_call_owner(call), &sql_report_progress, &params, on_noted, call);
}

static void on_noted(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_RINGING, COLUMN_ANSWERED };
    struct rpc_call *call = context;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ReportProgressResponse response = DIALPLANE__V1__REPORT_PROGRESS_RESPONSE__INIT;

    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    struct str verdict = pg_str(outcome->result, 0, COLUMN_VERDICT);

    if (str_equal_cstr(verdict, "not_found")) {
        fail_not_found(call, "call", rpc_call_state(call));
    } else if (str_equal_cstr(verdict, "stale")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "STALE_FENCE", "the call is no longer yours");
    } else if (str_equal_cstr(verdict, "finished")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "CALL_FINISHED", "the call has ended already");
    } else if (str_equal_cstr(verdict, "not_dialing")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "NOT_DIALING",
                      "the call has not begun to dial: BeginDial comes first");
    } else {
        response.ringing_at = timestamp_from_column(arena, outcome->result, 0, COLUMN_RINGING);
        response.answered_at = timestamp_from_column(arena, outcome->result, 0, COLUMN_ANSWERED);
        if (arena_is_exhausted(arena))
            fail_memory(call);
        else
            rpc_reply(call, &response.base);
    }
}
