/* The health of each connection's process, by grpc.health.v1.Health/Watch.
 *
 * A service that stops says NOT_SERVING first and waits for those who watch to leave. So what we do
 * at that word makes a restart that nobody notices: no new calls go to it, those under way end in
 * peace, and then the connection is closed, which is what it waits for. When no other address
 * serves it goes on being asked: an answer of its own, such as "the database is not reachable", is
 * better than ours.
 *
 * An address that has said NOT_SERVING is tried again after a while, and its new connection takes
 * calls only when it says SERVING. */
#include "gateway/upstream/internal.h"

#include "base/log.h"
#include "base/wire.h"

#define SERVING 1 /* grpc.health.v1.HealthCheckResponse.ServingStatus */
#define AGAIN_US (500 * INT64_C(1000))

static bool is_wanted(const struct upstream *upstream)
{
    return upstream->options.watch_health && (upstream->endpoint_count > 1 || upstream->resolver);
}

static bool somebody_serves(const struct upstream *upstream)
{
    struct channel *connection;

    for (unsigned i = 0; i < upstream->endpoint_count; i++)
        TAILQ_FOREACH (connection, &upstream->endpoints[i]->connections, link)
            if (connection->state == READY && !connection->unwell)
                return true;
    return false;
}

/* Something has changed: who does not serve is left as soon as somebody else does. */
static void reconsider(struct upstream *upstream)
{
    struct channel *connection;
    bool any_unwell = false;

    for (unsigned i = 0; i < upstream->endpoint_count; i++)
        TAILQ_FOREACH (connection, &upstream->endpoints[i]->connections, link)
            any_unwell |= connection->unwell;
    if (!any_unwell)
        return;
    if (!somebody_serves(upstream)) {
        upstream_hurry(upstream);
        return;
    }
    int64_t again_us = upstream_now(upstream) + AGAIN_US;
    for (unsigned i = 0; i < upstream->endpoint_count; i++) {
        struct endpoint *endpoint = upstream->endpoints[i];
        TAILQ_FOREACH (connection, &endpoint->connections, link) {
            if (connection->state != READY || !connection->unwell)
                continue;
            endpoint->not_before_us = again_us;
            channel_drain(connection); /* closes it after this turn at the earliest */
        }
    }
}

static void take_word(struct channel *connection, bool serving)
{
    struct upstream *upstream = connection->upstream;
    struct endpoint *endpoint = connection->endpoint;

    if (endpoint->unwell == serving)
        log_event(LOG_LEVEL_INFO, serving ? "upstream_serving" : "upstream_not_serving",
                  log_text("backend", upstream->name), log_text("address", endpoint->text));
    endpoint->unwell = connection->unwell = !serving;
    channel_become_ready(connection);
    reconsider(upstream);
    if (serving)
        upstream_dispatch_pending(upstream);
}

static void on_message(struct upstream_call *call, struct str message)
{
    struct channel *connection = upstream_call_context(call);
    struct wire_reader reader;
    bool serving = false;

    wire_reader_init(&reader, message);
    while (wire_reader_next(&reader))
        if (reader.number == 1 && reader.type == 0)
            serving = reader.integer == SERVING;
    take_word(connection, serving);
}

/* The end of the watch is no word on health, except that of a process that goes away. Who knows no
 * health service is taken as healthy. */
static void on_done(struct upstream_call *call, const struct err *status)
{
    struct channel *connection = upstream_call_context(call);

    if (status->code == ERR_UNAVAILABLE)
        take_word(connection, false);
    else
        channel_become_ready(connection);
}

bool health_watch(struct channel *connection)
{
    static const struct upstream_handler handler = {.on_message = on_message, .on_done = on_done};
    static const struct upstream_request request = {
        .path = "/grpc.health.v1.Health/Watch",
        .message = {"", 0}, /* service "": the process as a whole */
    };
    struct upstream *upstream = connection->upstream;

    if (!is_wanted(upstream) || connection->watch)
        return false;
    struct upstream_call *call = call_new(upstream);
    if (!call)
        return false;
    call_init(call, upstream, &request, &handler, connection);
    call->is_watch = true;
    call->stream_id = session_submit(connection, call);
    if (call->stream_id < 0) {
        call_recycle(call);
        return false;
    }
    call->connection = connection;
    connection->watch = call;
    channel_schedule_flush(connection);
    return connection->endpoint->unwell;
}

void health_forget(struct channel *connection)
{
    struct upstream_call *call = connection->watch;

    if (!call)
        return;
    connection->watch = NULL;
    call->connection = NULL;
    call->finished = true;
    nghttp2_session_set_stream_user_data(connection->session, call->stream_id, NULL);
    if (!call->busy)
        call_recycle(call);
}
