#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

enum {
    COLUMN_ID,
    COLUMN_COMPANY_ID,
    COLUMN_NAME,
    COLUMN_KNOWLEDGE_BASE_ID,
    COLUMN_IS_ACTIVE,
    COLUMN_IS_PUBLISHED,
    COLUMN_VERSION,
    COLUMN_CONFIG_WIRE,
    COLUMN_CONFIG
};
enum { FIELD_CONFIG = 5 };

static void on_loaded(void *context, const struct pg_outcome *outcome);

void get_skillbase_for_call(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__GetSkillbaseForCallRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->id);
    if (request->_version_case)
        pg_param_int64(&params, request->version);
    else
        pg_param_null(&params);
    rpc_call_set_state(call, (void *)request);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_skillbase_for_call, &params, on_loaded,
            call);
}

static void reply_for_call(struct rpc_call *call, const struct pg_result *row)
{
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__SkillbaseForCall skillbase = DIALPLANE__V1__SKILLBASE_FOR_CALL__INIT;
    struct err err = {0};

    skillbase.id = pg_text(row, 0, COLUMN_ID, arena);
    skillbase.company_id = pg_text(row, 0, COLUMN_COMPANY_ID, arena);
    skillbase.name = pg_text(row, 0, COLUMN_NAME, arena);
    skillbase.version = (int32_t)pg_int64(row, 0, COLUMN_VERSION);
    if (!pg_is_null(row, 0, COLUMN_KNOWLEDGE_BASE_ID)) {
        skillbase._knowledge_base_id_case =
            DIALPLANE__V1__SKILLBASE_FOR_CALL___KNOWLEDGE_BASE_ID_KNOWLEDGE_BASE_ID;
        skillbase.knowledge_base_id = pg_text(row, 0, COLUMN_KNOWLEDGE_BASE_ID, arena);
    }
    if (!attach_config(call, &skillbase.base, FIELD_CONFIG, row, 0, COLUMN_CONFIG_WIRE,
                       COLUMN_CONFIG, CONFIG_SECRETS_SHOWN, &err))
        rpc_fail(call, &err);
    else if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &skillbase.base);
}

static void on_loaded(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__GetSkillbaseForCallRequest *request = rpc_call_state(call);
    const struct pg_result *row = outcome->result;

    if (!row)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(row) == 0)
        fail_not_found(call, "skillbase", request->id);
    else if (!pg_bool(row, 0, COLUMN_IS_ACTIVE))
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "SKILLBASE_NOT_ACTIVE",
                      "skillbase %s is not active", request->id);
    else if (!pg_bool(row, 0, COLUMN_IS_PUBLISHED))
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, "SKILLBASE_NOT_PUBLISHED",
                      "skillbase %s is not published", request->id);
    else if (pg_is_null(row, 0, COLUMN_VERSION))
        fail_no_version(call, request->id, request->version);
    else
        reply_for_call(call, row);
}
