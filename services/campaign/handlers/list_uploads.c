#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "uploads/rows.h"

#include "service/list.h"

enum { COLUMN_TOTAL = UPLOAD_COLUMNS };

static void *item(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    (void)err;
    return upload_from_row(rpc_call_arena(call), rows, row);
}

static const struct list uploads = {
    .scope = "uploads/",
    .parent = "campaign",
    .parent_field = "campaign_id",
    .response = &dialplane__v1__list_uploads_response__descriptor,
    .order = PAGE_BY_TIME,
    .key_columns = {UPLOAD_CREATED_AT, UPLOAD_ID},
    .total_column = COLUMN_TOTAL,
    .item = item,
};

void check_list_uploads(const void *request, struct violations *violations)
{
    list_check(&uploads, request, violations);
}

void list_uploads(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListUploadsRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &uploads, request))
        return;
    param_scope(&params, call);
    pg_param_text(&params, request->campaign_id);
    pg_param_text(&params, request->_state_case ? upload_state_word(request->state) : NULL);
    list_param_page(&params, call);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_uploads, &params, list_on_rows, call);
}
