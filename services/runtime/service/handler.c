#include "service/handler.h"

#include "base/buf.h"
#include "base/time.h"
#include "json/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Parameters ---- */

void param_scope(struct pg_params *params, const struct rpc_call *call)
{
    pg_param_text(params, service_scope(call));
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

void param_timestamp(struct pg_params *params, const Google__Protobuf__Timestamp *timestamp)
{
    if (timestamp)
        pg_param_time_us(params, timestamp_to_us(timestamp));
    else
        pg_param_null(params);
}

/* ---- Pieces of answers ---- */

int64_t timestamp_to_us(const Google__Protobuf__Timestamp *timestamp)
{
    return timestamp->seconds * TIME_US_PER_SECOND + timestamp->nanos / 1000;
}

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

Google__Protobuf__Timestamp *
timestamp_from_column(struct arena *arena, const struct pg_result *result, int row, int column)
{
    if (pg_is_null(result, row, column))
        return NULL;
    return timestamp_from_us(arena, pg_time_us(result, row, column));
}

static bool out_of_memory(struct err *err)
{
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                   "the answer does not fit the memory of one call");
}

/* Adds `wire`, a serialized message, as field `number`. Room for `most` such fields is made with
 * the first. */
bool attach_wire(struct arena *arena, ProtobufCMessage *message, uint32_t number, unsigned most,
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

/* Without making objects of it: a large Struct is many times larger as objects. */
bool wire_from_json(struct rpc_call *call, const char *type, struct str json, struct buf *wire,
                    struct err *err)
{
    const struct schema *schema = rpc_call_schema(call);
    struct violations violations;

    violations_init(&violations, rpc_call_arena(call), 1);
    if (json_parse(schema, schema_find_message(schema, str_from(type)), json, NULL, wire,
                   &violations, err) &&
        !violations.count)
        return true;
    return err_set(err, ERR_INTERNAL, NULL, "the stored %s cannot be read", type);
}

bool attach_json(struct rpc_call *call, ProtobufCMessage *message, uint32_t number, unsigned most,
                 const char *type, struct str json, struct err *err)
{
    struct buf wire;

    buf_init(&wire, 0);
    bool attached = wire_from_json(call, type, json, &wire, err) &&
                    attach_wire(rpc_call_arena(call), message, number, most, buf_str(&wire), err);
    buf_done(&wire);
    return attached;
}

/* ---- Failures ---- */

void fail_memory(struct rpc_call *call)
{
    rpc_fail_code(call, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                  "the request does not fit the memory of one call");
}

void fail_field(struct rpc_call *call, const char *field, const char *format, ...)
{
    char message[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    struct violations *violations = ARENA_NEW(rpc_call_arena(call), struct violations);

    if (!violations) {
        fail_memory(call);
        return;
    }
    violations_init(violations, rpc_call_arena(call), 1);
    violations_add(violations, field, "%s", message);
    struct err err = {0};

    err_set_violations(&err, violations);
    rpc_fail(call, &err);
}

void fail_not_found(struct rpc_call *call, const char *noun, const char *id)
{
    rpc_fail_code(call, ERR_NOT_FOUND, NULL, "%s %s does not exist", noun, id);
}

void fail_changed(struct rpc_call *call, const char *noun)
{
    int64_t revision_us = -1;
    char revision[TIME_TEXT_SIZE];

    rpc_call_if_match(call, &revision_us);
    if (revision_us < 0) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, REASON_ETAG_MISMATCH,
                      "the %s does not have the revision that If-Match names", noun);
        return;
    }
    time_format_rfc3339(revision_us, revision);
    rpc_fail_code(call, ERR_FAILED_PRECONDITION, REASON_ETAG_MISMATCH,
                  "the %s has been changed since %s", noun, revision);
}
