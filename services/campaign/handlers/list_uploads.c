#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "uploads/rows.h"

#include "service/paging.h"

enum { COLUMN_TOTAL = UPLOAD_COLUMNS };

void check_list_uploads(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListUploadsRequest *request = request_;
    char *scope = page_scope(violations->arena, UPLOADS_SCOPE, request->campaign_id);

    if (scope)
        page_check(scope, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_uploads(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListUploadsRequest *request = (void *)request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_start start;
    char *scope = page_scope(arena, UPLOADS_SCOPE, request->campaign_id);

    if (!rpc_apply_defaults(service->schema, &request->base, arena) || !scope ||
        !page_open(arena, scope, request->page_token, &start)) {
        fail_memory(call);
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->campaign_id);
    pg_param_text(&params, request->_state_case ? upload_state_word(request->state) : NULL);
    param_page(&params, &start);
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_uploads, &params, on_listed, call);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__ListUploadsRequest *request = rpc_call_state(call);
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListUploadsResponse response = DIALPLANE__V1__LIST_UPLOADS_RESPONSE__INIT;

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        fail_not_found(call, "campaign", request->campaign_id);
        return;
    }
    int found = pg_is_null(rows, 0, UPLOAD_ID) ? 0 : pg_rows(rows);
    int shown = found > request->limit ? request->limit : found;

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__Upload *, (size_t)shown);
    for (int i = 0; response.items && i < shown; i++)
        response.items[response.n_items++] = upload_from_row(arena, rows, i);
    if (found > shown) {
        char *scope = page_scope(arena, UPLOADS_SCOPE, request->campaign_id);

        response._next_page_token_case =
            DIALPLANE__V1__LIST_UPLOADS_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token =
            scope ? page_token_after(arena, scope, rows, shown - 1, UPLOAD_CREATED_AT, UPLOAD_ID)
                  : NULL;
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
