/* The end of a call: status, details, the log line and the figures. */
#include "rpc/internal.h"

#include "app/challenge.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Figures and the log line ---- */

/* "dialplane.v1.CampaignService/GetCampaign": service and method as OpenTelemetry names them. */
static void end_span(const struct rpc_call *call, enum err_code code, int64_t now_us)
{
    const char *path = call->method->stats->path;
    const char *name = path[0] == '/' ? path + 1 : path;
    const char *slash = strchr(name, '/');
    char service[128];
    /* Our own faults and what has run into a limit; a caller's mistake is no failure of ours. */
    bool failed = code == ERR_UNKNOWN || code == ERR_DEADLINE_EXCEEDED ||
                  code == ERR_UNIMPLEMENTED || code == ERR_INTERNAL || code == ERR_UNAVAILABLE ||
                  code == ERR_DATA_LOSS;

    snprintf(service, sizeof(service), "%.*s", slash ? (int)(slash - name) : 0, name);
    const struct trace_attribute attributes[] = {
        {"rpc.system", "grpc", 0},
        {"rpc.service", service, 0},
        {"rpc.method", slash ? slash + 1 : name, 0},
        {"rpc.grpc.status_code", NULL, (int64_t)code},
        {"dialplane.request_id", call->request_id, 0},
    };
    const struct trace_end end = {
        .kind = TRACE_SERVER,
        .name = name,
        .attributes = attributes,
        .attribute_count = sizeof(attributes) / sizeof(attributes[0]),
        .failed = failed,
        .now_us = now_us,
    };
    trace_end(&call->span, &end);
}

void rpc_account(struct rpc_call *call, enum err_code code, const char *message)
{
    if (call->accounted)
        return;
    call->accounted = true;
    const struct clock *clock = loop_clock(call->server->loop);
    int64_t now = clock->monotonic_us(clock);
    int64_t duration = now - call->started_us;
    struct rpc_method_stats *stats = call->method->stats;
    stats->in_flight--;
    stats->finished_by_code[code]++;
    stats->received_bytes += call->received_bytes;
    stats->sent_bytes += call->sent_bytes;
    durations_add(&stats->durations, duration);
    if (trace_is_recorded(&call->span))
        end_span(call, code, now);
    /* A client's mistake is told to the client; only what is our own fault needs its sentence in
     * the log. */
    bool ours = code == ERR_INTERNAL || code == ERR_UNKNOWN;
    log_event(call->method->built_in ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "rpc",
              log_text("method", stats->path), log_text("code", err_code_name(code)),
              log_int("duration_us", duration), log_int("bytes", (int64_t)call->sent_bytes),
              log_text("request_id", call->request_id),
              log_text("trace_id", call->trace_id[0] ? call->trace_id : NULL),
              log_text("message", ours ? message : NULL));
}

/* ---- Sending ---- */

/* A subject has at most 255 bytes, each three when encoded; a company is a UUID. */
#define PRINCIPAL_TEXT_SIZE (64 + 1 + 3 * 255 + 5)

/* An illegal value would burn the batch. */
static void add_initial(struct rpc_call *call, const char *key, const char *value)
{
    grpc_slice slice = grpc_slice_from_copied_string(value);

    if (!grpc_header_nonbin_value_is_legal(slice)) {
        grpc_slice_unref(slice);
        return;
    }
    grpc_metadata *entry = &call->initial[call->initial_count++];
    entry->key = grpc_slice_from_static_string(key);
    entry->value = slice;
}

/* "<company or *>/<subject>", percent-encoded where it is not plain: a name for the gateway to
 * count requests by, since only we know whose token it was. */
static void format_principal(const struct principal *principal, char out[PRINCIPAL_TEXT_SIZE])
{
    static const char hex[] = "0123456789ABCDEF";
    const char *company = principal->company_id ? principal->company_id : "*";
    size_t length = strnlen(company, 64);

    memcpy(out, company, length);
    out[length++] = '/';
    for (const char *at = principal->subject; *at && length + 4 < PRINCIPAL_TEXT_SIZE; at++) {
        if (*at > ' ' && *at <= '~' && *at != '%') {
            out[length++] = *at;
        } else {
            out[length++] = '%';
            out[length++] = hex[(unsigned char)*at >> 4];
            out[length++] = hex[(unsigned char)*at & 15];
        }
    }
    out[length] = '\0';
}

void rpc_op_initial(struct rpc_call *call, grpc_op *op)
{
    char principal[PRINCIPAL_TEXT_SIZE];

    memset(op, 0, sizeof(*op));
    op->op = GRPC_OP_SEND_INITIAL_METADATA;
    memset(call->initial, 0, sizeof(call->initial));
    call->initial_count = 0;
    add_initial(call, "x-request-id", call->request_id);
    if (rpc_access_is_verified(call)) {
        format_principal(&call->principal, principal);
        add_initial(call, "dialplane-principal", principal);
    }
    op->data.send_initial_metadata.count = call->initial_count;
    op->data.send_initial_metadata.metadata = call->initial;
    call->initial_sent = true;
}

static void on_answered(struct rpc_tag *tag, bool success)
{
    (void)success; /* a client that has gone meanwhile is no concern any more */
    rpc_call_unpin(RPC_CONTAINER(tag, struct rpc_call, end_tag));
}

