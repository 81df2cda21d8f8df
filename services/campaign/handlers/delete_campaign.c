#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

#include "google/protobuf/empty.pb-c.h"

static void on_deleted(void *context, const struct pg_outcome *outcome);

void delete_campaign(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__DeleteCampaignRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->id);
    param_if_match_us(&params, call);
    rpc_call_set_state(call, request->id);
    pg_write(service->pool, rpc_call_owner(call), &sql_delete_campaign, &params, on_deleted, call);
}

static void on_deleted(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_VERDICT };
    struct rpc_call *call = context;
    Google__Protobuf__Empty nothing = GOOGLE__PROTOBUF__EMPTY__INIT;

    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    struct str verdict = pg_str(outcome->result, 0, COLUMN_VERDICT);

    if (str_equal_cstr(verdict, "not_found"))
        fail_not_found(call, "campaign", rpc_call_state(call));
    else if (str_equal_cstr(verdict, "etag_mismatch"))
        fail_changed(call, "campaign");
    else
        rpc_reply(call, &nothing.base);
}
