/* Messages as jsonb text and back: through the same transcoder as the gateway's, so that there is
 * one JSON form. */
#include "rpc/internal.h"

#include "json/json.h"

#define TEXT_LIMIT ((size_t)16 << 20)

static bool too_large(struct err *err)
{
    return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                   "the message does not fit the memory of one call");
}

static const struct schema_message *schema_of(const struct rpc_call *call,
                                              const ProtobufCMessageDescriptor *descriptor,
                                              struct err *err)
{
    const struct schema_message *schema =
        schema_find_message(call->server->schema, str_from(descriptor->name));
    if (!schema)
        err_set(err, ERR_INTERNAL, NULL, "the schema has no message %s", descriptor->name);
    return schema;
}

char *rpc_message_to_json(struct rpc_call *call, const ProtobufCMessage *message, struct err *err)
{
    const struct schema_message *schema = schema_of(call, message->descriptor, err);
    if (!schema)
        return NULL;
    struct str wire = rpc_pack(message, call->arena);
    if (!wire.data) {
        too_large(err);
        return NULL;
    }
    struct buf text;
    buf_init(&text, TEXT_LIMIT);
    char *result = NULL;
    if (json_print(call->server->schema, schema, wire, JSON_PRINT_COMPACT, &text, err)) {
        result = arena_strndup(call->arena, text.data, text.length);
        if (!result)
            too_large(err);
    }
    buf_done(&text);
    return result;
}

/* What is stored was checked when it came; what does not fit any more (a field that a later version
 * has dropped) is our mistake and not the caller's. */
static bool parse(struct rpc_call *call, const struct schema_message *schema, struct str json,
                  struct buf *wire, struct err *err)
{
    struct violations violations;
    violations_init(&violations, call->arena, 1);
    if (!json_parse(call->server->schema, schema, json, NULL, wire, &violations, err)) {
        if (err_is_set(err) && err->code == ERR_INVALID_ARGUMENT)
            err->code = ERR_INTERNAL;
        return false;
    }
    if (violations.count)
        return err_set(err, ERR_INTERNAL, NULL, "a stored %s is wrong at %s: %s", schema->full_name,
                       violations.first ? violations.first->field : "?",
                       violations.first ? violations.first->message : "?");
    return true;
}

ProtobufCMessage *rpc_message_from_json(struct rpc_call *call,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        struct str json, struct err *err)
{
    const struct schema_message *schema = schema_of(call, descriptor, err);
    if (!schema)
        return NULL;
    struct buf wire;
    buf_init(&wire, TEXT_LIMIT);
    ProtobufCMessage *message = NULL;
    if (parse(call, schema, json, &wire, err)) {
        message = rpc_unpack(descriptor, buf_str(&wire), call->arena);
        if (!message && arena_is_exhausted(call->arena))
            too_large(err);
        else if (!message)
            err_set(err, ERR_INTERNAL, NULL, "a stored %s cannot be read", schema->full_name);
    }
    buf_done(&wire);
    return message;
}
