#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/list.h"

enum { COLUMN_ID, COLUMN_CURRENT, COLUMN_TOTAL, COLUMN_VERSION, COLUMN_CREATED_AT };

static void *version_from_row(struct rpc_call *call, const struct pg_result *rows, int row,
                              struct err *err)
{
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__SkillbaseVersionSummary *version =
        ARENA_NEW(arena, Dialplane__V1__SkillbaseVersionSummary);

    (void)err;
    if (!version)
        return NULL;
    dialplane__v1__skillbase_version_summary__init(version);
    version->skillbase_id = pg_text(rows, row, COLUMN_ID, arena);
    version->version = (int32_t)pg_int64(rows, row, COLUMN_VERSION);
    version->is_current = version->version == pg_int64(rows, row, COLUMN_CURRENT);
    version->created_at = timestamp_from_us(arena, pg_time_us(rows, row, COLUMN_CREATED_AT));
    return version;
}

static const struct list versions = {
    .scope = "skillbase_versions",
    .parent = "skillbase",
    .parent_field = "id",
    .response = &dialplane__v1__list_skillbase_versions_response__descriptor,
    .order = PAGE_BY_NUMBER,
    .key_columns = {COLUMN_VERSION},
    .total_column = COLUMN_TOTAL,
    .item = version_from_row,
};

void check_list_skillbase_versions(const void *request, struct violations *violations)
{
    list_check(&versions, request, violations);
}

void list_skillbase_versions(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListSkillbaseVersionsRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &versions, request))
        return;
    param_scope(&params, call);
    pg_param_text(&params, request->id);
    list_param_page(&params, call);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_skillbase_versions, &params,
            list_on_rows, call);
}
