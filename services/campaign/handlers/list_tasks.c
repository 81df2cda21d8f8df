#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"

#include "service/paging.h"

/* Contact data of one page: gRPC clients take 4 MB by default. A page ends early rather than
 * outgrow them. */
#define PAGE_BYTES_LIMIT ((size_t)2500000)

enum { COLUMN_TOTAL = TASK_COLUMNS };

void check_list_tasks(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListTasksRequest *request = request_;
    char *scope = page_scope(violations->arena, TASKS_SCOPE, request->campaign_id);

    if (scope)
        page_check(scope, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_tasks(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListTasksRequest *request = (void *)request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_start start;
    char *scope = page_scope(arena, TASKS_SCOPE, request->campaign_id);

    if (!rpc_apply_defaults(service->schema, &request->base, arena) || !scope ||
        !page_open(arena, scope, request->page_token, &start)) {
        fail_memory(call);
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->campaign_id);
    pg_param_text(&params, request->_status_case ? task_status_word(request->status) : NULL);
    pg_param_text(&params, request->_outcome_case && *request->outcome ? request->outcome : NULL);
    pg_param_text(&params, request->_phone_number_case && *request->phone_number
                               ? request->phone_number
                               : NULL);
    if (start.continues) {
        pg_param_int64(&params, start.after.number);
        pg_param_uuid(&params, &start.after.id);
    } else {
        pg_param_null(&params);
        pg_param_null(&params);
    }
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_tasks, &params, on_listed, call);
}

static char *next_page_token(struct rpc_call *call, const Dialplane__V1__CallTask *task)
{
    struct arena *arena = rpc_call_arena(call);
    struct page_key last = {.number = task->priority};
    const Dialplane__V1__ListTasksRequest *request = rpc_call_state(call);
    char *scope = page_scope(arena, TASKS_SCOPE, request->campaign_id);

    if (!scope || !uuid_parse(str_from(task->id), &last.id))
        return NULL;
    return page_token_make(arena, scope, &last);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__ListTasksRequest *request = rpc_call_state(call);
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListTasksResponse response = DIALPLANE__V1__LIST_TASKS_RESPONSE__INIT;
    struct err err = {0};
    size_t bytes = 0;

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        fail_not_found(call, "campaign", request->campaign_id);
        return;
    }
    int found = pg_is_null(rows, 0, TASK_ID) ? 0 : pg_rows(rows);
    int shown = found > request->limit ? request->limit : found;

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__CallTask *, (size_t)shown);
    for (int i = 0; response.items && i < shown && bytes <= PAGE_BYTES_LIMIT; i++) {
        Dialplane__V1__CallTask *task = task_from_row(call, rows, i, &err);

        if (!task) {
            rpc_fail(call, &err);
            return;
        }
        bytes += pg_str(rows, i, TASK_CONTACT_DATA).length;
        response.items[response.n_items++] = task;
    }
    if (response.n_items && found > (int)response.n_items) {
        response._next_page_token_case =
            DIALPLANE__V1__LIST_TASKS_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token = next_page_token(call, response.items[response.n_items - 1]);
    }
    if (!response.items || arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
