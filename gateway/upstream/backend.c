/* A service as a whole: which connection a call takes, what waits, what fails, and the clock over
 * it all.
 *
 * The happy path: upstream_call_start → upstream_dispatch finds the ready connection with the
 * fewest calls → stream → on_done. No connection yet: one is opened to every address and the call
 * waits. All attempts fail: they are repeated after a backoff, while somebody waits, and the call
 * fails (503) at the first one that fails after half a second. An outage costs one connect per
 * backoff and address, however many clients ask. */
#include "gateway/upstream/internal.h"

#include "gateway/policy/problem.h"

#include <stdio.h>
#include <stdlib.h>

/* How long a call waits for a service that cannot be reached: one that is being restarted is back
 * before that, and each thread of ours finds out by itself. */
#define PATIENCE_US (500 * INT64_C(1000))
#define TICK_US (100 * INT64_C(1000))
/* The service keeps the deadline itself and says so better: ours is the fallback. */
#define DEADLINE_GRACE_US (200 * INT64_C(1000))

int64_t upstream_now(const struct upstream *upstream)
{
    const struct clock *clock = loop_clock(upstream->loop);

    return clock->monotonic_us(clock);
}

static void default_options(struct upstream_options *options)
{
    if (!options->connect_timeout_us)
        options->connect_timeout_us = 2 * TIME_US_PER_SECOND;
    if (!options->ping_idle_us)
        options->ping_idle_us = 20 * TIME_US_PER_SECOND;
    if (!options->connections)
        options->connections = 1;
    if (!options->max_connections)
        options->max_connections = 16;
    if (!options->max_streams)
        options->max_streams = 1000;
    if (!options->max_pending)
        options->max_pending = 4096;
    if (!options->max_response_bytes)
        options->max_response_bytes = 32 << 20;
}

