/* The stream: each message is stored before the next is asked for; the answer sums up. An error
 * ends the stream, and what was stored before it stays: repeating the whole stream is harmless. */
#include "handlers/handlers.h"
#include "report.h"

struct stream {
    int64_t accepted, duplicates;
    uint64_t last_seq;
    bool is_storing, is_gone;
};

static struct stream *stream_of(struct rpc_call *call)
{
    struct stream *stream = rpc_call_state(call);
    if (!stream) {
        stream = ARENA_NEW(rpc_call_arena(call), struct stream);
        rpc_call_set_state(call, stream);
    }
    return stream;
}

static void on_stored(struct rpc_call *call, const struct report_outcome *outcome,
                      const struct err *err);

void report_call_events_on_message(struct rpc_call *call, const void *message)
{
    struct stream *stream = stream_of(call);
    if (!stream) {
        fail_memory(call);
        return;
    }
    stream->is_storing = true;
    report_store(call, message, on_stored);
}

static void on_stored(struct rpc_call *call, const struct report_outcome *outcome,
                      const struct err *err)
{
    struct stream *stream = rpc_call_state(call);
    stream->is_storing = false;
    if (err || stream->is_gone) {
        struct err gone = {.code = ERR_CANCELLED};
        rpc_fail(call, err ? err : &gone);
        return;
    }
    stream->accepted += outcome->accepted;
    stream->duplicates += outcome->duplicates;
    stream->last_seq = outcome->last_seq;
    rpc_stream_next(call);
}

void report_call_events_on_end(struct rpc_call *call)
{
    struct stream *stream = stream_of(call);
    if (!stream) {
        fail_memory(call);
        return;
    }
    Dialplane__V1__ReportCallEventsResponse response =
        DIALPLANE__V1__REPORT_CALL_EVENTS_RESPONSE__INIT;
    response.accepted = stream->accepted;
    response.duplicates = stream->duplicates;
    response.last_seq = stream->last_seq;
    rpc_reply(call, &response.base);
}

void report_call_events_on_gone(struct rpc_call *call)
{
    struct stream *stream = rpc_call_state(call);
    if (stream && stream->is_storing)
        stream->is_gone = true; /* on_stored ends the call */
    else
        rpc_fail_code(call, ERR_CANCELLED, NULL, "the client went away");
}
