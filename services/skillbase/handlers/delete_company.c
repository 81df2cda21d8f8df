#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "google/protobuf/empty.pb-c.h"

enum { COLUMN_REVISION_MATCHES };

static void on_deleted(void *context, const struct pg_outcome *outcome);

void delete_company(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__DeleteCompanyRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (service_scope(call)) {
        rpc_fail_code(call, ERR_PERMISSION_DENIED, NULL,
                      "only the platform's administrators delete companies");
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->id);
    param_if_match(&params, call);
    rpc_call_set_state(call, request->id);
    pg_write(service->pool, rpc_call_owner(call), &sql_delete_company, &params, on_deleted, call);
}

static void on_deleted(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    Google__Protobuf__Empty nothing = GOOGLE__PROTOBUF__EMPTY__INIT;

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "company", rpc_call_state(call));
    else if (!pg_bool(outcome->result, 0, COLUMN_REVISION_MATCHES))
        fail_changed(call, "company");
    else
        rpc_reply(call, &nothing.base);
}
