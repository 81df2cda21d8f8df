#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

static void on_loaded(void *context, const struct pg_outcome *outcome);

void get_task(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetTaskRequest *request = request_;

    reply_task(call, request->campaign_id, request->id);
}

void reply_task(struct rpc_call *call, char *campaign_id, char *id)
{
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, campaign_id);
    pg_param_text(&params, id);
    rpc_call_set_state(call, id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_task, &params, on_loaded, call);
}

static void on_loaded(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    Dialplane__V1__CallTask *task;
    struct err err = {0};

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "task", rpc_call_state(call));
    else if (!(task = task_from_row(call, outcome->result, 0, &err)))
        rpc_fail(call, &err);
    else
        rpc_reply(call, &task->base);
}
