#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/paging.h"

enum { COLUMN_ID, COLUMN_CURRENT, COLUMN_TOTAL, COLUMN_VERSION, COLUMN_CREATED_AT };

void check_list_skillbase_versions(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListSkillbaseVersionsRequest *request = request_;

    page_check(VERSIONS_SCOPE, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_skillbase_versions(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListSkillbaseVersionsRequest *request = (void *)request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_key after = {0};

    if (!rpc_apply_defaults(service->schema, &request->base, arena)) {
        fail_memory(call);
        return;
    }
    bool continues = request->page_token && *request->page_token;

    if (continues && !page_token_read(arena, VERSIONS_SCOPE, request->page_token, &after)) {
        fail_memory(call); /* the token itself was checked */
        return;
    }
    param_scope(&params, call);
    pg_param_text(&params, request->id);
    if (continues)
        pg_param_int64(&params, after.number);
    else
        pg_param_null(&params);
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_skillbase_versions, &params, on_listed,
            call);
}

static Dialplane__V1__SkillbaseVersionSummary *
version_from_row(struct arena *arena, const struct pg_result *rows, int row)
{
    Dialplane__V1__SkillbaseVersionSummary *version =
        ARENA_NEW(arena, Dialplane__V1__SkillbaseVersionSummary);

    if (!version)
        return NULL;
    dialplane__v1__skillbase_version_summary__init(version);
    version->skillbase_id = pg_text(rows, row, COLUMN_ID, arena);
    version->version = (int32_t)pg_int64(rows, row, COLUMN_VERSION);
    version->is_current = version->version == pg_int64(rows, row, COLUMN_CURRENT);
    version->created_at = timestamp_from_us(arena, pg_time_us(rows, row, COLUMN_CREATED_AT));
    return arena_is_exhausted(arena) ? NULL : version;
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__ListSkillbaseVersionsRequest *request = rpc_call_state(call);
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListSkillbaseVersionsResponse response =
        DIALPLANE__V1__LIST_SKILLBASE_VERSIONS_RESPONSE__INIT;

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        fail_not_found(call, "skillbase", request->id);
        return;
    }
    int fetched = pg_is_null(rows, 0, COLUMN_VERSION) ? 0 : pg_rows(rows);
    int shown = fetched > request->limit ? request->limit : fetched;

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__SkillbaseVersionSummary *, (size_t)shown);
    for (int i = 0; response.items && i < shown; i++) {
        response.items[i] = version_from_row(arena, rows, i);
        response.n_items++;
    }
    if (shown < fetched) {
        struct page_key last = {.number = pg_int64(rows, shown - 1, COLUMN_VERSION)};

        response._next_page_token_case =
            DIALPLANE__V1__LIST_SKILLBASE_VERSIONS_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token = page_token_make(arena, VERSIONS_SCOPE, &last);
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
