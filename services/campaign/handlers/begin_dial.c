#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

static void on_begun(void *context, const struct pg_outcome *outcome);

void begin_dial(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__BeginDialRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->call_id);
    pg_param_int64(&params, request->fence);
    pg_param_int64(&params, service->lease_us);
    rpc_call_set_state(call, request->call_id);
    pg_write(service->pool, rpc_call_owner(call), &sql_begin_dial, &params, on_begun, call);
}

static void on_begun(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT, COLUMN_LEASE_UNTIL, COLUMN_STATUS };
    struct rpc_call *call = context;
    Dialplane__V1__BeginDialResponse response = DIALPLANE__V1__BEGIN_DIAL_RESPONSE__INIT;

    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    struct str verdict = pg_str(outcome->result, 0, COLUMN_VERDICT);
    struct str status = pg_str(outcome->result, 0, COLUMN_STATUS);

    if (str_equal_cstr(verdict, "not_found")) {
        fail_not_found(call, "call", rpc_call_state(call));
    } else if (str_equal_cstr(verdict, "stale")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "STALE_FENCE",
                      "the call is no longer yours: do not dial");
    } else if (str_equal_cstr(verdict, "finished")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "CALL_FINISHED", "the call has ended already");
    } else if (str_equal_cstr(verdict, "not_running")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "CAMPAIGN_NOT_RUNNING",
                      str_equal_cstr(status, "running")
                          ? "the company is not active: do not dial"
                          : "the campaign does not run any more: do not dial");
    } else if (str_equal_cstr(verdict, "suppressed")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "SUPPRESSED",
                      "the number is on the do-not-call list: do not dial");
    } else if (str_equal_cstr(verdict, "window_closed")) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "WINDOW_CLOSED",
                      "the campaign's window has closed: do not dial");
    } else {
        response.lease_expires_at =
            timestamp_from_column(rpc_call_arena(call), outcome->result, 0, COLUMN_LEASE_UNTIL);
        rpc_reply(call, &response.base);
    }
}
