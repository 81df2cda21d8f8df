#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/paging.h"

/* Settings and limits of one page, as JSON: serialized they are up to 6.5 times that, and gRPC
 * clients take 4 MB by default. */
#define PAGE_BYTES_LIMIT 500000

enum { COLUMN_TOTAL = COMPANY_COLUMNS, COLUMN_FETCHED };

void check_list_companies(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListCompaniesRequest *request = request_;

    page_check(COMPANIES_SCOPE, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_companies(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListCompaniesRequest *request = (void *)request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_key after = {0};

    if (!rpc_apply_defaults(service->schema, &request->base, arena)) {
        fail_memory(call);
        return;
    }
    bool continues = request->page_token && *request->page_token;

    if (continues && !page_token_read(arena, COMPANIES_SCOPE, request->page_token, &after)) {
        fail_memory(call); /* the token itself was checked */
        return;
    }
    param_scope(&params, call);
    param_if(&params, continues, after.text);
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    pg_param_int64(&params, PAGE_BYTES_LIMIT);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_companies, &params, on_listed, call);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListCompaniesResponse response = DIALPLANE__V1__LIST_COMPANIES_RESPONSE__INIT;
    struct err err = {0};

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    /* There is always a row, for the total; an empty page has NULLs beside it. */
    size_t shown = pg_is_null(rows, 0, COMPANY_ID) ? 0 : (size_t)pg_rows(rows);

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__Company *, shown);
    if (!response.items) {
        fail_memory(call);
        return;
    }
    for (size_t i = 0; i < shown; i++) {
        Dialplane__V1__Company *company = company_from_row(call, rows, (int)i, &err);

        if (!company) {
            rpc_fail(call, &err);
            return;
        }
        response.items[response.n_items++] = company;
    }
    if ((size_t)pg_int64(rows, 0, COLUMN_FETCHED) > shown) {
        struct page_key last = {.text = response.items[shown - 1]->name};

        response._next_page_token_case =
            DIALPLANE__V1__LIST_COMPANIES_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token = page_token_make(arena, COMPANIES_SCOPE, &last);
        if (!response.next_page_token) {
            fail_memory(call);
            return;
        }
    }
    rpc_reply(call, &response.base);
}
