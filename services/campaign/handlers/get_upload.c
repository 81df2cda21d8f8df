#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "uploads/rows.h"

static void on_read(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    Dialplane__V1__Upload *upload;

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "upload", rpc_call_state(call));
    else if (!(upload = upload_from_row(rpc_call_arena(call), outcome->result, 0)))
        fail_memory(call);
    else
        rpc_reply(call, &upload->base);
}

void get_upload(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetUploadRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->campaign_id);
    pg_param_text(&params, request->id);
    rpc_call_set_state(call, request->id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_upload, &params, on_read, call);
}
