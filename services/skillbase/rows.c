/* Parameters and rows. A configuration is stored a second time as wire bytes; here those are put
 * into the answer as they are, by handing them to protobuf-c as a field that it does not know: it
 * copies such a field to its output without looking. */
#include "skillbase.h"

#include "base/buf.h"
#include "json/json.h"

#include <string.h>

/* ---- Parameters ---- */

void param_scope(struct pg_params *params, const struct rpc_call *call)
{
    pg_param_text(params, rpc_call_principal(call)->company_id);
}

void param_if_match(struct pg_params *params, const struct rpc_call *call)
{
    int64_t revision_us;

    if (rpc_call_if_match(call, &revision_us))
        pg_param_time_us(params, revision_us);
    else
        pg_param_null(params);
}

void param_if(struct pg_params *params, bool changes, const char *text)
{
    pg_param_text(params, changes ? text : NULL);
}

bool param_json(struct pg_params *params, struct rpc_call *call, const ProtobufCMessage *message)
{
    struct err err = {0};
    char *json = rpc_message_to_json(call, message, &err);

    if (!json) {
        rpc_fail(call, &err);
        return false;
    }
    pg_param_text(params, json);
    return true;
}

/* ---- Attached bytes ---- */

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                   "the answer does not fit the memory of one call");
}

/* Adds `wire`, a serialized message, as field `number`. Room for `most` such fields is made with
 * the first. */
static bool attach(struct arena *arena, ProtobufCMessage *message, uint32_t number, unsigned most,
                   struct str wire, struct err *err)
{
    if (!message->unknown_fields)
        message->unknown_fields = ARENA_ARRAY(arena, ProtobufCMessageUnknownField, most);
    /* What follows the tag: the length as a varint, then the bytes. */
    uint8_t *data = arena_alloc(arena, wire.length + 10);

    if (!message->unknown_fields || !data)
        return out_of_memory(err);
    size_t size = 0;
    uint64_t length = wire.length;

    for (; length >= 0x80; length >>= 7)
        data[size++] = (uint8_t)(length | 0x80);
    data[size++] = (uint8_t)length;
    if (wire.length)
        memcpy(data + size, wire.data, wire.length);
    message->unknown_fields[message->n_unknown_fields++] = (ProtobufCMessageUnknownField){
        .tag = number,
        .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
        .len = size + wire.length,
        .data = data,
    };
    return true;
}

/* The same from jsonb, without making objects of it: a large Struct is many times larger as
 * objects. */
static bool attach_json(struct rpc_call *call, ProtobufCMessage *message, uint32_t number,
                        unsigned most, const char *type, struct str json, struct err *err)
{
    struct arena *arena = rpc_call_arena(call);
    const struct schema *schema = rpc_call_schema(call);
    struct violations violations;
    struct buf wire;
    bool attached = false;

    violations_init(&violations, arena, 1);
    buf_init(&wire, 0);
    if (!json_parse(schema, schema_find_message(schema, str_from(type)), json, NULL, &wire,
                    &violations, err) ||
        violations.count)
        err_set(err, ERR_INTERNAL, NULL, "the stored %s cannot be read", type);
    else
        attached = attach(arena, message, number, most, buf_str(&wire), err);
    buf_done(&wire);
    return attached;
}

bool attach_config(struct rpc_call *call, ProtobufCMessage *message, uint32_t number,
                   const struct pg_result *result, int row, int wire_column, int json_column,
                   struct err *err)
{
    if (!pg_is_null(result, row, wire_column))
        return attach(rpc_call_arena(call), message, number, 1, pg_str(result, row, wire_column),
                      err);
    return attach_json(call, message, number, 1, "dialplane.v1.SkillbaseConfig",
                       pg_str(result, row, json_column), err);
}

/* ---- Rows ---- */

Google__Protobuf__Timestamp *timestamp_from_us(struct arena *arena, int64_t us)
{
    Google__Protobuf__Timestamp *timestamp = ARENA_NEW(arena, Google__Protobuf__Timestamp);

    if (!timestamp)
        return NULL;
    google__protobuf__timestamp__init(timestamp);
    int64_t part = us % TIME_US_PER_SECOND;

    if (part < 0)
        part += TIME_US_PER_SECOND;
    timestamp->seconds = (us - part) / TIME_US_PER_SECOND;
    timestamp->nanos = (int32_t)(part * 1000);
    return timestamp;
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
    if (!attach_json(call, &company->base, 5, 2, "google.protobuf.Struct",
                     pg_str(result, row, COMPANY_SETTINGS), err) ||
        !attach_json(call, &company->base, 6, 2, "google.protobuf.Struct",
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
    if (!attach_config(call, &skillbase->base, 6, result, row, SKILLBASE_CONFIG_WIRE,
                       SKILLBASE_CONFIG, err))
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
