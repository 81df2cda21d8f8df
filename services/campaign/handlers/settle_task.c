#include "campaign.h"
#include "campaign_sql.h"
#include "claims.h"
#include "handlers/handlers.h"

static void on_settled(void *context, const struct pg_outcome *outcome);

void settle_task(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__SettleTaskRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->campaign_id);
    pg_param_text(&params, request->id);
    pg_param_text(&params, request->_call_id_case && *request->call_id ? request->call_id : NULL);
    pg_param_text(&params, disposition_word(request->disposition));
    pg_param_text(&params, request->_outcome_case ? request->outcome : NULL);
    pg_param_text(&params, request->_error_message_case ? request->error_message : NULL);
    rpc_call_set_state(call, (void *)request);
    pg_write(service->pool, rpc_call_owner(call), &sql_settle_task, &params, on_settled, call);
}

static void on_settled(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__SettleTaskRequest *request = rpc_call_state(call);
    const struct campaign_service *service = rpc_call_context(call);

    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    struct str verdict = pg_str(outcome->result, 0, 0);

    if (str_equal_cstr(verdict, "not_found")) {
        fail_not_found(call, "task", request->id);
    } else if (str_equal_cstr(verdict, "not_unknown")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "NOT_UNKNOWN",
                      "the end of the task's call is not unknown: there is nothing to settle");
    } else if (str_equal_cstr(verdict, "call_changed")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "CALL_CHANGED",
                      "the task has had another call since");
    } else if (str_equal_cstr(verdict, "bad_disposition")) {
        fail_field(call, "disposition", "has no rule");
    } else {
        claims_wake(service->claims);
        reply_task(call, request->campaign_id, request->id);
    }
}
