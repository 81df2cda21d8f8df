#include "api_key_rows.h"
#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/list.h"

enum { COLUMN_TOTAL = API_KEY_COLUMNS };

static void *item(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    (void)err;
    return api_key_from_row(rpc_call_arena(call), rows, row);
}

static const struct list api_keys = {
    .scope = "api_keys/",
    .parent = "company",
    .parent_field = "company_id",
    .response = &dialplane__v1__list_api_keys_response__descriptor,
    .order = PAGE_BY_TIME,
    .key_columns = {API_KEY_CREATED_AT, API_KEY_ID},
    .total_column = COLUMN_TOTAL,
    .item = item,
};

void check_list_api_keys(const void *request, struct violations *violations)
{
    list_check(&api_keys, request, violations);
}

void list_api_keys(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListApiKeysRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &api_keys, request))
        return;
    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    list_param_page(&params, call);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_api_keys, &params, list_on_rows, call);
}
