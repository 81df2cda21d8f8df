#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "phone.h"
#include "suppression_rows.h"

#include "domain/call_list.h"
#include "service/paging.h"

enum { COLUMN_TOTAL = SUPPRESSION_COLUMNS };

void check_list_suppressions(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListSuppressionsRequest *request = request_;
    char *scope = page_scope(violations->arena, SUPPRESSIONS_SCOPE, request->company_id);

    if (scope)
        page_check(scope, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_suppressions(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListSuppressionsRequest *request = (void *)request_;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_start start;
    char number[PHONE_TEXT_SIZE];
    char *scope = page_scope(arena, SUPPRESSIONS_SCOPE, request->company_id);

    if (!rpc_apply_defaults(service->schema, &request->base, arena) || !scope ||
        !page_open(arena, scope, request->page_token, &start)) {
        fail_memory(call);
        return;
    }
    bool has_number = request->_phone_number_case && *request->phone_number;

    if (has_number && phone_normalise(request->phone_number, strlen(request->phone_number),
                                      service->default_region, number) != PHONE_RESULT_OK) {
        fail_field(call, "phone_number", "is not a phone number with country code");
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    pg_param_text(&params, has_number ? number : NULL);
    pg_param_text(&params, request->_source_case ? suppression_source_word(request->source) : NULL);
    param_page(&params, &start);
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_suppressions, &params, on_listed, call);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__ListSuppressionsRequest *request = rpc_call_state(call);
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListSuppressionsResponse response =
        DIALPLANE__V1__LIST_SUPPRESSIONS_RESPONSE__INIT;

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        fail_not_found(call, "company", request->company_id);
        return;
    }
    int found = pg_is_null(rows, 0, SUPPRESSION_ID) ? 0 : pg_rows(rows);
    int shown = found > request->limit ? request->limit : found;

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__Suppression *, (size_t)shown);
    for (int i = 0; response.items && i < shown; i++)
        response.items[response.n_items++] = suppression_from_row(arena, rows, i);
    if (found > shown) {
        char *scope = page_scope(arena, SUPPRESSIONS_SCOPE, request->company_id);

        response._next_page_token_case =
            DIALPLANE__V1__LIST_SUPPRESSIONS_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token = scope ? page_token_after(arena, scope, rows, shown - 1,
                                                            SUPPRESSION_CREATED_AT, SUPPRESSION_ID)
                                         : NULL;
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
