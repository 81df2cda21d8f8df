/* What callers say beside the message: request id, trace, the revision they expect. Nothing else of
 * theirs is kept. */
#include "rpc/internal.h"

#include "base/uuid.h"

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

/* W3C Trace Context: 00-<32 hex>-<16 hex>-<2 hex>; only the trace id is of use here. */
static void read_traceparent(struct rpc_call *call, struct str text)
{
    if (text.length < 55 || text.data[2] != '-' || text.data[35] != '-')
        return;
    for (size_t i = 3; i < 35; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return;
    }
    memcpy(call->trace_id, text.data + 3, 32);
    call->trace_id[32] = '\0';
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
    for (size_t i = 0; i < metadata->count; i++) {
        struct str key = slice_str(&metadata->metadata[i].key);
        struct str value = slice_str(&metadata->metadata[i].value);
        if (str_equal(key, STR_LITERAL("x-request-id"))) {
            if (!call->request_id && is_request_id(value))
                call->request_id = arena_strndup(call->arena, value.data, value.length);
        } else if (str_equal(key, STR_LITERAL("traceparent"))) {
            read_traceparent(call, value);
        } else if (str_equal(key, STR_LITERAL("authorization"))) {
            call->authorization = value;
        } else if (str_equal(key, STR_LITERAL("if-match"))) {
            call->has_if_match = true;
            if (!str_parse_int64(value, &call->if_match_us))
                call->if_match_us = -1; /* matches no revision */
        } else if (str_equal(key, STR_LITERAL("check-only"))) {
            call->check_only = true;
        }
    }
    if (!call->request_id)
        make_request_id(call);
}

bool rpc_call_if_match(const struct rpc_call *call, int64_t *ret_revision_us)
{
    if (call->has_if_match)
        *ret_revision_us = call->if_match_us;
    return call->has_if_match;
}
