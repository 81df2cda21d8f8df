#include "api_key_rows.h"
#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/paging.h"

enum { COLUMN_TOTAL = API_KEY_COLUMNS };

/* "api_keys/<company id>". NULL: arena exhausted. */
static char *scope_of(struct arena *arena, const Dialplane__V1__ListApiKeysRequest *request)
{
    char id_text[UUID_TEXT_SIZE] = "";
    struct uuid id;

    if (uuid_parse(str_from(request->company_id), &id))
        uuid_format(&id, id_text); /* either case is the same company */
    return arena_printf(arena, "api_keys/%s", id_text);
}

void check_list_api_keys(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListApiKeysRequest *request = request_;
    char *scope = scope_of(violations->arena, request);

    if (scope)
        page_check(scope, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_api_keys(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListApiKeysRequest *request = (void *)request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_key after = {0};
    char *scope = scope_of(arena, request);
    bool continues = request->page_token && *request->page_token;

    if (!rpc_apply_defaults(service->schema, &request->base, arena) || !scope ||
        (continues && !page_token_read(arena, scope, request->page_token, &after))) {
        fail_memory(call); /* the token itself was checked */
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->company_id);
    if (continues) {
        pg_param_time_us(&params, after.time_us);
        pg_param_uuid(&params, &after.id);
    } else {
        pg_param_null(&params);
        pg_param_null(&params);
    }
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_api_keys, &params, on_listed, call);
}

static void reply_page(struct rpc_call *call, const struct pg_result *rows)
{
    const Dialplane__V1__ListApiKeysRequest *request = rpc_call_state(call);
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListApiKeysResponse response = DIALPLANE__V1__LIST_API_KEYS_RESPONSE__INIT;
    int found = pg_is_null(rows, 0, API_KEY_ID) ? 0 : pg_rows(rows);
    int shown = found > request->limit ? request->limit : found;

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__ApiKey *, (size_t)shown);
    for (int i = 0; response.items && i < shown; i++)
        response.items[response.n_items++] = api_key_from_row(arena, rows, i);
    if (found > shown) {
        struct page_key last = {.time_us = pg_time_us(rows, shown - 1, API_KEY_CREATED_AT),
                                .id = pg_uuid(rows, shown - 1, API_KEY_ID)};
        char *scope = scope_of(arena, request);

        response._next_page_token_case =
            DIALPLANE__V1__LIST_API_KEYS_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token = scope ? page_token_make(arena, scope, &last) : NULL;
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__ListApiKeysRequest *request = rpc_call_state(call);

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "company", request->company_id);
    else
        reply_page(call, outcome->result);
}
