/* Rows as messages. A configuration is stored a second time as wire bytes; those are put into the
 * answer as they are, unless there is a secret in them. */
#include "secret_settings.h"
#include "skillbase.h"

#include "domain/secrets.h"

/* Field numbers of what is attached. */
enum { COMPANY_FIELD_SETTINGS = 5, COMPANY_FIELD_LIMITS = 6, SKILLBASE_FIELD_CONFIG = 6 };

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                   "the answer does not fit the memory of one call");
}

/* `wire` with its secrets hidden; shown for as long as `hidden` lives. */
static bool attach_hidden(struct rpc_call *call, ProtobufCMessage *message, uint32_t number,
                          struct str wire, struct err *err)
{
    struct buf hidden;
    bool attached = false;

    buf_init(&hidden, 0);
    switch (secrets_hide(secret_settings_names(), wire, &hidden)) {
    case SECRETS_NONE:
        attached = attach_wire(rpc_call_arena(call), message, number, 1, wire, err);
        break;
    case SECRETS_HIDDEN:
        attached = attach_wire(rpc_call_arena(call), message, number, 1, buf_str(&hidden), err);
        break;
    case SECRETS_BROKEN:
        if (hidden.failed)
            out_of_memory(err);
        else
            err_set(err, ERR_INTERNAL, NULL, "the stored configuration cannot be read");
        break;
    }
    buf_done(&hidden);
    return attached;
}

bool attach_config(struct rpc_call *call, ProtobufCMessage *message, uint32_t number,
                   const struct pg_result *result, int row, int wire_column, int json_column,
                   enum config_secrets secrets, struct err *err)
{
    struct str wire = pg_str(result, row, wire_column);
    struct buf from_json;
    bool attached = false;

    buf_init(&from_json, 0);
    if (pg_is_null(result, row, wire_column)) {
        if (!wire_from_json(call, "dialplane.v1.SkillbaseConfig", pg_str(result, row, json_column),
                            &from_json, err))
            goto done;
        wire = buf_str(&from_json);
    }
    attached = secrets == CONFIG_SECRETS_SHOWN
                   ? attach_wire(rpc_call_arena(call), message, number, 1, wire, err)
                   : attach_hidden(call, message, number, wire, err);
done:
    buf_done(&from_json);
    return attached;
}

Dialplane__V1__Company *company_from_row(struct rpc_call *call, const struct pg_result *result,
                                         int row, struct err *err)
{
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__Company *company = ARENA_NEW(arena, Dialplane__V1__Company);

    if (!company) {
        out_of_memory(err);
        return NULL;
    }
    dialplane__v1__company__init(company);
    company->id = pg_text(result, row, COMPANY_ID, arena);
    company->name = pg_text(result, row, COMPANY_NAME, arena);
    company->slug = pg_text(result, row, COMPANY_SLUG, arena);
    if (!pg_is_null(result, row, COMPANY_DESCRIPTION)) {
        company->_description_case = DIALPLANE__V1__COMPANY___DESCRIPTION_DESCRIPTION;
        company->description = pg_text(result, row, COMPANY_DESCRIPTION, arena);
    }
    company->_is_active_case = DIALPLANE__V1__COMPANY___IS_ACTIVE_IS_ACTIVE;
    company->is_active = pg_bool(result, row, COMPANY_IS_ACTIVE);
    company->created_at = timestamp_from_us(arena, pg_time_us(result, row, COMPANY_CREATED_AT));
    company->updated_at = timestamp_from_us(arena, pg_time_us(result, row, COMPANY_UPDATED_AT));
    if (arena_is_exhausted(arena)) {
        out_of_memory(err);
        return NULL;
    }
    if (!attach_json(call, &company->base, COMPANY_FIELD_SETTINGS, 2, "google.protobuf.Struct",
                     pg_str(result, row, COMPANY_SETTINGS), err) ||
        !attach_json(call, &company->base, COMPANY_FIELD_LIMITS, 2, "google.protobuf.Struct",
                     pg_str(result, row, COMPANY_LIMITS), err))
        return NULL;
    return company;
}

Dialplane__V1__Skillbase *skillbase_from_row(struct rpc_call *call, const struct pg_result *result,
                                             int row, struct err *err)
{
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__Skillbase *skillbase = ARENA_NEW(arena, Dialplane__V1__Skillbase);

    if (!skillbase) {
        out_of_memory(err);
        return NULL;
    }
    dialplane__v1__skillbase__init(skillbase);
    skillbase->id = pg_text(result, row, SKILLBASE_ID, arena);
    skillbase->company_id = pg_text(result, row, SKILLBASE_COMPANY_ID, arena);
    skillbase->name = pg_text(result, row, SKILLBASE_NAME, arena);
    skillbase->slug = pg_text(result, row, SKILLBASE_SLUG, arena);
    if (!pg_is_null(result, row, SKILLBASE_DESCRIPTION)) {
        skillbase->_description_case = DIALPLANE__V1__SKILLBASE___DESCRIPTION_DESCRIPTION;
        skillbase->description = pg_text(result, row, SKILLBASE_DESCRIPTION, arena);
    }
    skillbase->version = (int32_t)pg_int64(result, row, SKILLBASE_VERSION);
    if (!pg_is_null(result, row, SKILLBASE_KNOWLEDGE_BASE_ID)) {
        skillbase->_knowledge_base_id_case =
            DIALPLANE__V1__SKILLBASE___KNOWLEDGE_BASE_ID_KNOWLEDGE_BASE_ID;
        skillbase->knowledge_base_id = pg_text(result, row, SKILLBASE_KNOWLEDGE_BASE_ID, arena);
    }
    skillbase->_is_active_case = DIALPLANE__V1__SKILLBASE___IS_ACTIVE_IS_ACTIVE;
    skillbase->is_active = pg_bool(result, row, SKILLBASE_IS_ACTIVE);
    skillbase->_is_published_case = DIALPLANE__V1__SKILLBASE___IS_PUBLISHED_IS_PUBLISHED;
    skillbase->is_published = pg_bool(result, row, SKILLBASE_IS_PUBLISHED);
    skillbase->created_at = timestamp_from_us(arena, pg_time_us(result, row, SKILLBASE_CREATED_AT));
    skillbase->updated_at = timestamp_from_us(arena, pg_time_us(result, row, SKILLBASE_UPDATED_AT));
    if (arena_is_exhausted(arena)) {
        out_of_memory(err);
        return NULL;
    }
    if (!attach_config(call, &skillbase->base, SKILLBASE_FIELD_CONFIG, result, row,
                       SKILLBASE_CONFIG_WIRE, SKILLBASE_CONFIG, CONFIG_SECRETS_HIDDEN, err))
        return NULL;
    return skillbase;
}

void reply_company(struct rpc_call *call, const struct pg_result *result)
{
    struct err err = {0};
    const Dialplane__V1__Company *company = company_from_row(call, result, 0, &err);

    if (company)
        rpc_reply(call, &company->base);
    else
        rpc_fail(call, &err);
}

void reply_skillbase(struct rpc_call *call, const struct pg_result *result)
{
    struct err err = {0};
    const Dialplane__V1__Skillbase *skillbase = skillbase_from_row(call, result, 0, &err);

    if (skillbase)
        rpc_reply(call, &skillbase->base);
    else
        rpc_fail(call, &err);
}
