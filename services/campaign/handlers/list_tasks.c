#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

#include "service/list.h"

enum { COLUMN_TOTAL = TASK_COLUMNS };

static void *item(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    return task_from_row(call, rows, row, err);
}

static const struct list tasks = {
    .scope = "tasks/",
    .parent = "campaign",
    .parent_field = "campaign_id",
    .response = &dialplane__v1__list_tasks_response__descriptor,
    .order = PAGE_BY_NUMBER_AND_UUID,
    .key_columns = {TASK_PRIORITY, TASK_ID},
    .total_column = COLUMN_TOTAL,
    /* gRPC clients take 4 MB by default. A page ends early rather than outgrow them. */
    .bytes_column = TASK_CONTACT_DATA,
    .bytes_limit = 2500000,
    .item = item,
};

void check_list_tasks(const void *request, struct violations *violations)
{
    list_check(&tasks, request, violations);
}

void list_tasks(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListTasksRequest *request = request_;
    struct campaign_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &tasks, request))
        return;
    param_scope(&params, call);
    pg_param_text(&params, request->campaign_id);
    pg_param_text(&params, request->_status_case ? task_status_word(request->status) : NULL);
    pg_param_text(&params, request->_outcome_case && *request->outcome ? request->outcome : NULL);
    pg_param_text(&params, request->_phone_number_case && *request->phone_number
                               ? request->phone_number
                               : NULL);
    list_param_page(&params, call);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_tasks, &params, list_on_rows, call);
}