struct upstream *upstream_new(struct loop *loop, const char *name, const char *addresses,
                              const struct upstream_options *options, struct err *err)
{
    struct upstream *upstream = calloc(1, sizeof(*upstream));

    if (!upstream || !(upstream->name = strdup(name))) {
        free(upstream);
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    upstream->loop = loop;
    h2_memory_init(&upstream->memory);
    if (options)
        upstream->options = *options;
    default_options(&upstream->options);
    TAILQ_INIT(&upstream->calls);
    TAILQ_INIT(&upstream->pending);
    TAILQ_INIT(&upstream->free_calls);
    TAILQ_INIT(&upstream->failing);
    if (!resolve_init(upstream, addresses, err)) {
        upstream_free(upstream);
        return NULL;
    }
    return upstream;
}

static void free_upstream(void *context)
{
    struct upstream *upstream = context;
    struct upstream_call *call;

    while ((call = TAILQ_FIRST(&upstream->free_calls))) {
        TAILQ_REMOVE(&upstream->free_calls, call, link);
        call_free(call);
    }
    for (unsigned i = 0; i < upstream->endpoint_count; i++)
        free(upstream->endpoints[i]);
    h2_memory_done(&upstream->memory);
    free(upstream->name);
    free(upstream);
}

void upstream_free(struct upstream *upstream)
{
    struct upstream_call *call;

    if (!upstream)
        return;
    upstream->closing = true;
    while ((call = TAILQ_FIRST(&upstream->calls)))
        upstream_call_cancel(call);
    for (unsigned i = 0; i < upstream->endpoint_count; i++) {
        struct channel *connection;
        while ((connection = TAILQ_FIRST(&upstream->endpoints[i]->connections)))
            channel_destroy(connection);
    }
    loop_timer_cancel(upstream->tick);
    resolve_done(upstream);
    /* After the connections' own ends, which still look at us. */
    loop_defer(upstream->loop, free_upstream, upstream);
}

void upstream_stats(const struct upstream *upstream, struct upstream_stats *ret_stats)
{
    *ret_stats = upstream->stats;
}

static void fail_now(void *context)
{
    struct upstream *upstream = context;
    struct upstream_call *call;

    upstream->failing_scheduled = false;
    if (upstream->closing)
        return;
    while ((call = TAILQ_FIRST(&upstream->failing))) {
        struct err failure = call->failure;
        call_finish(call, &failure);
    }
}

void upstream_fail_later(struct upstream_call *call, enum err_code code, const char *reason,
                         const char *format, ...)
{
    struct upstream *upstream = call->upstream;
    va_list arguments;

    memset(&call->failure, 0, sizeof(call->failure));
    call->failure.code = code;
    if (reason)
        snprintf(call->failure.reason, sizeof(call->failure.reason), "%s", reason);
    call->failure.retry_after_seconds = 1;
    va_start(arguments, format);
    vsnprintf(call->failure.message, sizeof(call->failure.message), format, arguments);
    va_end(arguments);
    TAILQ_INSERT_TAIL(&upstream->failing, call, link);
    if (!upstream->failing_scheduled) {
        upstream->failing_scheduled = true;
        loop_defer(upstream->loop, fail_now, upstream);
    }
}

static void check_calls(struct upstream *upstream, int64_t now)
{
    struct upstream_call *call;

again:
    TAILQ_FOREACH (call, &upstream->calls, all_link) {
        if (!call->deadline_us || now < call->deadline_us + DEADLINE_GRACE_US || call->failure.code)
            continue;
        if (call->connection) {
            nghttp2_session_set_stream_user_data(call->connection->session, call->stream_id, NULL);
            nghttp2_submit_rst_stream(call->connection->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                      NGHTTP2_CANCEL);
            channel_schedule_flush(call->connection);
        }
        call_fail(call, ERR_DEADLINE_EXCEEDED, NULL, "The %s service did not answer in time",
                  upstream->name);
        goto again; /* its owner may have ended others */
    }
}

static bool connect_endpoint(struct upstream *upstream, struct endpoint *endpoint, unsigned wanted,
                             int64_t now);

/* Calls wait, and nothing is under way for them: to every address whose backoff is over. */
static void try_again(struct upstream *upstream, int64_t now)
{
    for (unsigned i = 0; i < upstream->endpoint_count; i++)
        connect_endpoint(upstream, upstream->endpoints[i], upstream->options.connections, now);
}

static void on_tick(void *context)
{
    struct upstream *upstream = context;
    int64_t now = upstream_now(upstream);
    bool connecting = false;

    for (unsigned i = 0; i < upstream->endpoint_count; i++) {
        struct channel *connection, *next;
        for (connection = TAILQ_FIRST(&upstream->endpoints[i]->connections); connection;
             connection = next) {
            next = TAILQ_NEXT(connection, link);
            channel_tick(connection, now);
            if (connection->state <= GREETING)
                connecting = true;
        }
    }
    check_calls(upstream, now);
    if (upstream->pending_count && !connecting)
        try_again(upstream, now);
    upstream_dispatch_pending(upstream); /* some connection may have room again */
    if (!TAILQ_EMPTY(&upstream->calls) || connecting)
        return;
    loop_timer_cancel(upstream->tick);
    upstream->tick = NULL;
}

static void start_tick(struct upstream *upstream)
{
    if (!upstream->tick)
        upstream->tick = loop_timer_repeat(upstream->loop, TICK_US, on_tick, upstream);
}

/* Opens what this address still lacks. True when an attempt is under way. */
static bool connect_endpoint(struct upstream *upstream, struct endpoint *endpoint, unsigned wanted,
                             int64_t now)
{
    struct channel *connection;
    bool connecting = false;

    if (endpoint->gone)
        return false;
    TAILQ_FOREACH (connection, &endpoint->connections, link)
        connecting |= connection->state <= GREETING;
    if (now < endpoint->not_before_us)
        return connecting;
    while (endpoint->connection_count < wanted) {
        if (!channel_open(endpoint, upstream)) {
            endpoint->not_before_us = now + TIME_US_PER_SECOND;
            break;
        }
        connecting = true;
    }
    return connecting;
}

/* The one with the fewest calls; one that does not serve only when there is no other. */
static struct channel *least_busy(struct upstream *upstream, bool *ret_any_ready)
{
    struct channel *best = NULL, *connection;

    *ret_any_ready = false;
    for (unsigned i = 0; i < upstream->endpoint_count; i++) {
        TAILQ_FOREACH (connection, &upstream->endpoints[i]->connections, link) {
            *ret_any_ready |= connection->state == READY;
            if (channel_takes_calls(connection) &&
                (!best || (best->unwell && !connection->unwell) ||
                 (best->unwell == connection->unwell && connection->call_count < best->call_count)))
                best = connection;
        }
    }
    return best;
}

static bool is_connecting(struct upstream *upstream)
{
    struct channel *connection;

    for (unsigned i = 0; i < upstream->endpoint_count; i++)
        TAILQ_FOREACH (connection, &upstream->endpoints[i]->connections, link)
            if (connection->state <= GREETING)
                return true;
    return false;
}

/* All connections are full: one more to each address, up to the limit. */
static bool open_more(struct upstream *upstream)
{
    int64_t now = upstream_now(upstream);
    bool connecting = is_connecting(upstream);

    for (unsigned i = 0; i < upstream->endpoint_count && !connecting; i++) {
        struct endpoint *endpoint = upstream->endpoints[i];
        if (endpoint->connection_count < upstream->options.max_connections)
            connecting = connect_endpoint(upstream, endpoint, endpoint->connection_count + 1, now);
    }
    return connecting;
}

void upstream_hurry(struct upstream *upstream)
{
    int64_t now = upstream_now(upstream);

    for (unsigned i = 0; i < upstream->endpoint_count; i++) {
        struct endpoint *endpoint = upstream->endpoints[i];
        if (endpoint->connection_count)
            continue;
        endpoint->not_before_us = 0;
        connect_endpoint(upstream, endpoint, upstream->options.connections, now);
    }
    start_tick(upstream);
}

static void fail_unplaced(struct upstream_call *call, bool any_ready)
{
    const char *name = call->upstream->name;

    if (any_ready)
        upstream_fail_later(call, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED,
                            "Too many calls to the %s service are under way", name);
    else
        upstream_fail_later(call, ERR_UNAVAILABLE, NULL, "The %s service cannot be reached", name);
}

void upstream_dispatch(struct upstream_call *call)
{
    struct upstream *upstream = call->upstream;
    int64_t now = upstream_now(upstream);
    bool any_ready, hope = resolve_refresh(upstream, false);

    start_tick(upstream);
    for (unsigned i = 0; i < upstream->endpoint_count; i++)
        hope |=
            connect_endpoint(upstream, upstream->endpoints[i], upstream->options.connections, now);
    struct channel *connection = least_busy(upstream, &any_ready);
    if (connection) {
        channel_start_call(connection, call);
        return;
    }
    if (any_ready && !hope)
        hope = open_more(upstream);
    if ((hope || !any_ready) && upstream->pending_count < upstream->options.max_pending) {
        call->queued_us = now;
        TAILQ_INSERT_TAIL(&upstream->pending, call, link);
        upstream->pending_count++;
    } else {
        fail_unplaced(call, any_ready || hope);
    }
}

static struct upstream_call *take_pending(struct upstream *upstream)
{
    struct upstream_call *call = TAILQ_FIRST(&upstream->pending);

    TAILQ_REMOVE(&upstream->pending, call, link);
    upstream->pending_count--;
    return call;
}

void upstream_dispatch_pending(struct upstream *upstream)
{
    bool any_ready;

    while (upstream->pending_count) {
        struct channel *connection = least_busy(upstream, &any_ready);
        if (connection)
            channel_start_call(connection, take_pending(upstream));
        else if (any_ready && open_more(upstream))
            return;
        else
            break;
    }
    /* No connection has become of what they hoped for, or it is full as well. */
    int64_t oldest = upstream_now(upstream) - 2 * upstream->options.connect_timeout_us;
    while (upstream->pending_count && TAILQ_FIRST(&upstream->pending)->queued_us < oldest)
        fail_unplaced(take_pending(upstream), any_ready);
}

void upstream_on_connect_failed(struct upstream *upstream)
{
    int64_t impatient = upstream_now(upstream) - PATIENCE_US;
    bool any_ready;

    if (upstream->closing)
        return;
    bool hope = resolve_refresh(upstream, true) || is_connecting(upstream);
    least_busy(upstream, &any_ready);
    if (hope || any_ready)
        return;
    while (upstream->pending_count && TAILQ_FIRST(&upstream->pending)->queued_us <= impatient)
        fail_unplaced(take_pending(upstream), false);
}
