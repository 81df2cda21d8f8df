#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/paging.h"

/* Configurations of one page, serialized: gRPC clients take 4 MB by default. */
#define PAGE_BYTES_LIMIT 3000000

enum { COLUMN_TOTAL = SKILLBASE_COLUMNS, COLUMN_FETCHED };

void check_list_skillbases(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListSkillbasesRequest *request = request_;

    page_check(SKILLBASES_SCOPE, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_skillbases(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListSkillbasesRequest *request = (void *)request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_key after = {0};

    if (!rpc_apply_defaults(service->schema, &request->base, arena)) {
        fail_memory(call);
        return;
    }
    bool continues = request->page_token && *request->page_token;

    if (continues && !page_token_read(arena, SKILLBASES_SCOPE, request->page_token, &after)) {
        fail_memory(call); /* the token itself was checked */
        return;
    }
    param_scope(&params, call);
    param_if(&params, request->_is_active_case, request->is_active ? "true" : "false");
    param_if(&params, request->_is_published_case, request->is_published ? "true" : "false");
    if (continues) {
        pg_param_time_us(&params, after.time_us);
        pg_param_uuid(&params, &after.id);
    } else {
        pg_param_null(&params);
        pg_param_null(&params);
    }
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    pg_param_int64(&params, PAGE_BYTES_LIMIT);
    /* Who may see one company only reads along that company's index, whatever the filter. */
    const char *company_id =
        request->company_id && *request->company_id ? request->company_id : service_scope(call);
    const struct pg_statement *statement = &sql_list_skillbases;

    if (company_id) {
        pg_param_text(&params, company_id);
        statement = &sql_list_company_skillbases;
    }
    pg_read(service->pool, rpc_call_owner(call), statement, &params, on_listed, call);
}

/* The key of the page's last row. */
static char *next_page_token(struct arena *arena, const struct pg_result *rows, int row,
                             const char *id)
{
    struct page_key last = {.time_us = pg_time_us(rows, row, SKILLBASE_CREATED_AT)};

    if (!id || !uuid_parse(str_from(id), &last.id))
        return NULL;
    return page_token_make(arena, SKILLBASES_SCOPE, &last);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListSkillbasesResponse response = DIALPLANE__V1__LIST_SKILLBASES_RESPONSE__INIT;
    struct err err = {0};

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    /* There is always a row, for the total; an empty page has NULLs beside it. */
    int shown = pg_is_null(rows, 0, SKILLBASE_ID) ? 0 : pg_rows(rows);

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__Skillbase *, (size_t)shown);
    if (!response.items) {
        fail_memory(call);
        return;
    }
    for (int i = 0; i < shown; i++) {
        Dialplane__V1__Skillbase *skillbase = skillbase_from_row(call, rows, i, &err);

        if (!skillbase) {
            rpc_fail(call, &err);
            return;
        }
        response.items[response.n_items++] = skillbase;
    }
    if (pg_int64(rows, 0, COLUMN_FETCHED) > shown) {
        response._next_page_token_case =
            DIALPLANE__V1__LIST_SKILLBASES_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token =
            next_page_token(arena, rows, shown - 1, response.items[shown - 1]->id);
        if (!response.next_page_token) {
            fail_memory(call);
            return;
        }
    }
    rpc_reply(call, &response.base);
}