static void add_trailing(struct rpc_call *call, const char *key, grpc_slice value)
{
    grpc_metadata *entry = &call->trailing[call->trailing_count++];
    memset(entry, 0, sizeof(*entry));
    entry->key = grpc_slice_from_static_string(key);
    entry->value = value;
}

static void make_trailing(struct rpc_call *call, const struct err *err)
{
    if (!err->reason[0] && !err->retry_after_seconds && !err->violations)
        return;
    struct buf details;
    buf_init(&details, 2 * RPC_DETAILS_LIMIT);
    rpc_put_details(err, &details);
    if (!details.failed)
        add_trailing(call, "grpc-status-details-bin",
                     grpc_slice_from_copied_buffer(details.data, details.length));
    buf_done(&details);
    if (err->retry_after_seconds) {
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%u", err->retry_after_seconds);
        add_trailing(call, "retry-after", grpc_slice_from_copied_string(seconds));
    }
    char challenge[CHALLENGE_SIZE];
    if (challenge_format(err, challenge))
        add_trailing(call, "www-authenticate", grpc_slice_from_copied_string(challenge));
}

void rpc_answer(struct rpc_call *call, const struct err *err, grpc_byte_buffer *response)
{
    if (call->answered || call->cancelled || !call->core) {
        if (response)
            grpc_byte_buffer_destroy(response);
        return;
    }
    call->answered = true;
    if (response)
        call->sent_bytes += grpc_byte_buffer_length(response);
    rpc_account(call, err ? err->code : ERR_OK, err ? err->message : NULL);

    grpc_op ops[3];
    size_t count = 0;
    if (!call->initial_sent)
        rpc_op_initial(call, &ops[count++]);
    if (response) {
        memset(&ops[count], 0, sizeof(ops[count]));
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = response;
    }
    grpc_slice message = grpc_slice_from_copied_string(err ? err->message : "");
    if (err)
        make_trailing(call, err);
    grpc_op *status = &ops[count++];
    memset(status, 0, sizeof(*status));
    status->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    status->data.send_status_from_server.status =
        err ? (grpc_status_code)err->code : GRPC_STATUS_OK;
    status->data.send_status_from_server.status_details = &message;
    status->data.send_status_from_server.trailing_metadata = call->trailing;
    status->data.send_status_from_server.trailing_metadata_count = call->trailing_count;
    rpc_tag_init(&call->end_tag, call->server, on_answered);
    rpc_call_start(call, ops, count, &call->end_tag);
    grpc_slice_unref(message);
    if (response)
        grpc_byte_buffer_destroy(response);
}

/* ---- The handler's last word ---- */

/* False when the handler has ended this call already: a mistake in the handler, told to the log and
 * otherwise harmless. */
static bool end(struct rpc_call *call)
{
    if (call->ended) {
        log_event(LOG_LEVEL_ERROR, "rpc_second_reply",
                  log_text("method", call->method->stats->path));
        return false;
    }
    call->ended = true;
    loop_timer_cancel(call->deadline_timer);
    call->deadline_timer = NULL;
    auth_hold_end(&call->hold);
    return true;
}

static void answer_masked(struct rpc_call *call, grpc_slice whole)
{
    struct str wire = {(const char *)GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole)};
    struct err err = {0};
    struct buf masked;

    if (!rpc_personal_mask(call, wire, &masked, &err)) {
        rpc_answer(call, &err, NULL);
        return;
    }
    grpc_slice slice = grpc_slice_from_copied_buffer(masked.data ? masked.data : "", masked.length);
    grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    buf_done(&masked);
    rpc_answer(call, NULL, bytes);
}

void rpc_reply(struct rpc_call *call, const ProtobufCMessage *response)
{
    if (!end(call))
        return;
    if (!call->answered && !call->cancelled && call->core) {
        size_t size = protobuf_c_message_get_packed_size(response);
        grpc_slice slice = grpc_slice_malloc(size);
        protobuf_c_message_pack(response, GRPC_SLICE_START_PTR(slice));
        if (rpc_personal_needs_mask(call)) {
            answer_masked(call, slice);
        } else {
            grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);
            rpc_answer(call, NULL, bytes);
        }
        grpc_slice_unref(slice);
    }
    rpc_call_settle(call);
}

void rpc_fail(struct rpc_call *call, const struct err *err)
{
    if (!end(call))
        return;
    if (err_is_set(err)) {
        rpc_answer(call, err, NULL);
    } else {
        struct err forgotten = {0};
        err_set(&forgotten, ERR_INTERNAL, NULL, "the call failed without saying why");
        rpc_answer(call, &forgotten, NULL);
    }
    rpc_call_settle(call);
}

void rpc_fail_code(struct rpc_call *call, enum err_code code, const char *reason,
                   const char *format, ...)
{
    char message[sizeof(((struct err *)0)->message)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    struct err err = {0};
    err_set(&err, code, reason, "%s", message);
    rpc_fail(call, &err);
}

void rpc_stream_end(struct rpc_call *call)
{
    if (!end(call))
        return;
    rpc_answer(call, NULL, NULL);
    rpc_call_settle(call);
}
