/* What callers say beside the message: request id, trace, where the client of the gateway is, the
 * revision they expect. Nothing else of theirs is kept. */
#include "rpc/internal.h"

#include "base/uuid.h"

#include <arpa/inet.h>
#include <string.h>

/* Long enough for any id in use, short enough for a log line and a header. */
#define REQUEST_ID_LIMIT 128

static struct str slice_str(const grpc_slice *slice)
{
    return (struct str){(const char *)GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)};
}

/* It goes back as a header and into logs: visible ASCII only. */
static bool is_request_id(struct str text)
{
    if (text.length == 0 || text.length > REQUEST_ID_LIMIT)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    }
    return true;
}

/* An IP address and nothing else; NULL for anything else. */
static const char *read_address(struct arena *arena, struct str text)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];

    if (text.length == 0 || text.length >= sizeof(copy))
        return NULL;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    if (inet_pton(AF_INET, copy, bytes) != 1 && inet_pton(AF_INET6, copy, bytes) != 1)
        return NULL;
    return arena_strdup(arena, copy);
}

/* Every call has a trace, for its log line; whether it is recorded, the caller says, or the
 * tracer's ratio. Probes and reflection are recorded for those who ask for it only. */
static void begin_span(struct rpc_call *call, struct str traceparent)
{
    struct rpc_server *server = call->server;
    const struct clock *clock = loop_clock(server->loop);
    struct trace_context caller;
    bool has_caller = trace_context_parse(traceparent, &caller);
    struct tracer *tracer = has_caller || !call->method->built_in ? server->options.tracer : NULL;

    trace_begin(&call->span, tracer, has_caller ? &caller : NULL, &server->entropy,
                clock->monotonic_us(clock));
    trace_id_format(&call->span.self.context, call->trace_id);
    call->owner.trace = call->span.self;
}

static void make_request_id(struct rpc_call *call)
{
    struct uuid id = uuid_v7(loop_clock(call->server->loop), &call->server->entropy);
    char *text = arena_alloc(call->arena, UUID_TEXT_SIZE);
    if (text)
        uuid_format(&id, text);
    call->request_id = text ? text : "";
}

void rpc_metadata_read(struct rpc_call *call, const grpc_metadata_array *metadata)
{
    struct str traceparent = {"", 0};

    for (size_t i = 0; i < metadata->count; i++) {
        struct str key = slice_str(&metadata->metadata[i].key);
        struct str value = slice_str(&metadata->metadata[i].value);
        if (str_equal(key, STR_LITERAL("x-request-id"))) {
            if (!call->request_id && is_request_id(value))
                call->request_id = arena_strndup(call->arena, value.data, value.length);
        } else if (str_equal(key, STR_LITERAL("traceparent"))) {
            traceparent = value;
        } else if (str_equal(key, STR_LITERAL("authorization"))) {
            call->has_two_authorizations = call->authorization.data != NULL;
            call->authorization = value;
        } else if (str_equal(key, STR_LITERAL("dialplane-client-address"))) {
            call->client_address = read_address(call->arena, value);
        } else if (str_equal(key, STR_LITERAL("if-match"))) {
            call->has_if_match = true;
            if (!str_parse_int64(value, &call->if_match_us))
                call->if_match_us = -1; /* matches no revision */
        } else if (str_equal(key, STR_LITERAL("check-only"))) {
            call->check_only = true;
        } else if (str_equal(key, STR_LITERAL("authentication"))) {
            call->authentication_required = true;
        }
    }
    if (!call->request_id)
        make_request_id(call);
    begin_span(call, traceparent);
}

bool rpc_call_if_match(const struct rpc_call *call, int64_t *ret_revision_us)
{
    if (call->has_if_match)
        *ret_revision_us = call->if_match_us;
    return call->has_if_match;
}
