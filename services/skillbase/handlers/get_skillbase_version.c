#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

enum {
    COLUMN_ID,
    COLUMN_CURRENT,
    COLUMN_VERSION,
    COLUMN_CREATED_AT,
    COLUMN_CONFIG_WIRE,
    COLUMN_CONFIG
};
enum { FIELD_CONFIG = 4 };

static void on_loaded(void *context, const struct pg_outcome *outcome);

void get_skillbase_version(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetSkillbaseVersionRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->id);
    pg_param_int64(&params, request->version);
    rpc_call_set_state(call, (void *)request);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_skillbase_version, &params, on_loaded,
            call);
}

static void reply_version(struct rpc_call *call, const struct pg_result *row)
{
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__SkillbaseVersion version = DIALPLANE__V1__SKILLBASE_VERSION__INIT;
    struct err err = {0};

    version.skillbase_id = pg_text(row, 0, COLUMN_ID, arena);
    version.version = (int32_t)pg_int64(row, 0, COLUMN_VERSION);
    version.is_current = version.version == pg_int64(row, 0, COLUMN_CURRENT);
    version.created_at = timestamp_from_us(arena, pg_time_us(row, 0, COLUMN_CREATED_AT));
    if (!attach_config(call, &version.base, FIELD_CONFIG, row, 0, COLUMN_CONFIG_WIRE, COLUMN_CONFIG,
                       CONFIG_SECRETS_HIDDEN, &err))
        rpc_fail(call, &err);
    else if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &version.base);
}

static void on_loaded(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__GetSkillbaseVersionRequest *request = rpc_call_state(call);

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "skillbase", request->id);
    else if (pg_is_null(outcome->result, 0, COLUMN_VERSION))
        fail_no_version(call, request->id, request->version);
    else
        reply_version(call, outcome->result);
}
