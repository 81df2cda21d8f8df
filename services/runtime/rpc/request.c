/* From bytes to a message that a handler may trust: size, well-formedness and rules first,
 * protobuf-c after them (it has no depth limit), the handler's own rules last; everything that is
 * wrong is reported at once. */
#include "rpc/internal.h"

#include <grpc/byte_buffer_reader.h>

/* More is counted but not listed: see details.c. */
#define VIOLATION_LIMIT 100

static void *arena_hook_alloc(void *context, size_t size)
{
    return arena_alloc(context, size);
}

/* Memory goes with the arena. */
static void arena_hook_free(void *context, void *pointer)
{
    (void)context;
    (void)pointer;
}

ProtobufCMessage *rpc_unpack(const ProtobufCMessageDescriptor *descriptor, struct str wire,
                             struct arena *arena)
{
    ProtobufCAllocator allocator = {arena_hook_alloc, arena_hook_free, arena};
    static const uint8_t nothing[1];
    return protobuf_c_message_unpack(descriptor, &allocator, wire.length,
                                     wire.data ? (const uint8_t *)wire.data : nothing);
}

struct str rpc_pack(const ProtobufCMessage *message, struct arena *arena)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = arena_alloc(arena, size);
    if (!data)
        return (struct str){NULL, 0};
    return (struct str){(const char *)data, protobuf_c_message_pack(message, data)};
}

static const ProtobufCMessage *check(struct rpc_call *call, struct str wire, struct arena *arena,
                                     struct err *err)
{
    const struct rpc_handler *handler = call->method->handler;
    struct violations *violations = ARENA_NEW(arena, struct violations);
    if (!violations) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "the request is too large");
        return NULL;
    }
    violations_init(violations, arena, VIOLATION_LIMIT);
    if (!schema_check(call->method->schema->input, wire, handler->partial_field, violations, err))
        return NULL;
    ProtobufCMessage *request = rpc_unpack(handler->request, wire, arena);
    if (!request) {
        if (arena_is_exhausted(arena))
            err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                    "the request has too many parts: it does not fit the memory of one call");
        else
            err_set(err, ERR_INVALID_ARGUMENT, NULL, "the request is not a valid %s message",
                    handler->request->name);
        return NULL;
    }
    if (handler->check)
        handler->check(request, violations);
    if (violations->count) {
        err_set_violations(err, violations);
        return NULL;
    }
    return request;
}

const ProtobufCMessage *rpc_request_read(struct rpc_call *call, grpc_byte_buffer *bytes,
                                         struct arena *arena, size_t limit, struct err *err)
{
    if (!bytes) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "the call has no request message");
        return NULL;
    }
    /* Core's own limit is higher, so that this answer, with its reason, is the one that most
     * clients see. */
    size_t length = grpc_byte_buffer_length(bytes);
    call->received_bytes += length;
    if (length > limit) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                "the message has %zu bytes; at most %zu are accepted", length, limit);
        return NULL;
    }
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, bytes)) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "the message cannot be decompressed");
        return NULL;
    }
    /* Small messages come in one slice: no copy. */
    grpc_slice *only = NULL, joined;
    const ProtobufCMessage *request;
    if (grpc_byte_buffer_reader_peek(&reader, &only) && GRPC_SLICE_LENGTH(*only) == length) {
        struct str wire = {(const char *)GRPC_SLICE_START_PTR(*only), length};
        request = check(call, wire, arena, err);
        grpc_byte_buffer_reader_destroy(&reader);
        return request;
    }
    grpc_byte_buffer_reader_destroy(&reader);
    if (!grpc_byte_buffer_reader_init(&reader, bytes)) {
        err_set(err, ERR_INTERNAL, NULL, "the message cannot be read");
        return NULL;
    }
    joined = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    struct str wire = {(const char *)GRPC_SLICE_START_PTR(joined), length};
    request = check(call, wire, arena, err);
    grpc_slice_unref(joined);
    return request;
}
