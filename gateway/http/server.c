/* The server: accepts, sweeps the time limits, drains. */
#include "gateway/http/server_internal.h"

#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So many at once are told why they are refused; others are only closed. */
#define REFUSED_MAX 256u
/* Connections that make room for others end at the end of the turn: meanwhile there are so many
 * more. */
#define ROOM_AHEAD 64u
/* What a connection has to wait for before it may be closed to make room. */
#define EVICT_IDLE_US (1 * TIME_US_PER_SECOND)
#define EVICT_HEADER_US (2 * TIME_US_PER_SECOND)
/* Those that take their output slowest are cut when there is too much, but not before this. */
#define EVICT_WRITE_US (1 * TIME_US_PER_SECOND)
#define LINGER_US (1 * TIME_US_PER_SECOND)
#define ANSWER_AFTER_EOF_US (1 * TIME_US_PER_SECOND)
#define PEER_CHECK_US (1 * TIME_US_PER_SECOND)
#define UPLOAD_END_US (1 * TIME_US_PER_SECOND)
#define WEBSOCKET_CLOSE_US (2 * TIME_US_PER_SECOND)
#define SWEEP_MOST 16u
#define SWEEP_AGAIN_US INT64_C(2000)
#define SWEEP_MIN_US INT64_C(10000)
#define SWEEP_MAX_US INT64_C(250000)

static struct connection *of_read_limit(struct timeout *timeout)
{
    return (struct connection *)((char *)timeout - offsetof(struct connection, read_limit));
}

static struct connection *of_write_limit(struct timeout *timeout)
{
    return (struct connection *)((char *)timeout - offsetof(struct connection, write_limit));
}

/* Room for one more, at the cost of a connection that nobody uses just now, or of one whose request
 * does not come: a flood of idle or slow connections is told to go before anybody else is. */
static bool make_room(struct http_server *server)
{
    static const struct {
        enum http_wait wait;
        int64_t least_us;
    } choices[] = {{HTTP_WAIT_REQUEST, EVICT_IDLE_US}, {HTTP_WAIT_HEADER, EVICT_HEADER_US}};
    int64_t now_us = server->core.clock->monotonic_us(server->core.clock);
    size_t i;

    for (i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        struct timeout_list *list = &server->waits[choices[i].wait];
        struct timeout *oldest = timeout_oldest(list);
        if (!oldest || now_us - (oldest->due_us - list->length_us) < choices[i].least_us) {
            continue;
        }
        struct connection *connection = of_read_limit(oldest);
        timeout_disarm(oldest);
        http_count_limit(&server->core, HTTP_LIMIT_IDLE_CONNECTIONS);
        if (choices[i].wait == HTTP_WAIT_HEADER) {
            connection_on_read_limit(connection); /* 408, somewhat early */
        } else {
            connection_drain(connection);
        }
        return true;
    }
    return false;
}

/* NULL: it may stay. */
static const char *why_refused(struct http_server *server, const struct peer *peer)
{
    const struct http_limits *limits = &server->core.limits;

    if (peer && limits->connections_per_address &&
        peer->connections >= limits->connections_per_address) {
        http_count_limit(&server->core, HTTP_LIMIT_ADDRESS);
        return "there are too many connections from your address";
    }
    uint32_t count = server->core.stats.connections - server->refused_count;
    if (count < limits->connections ||
        (count < limits->connections + ROOM_AHEAD && make_room(server))) {
        return NULL;
    }
    http_count_limit(&server->core, HTTP_LIMIT_CONNECTIONS);
    return "the server has too many connections";
}

static void on_accept(int fd, const char *text, void *context)
{
    struct http_server *server = context;
    const struct net_networks *uncounted = server->core.limits.uncounted;
    struct net_address address;
    struct peer *peer = NULL;

    server->core.stats.connections_accepted++;
    if (net_address_parse(str_from(text), &address)) {
        struct net_address site = net_address_site(&address);
        if (!uncounted || !net_networks_contain(uncounted, &address)) {
            peer = peers_enter(&server->peers, &site);
        }
    } else {
        memset(&address, 0, sizeof(address));
    }
    const char *refused = why_refused(server, peer);
    if (peer) {
        peer->connections++;
    }
    if (refused && server->refused_count >= REFUSED_MAX) {
        close(fd);
        peers_leave(&server->peers, peer);
        return;
    }
    connection_open(server, fd, text, &address, peer, refused);
}

/* Answers that are not taken fill memory: those that wait longest go first. */
static void shed_output(struct http_server *server, int64_t now_us)
{
    struct timeout *oldest;

    while (server->net.pool.used_bytes > server->core.limits.all_output_bytes &&
           (oldest = timeout_oldest(&server->writes)) != NULL &&
           now_us - (oldest->due_us - server->writes.length_us) >= EVICT_WRITE_US) {
        http_count_limit(&server->core, HTTP_LIMIT_OUTPUT);
        connection_cut(of_write_limit(oldest));
    }
}

/* At most SWEEP_MOST: ten thousand connections that run out of time at once must not hold up the
 * others. True: there is more. */
static bool sweep_some(struct http_server *server)
{
    int64_t now_us = server->core.clock->monotonic_us(server->core.clock);
    struct timeout *due;
    unsigned i, left = SWEEP_MOST;

    for (i = 0; i < HTTP_WAIT_COUNT && left > 0; i++) {
        while (left > 0 && (due = timeout_take_due(&server->waits[i], now_us)) != NULL) {
            connection_on_read_limit(of_read_limit(due));
            left--;
        }
    }
    while (left > 0 && (due = timeout_take_due(&server->lingers, now_us)) != NULL) {
        connection_cut(of_read_limit(due));
        left--;
    }
    while (left > 0 && (due = timeout_take_due(&server->writes, now_us)) != NULL) {
        http_count_limit(&server->core, HTTP_LIMIT_WRITE_TIME);
        connection_cut(of_write_limit(due));
        left--;
    }
    shed_output(server, now_us);
    return left == 0;
}

static void sweep(void *context);

static void on_sweep_again(void *context)
{
    struct http_server *server = context;
    server->sweep_again = NULL; /* it has freed itself */
    sweep(server);
}

static void sweep(void *context)
{
    struct http_server *server = context;
    if (sweep_some(server) && !server->sweep_again) {
        server->sweep_again =
            loop_timer_start(server->loop, SWEEP_AGAIN_US, on_sweep_again, server);
    }
}

static int64_t sweep_period(const struct http_limits *limits)
{
    const int64_t lengths[] = {limits->header_timeout_us,    limits->body_idle_us,
                               limits->keep_alive_us,        limits->write_idle_us,
                               limits->handshake_timeout_us, limits->websocket_ping_us};
    int64_t period = SWEEP_MAX_US;
    size_t i;
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        if (lengths[i] / 4 < period) {
            period = lengths[i] / 4;
        }
    }
    return period < SWEEP_MIN_US ? SWEEP_MIN_US : period;
}

static void init_limits(struct http_server *server)
{
    const struct http_limits *limits = &server->core.limits;
    timeout_list_init(&server->waits[HTTP_WAIT_NOTHING], 0);
    timeout_list_init(&server->waits[HTTP_WAIT_REQUEST], limits->keep_alive_us);
    timeout_list_init(&server->waits[HTTP_WAIT_HANDSHAKE], limits->handshake_timeout_us);
    timeout_list_init(&server->waits[HTTP_WAIT_HEADER], limits->header_timeout_us);
    timeout_list_init(&server->waits[HTTP_WAIT_BODY], limits->body_idle_us);
    timeout_list_init(&server->waits[HTTP_WAIT_ANSWER_AFTER_EOF], ANSWER_AFTER_EOF_US);
    timeout_list_init(&server->waits[HTTP_WAIT_PONG], limits->websocket_ping_us);
    timeout_list_init(&server->waits[HTTP_WAIT_CLOSE], WEBSOCKET_CLOSE_US);
    timeout_list_init(&server->waits[HTTP_WAIT_PEER_CHECK], PEER_CHECK_US);
    timeout_list_init(&server->waits[HTTP_WAIT_UPLOAD_END], UPLOAD_END_US);
    timeout_list_init(&server->writes, limits->write_idle_us);
    timeout_list_init(&server->lingers, LINGER_US);
}

static void free_parts(struct http_server *server)
{
    loop_timer_cancel(server->sweeper);
    loop_timer_cancel(server->sweep_again);
    loop_timer_cancel(server->grace);
    net_listener_close(server->listener);
    net_done(&server->net);
    peers_done(&server->peers);
    http_core_done(&server->core);
    free(server);
}

struct http_server *http_server_start(struct loop *loop, const char *address, bool reuse_port,
                                      const struct http_limits *limits,
                                      const struct exchange_handler *handler, struct err *err)
{
    struct http_server *server = calloc(1, sizeof(*server));
    if (!server) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    server->loop = loop;
    if (!http_core_init(&server->core, limits, handler, loop_clock(loop)) ||
        !net_init(&server->net, loop) || !peers_init(&server->peers, &server->core.entropy)) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        free_parts(server);
        return NULL;
    }
    init_limits(server);
    server->listener = net_listener_open(loop, address, reuse_port, on_accept, server, err);
    if (!server->listener) {
        free_parts(server);
        return NULL;
    }
    server->port = net_listener_port(server->listener);
    server->sweeper = loop_timer_repeat(loop, sweep_period(&server->core.limits), sweep, server);
    if (!server->sweeper) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        free_parts(server);
        return NULL;
    }
    return server;
}

void http_server_secure(struct http_server *server, struct tls_context *tls)
{
    server->tls = tls;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

static void report_stopped(void *context)
{
    struct http_server *server = context;
    void (*on_stopped)(void *) = server->on_stopped;
    server->on_stopped = NULL;
    if (on_stopped) {
        on_stopped(server->stopped_context);
    }
}

static void on_all_gone(struct http_server *server)
{
    loop_timer_cancel(server->idle);
    server->idle = NULL;
    loop_timer_cancel(server->grace);
    server->grace = NULL;
    loop_defer(server->loop, report_stopped, server);
}

void server_connection_freed(struct http_server *server)
{
    server->core.stats.connections--;
    if (server->stopping && !server->connections && server->on_stopped) {
        on_all_gone(server);
    }
}

static void cut_all(struct http_server *server)
{
    struct connection *connection, *next;
    for (connection = server->connections; connection; connection = next) {
        next = connection->next; /* freed after the turn at the earliest */
        connection_cut(connection);
    }
}

static void drain_all(void *context)
{
    struct http_server *server = context;
    struct connection *connection, *next;
    server->idle = NULL;
    for (connection = server->connections; connection; connection = next) {
        next = connection->next;
        connection_drain(connection);
    }
}

static void on_grace_over(void *context)
{
    struct http_server *server = context;
    server->grace = NULL;
    cut_all(server);
}

void http_server_stop(struct http_server *server, int64_t grace_us, void (*done)(void *context),
                      void *context)
{
    struct connection *connection, *next;
    if (server->stopping) {
        return;
    }
    server->stopping = true;
    server->core.draining = true;
    server->on_stopped = done;
    server->stopped_context = context;
    /* What the kernel has accepted in our name would be reset with the listener. */
    net_listener_accept_all(server->listener);
    net_listener_close(server->listener);
    server->listener = NULL;
    if (!server->connections) {
        on_all_gone(server);
        return;
    }
    int64_t idle_us = server->core.limits.drain_idle_us;
    if (idle_us > 0) {
        for (connection = server->connections; connection; connection = next) {
            next = connection->next;
            connection_announce_drain(connection);
        }
        server->idle = loop_timer_start(server->loop, idle_us < grace_us ? idle_us : grace_us,
                                        drain_all, server);
    }
    if (!server->idle) {
        drain_all(server);
    }
    server->grace = loop_timer_start(server->loop, grace_us, on_grace_over, server);
    if (!server->grace) {
        cut_all(server);
    }
}

static void free_when_idle(void *context)
{
    struct http_server *server = context;
    if (server->connections || server->net.deferred || server->net.closed) {
        loop_defer(server->loop, free_when_idle, server);
        return;
    }
    free_parts(server);
}

void http_server_free(struct http_server *server)
{
    if (!server) {
        return;
    }
    /* The end of this turn still walks the sockets. */
    server->on_stopped = NULL;
    net_listener_close(server->listener);
    server->listener = NULL;
    cut_all(server);
    loop_timer_cancel(server->sweeper);
    server->sweeper = NULL;
    loop_timer_cancel(server->sweep_again);
    server->sweep_again = NULL;
    loop_timer_cancel(server->grace);
    server->grace = NULL;
    loop_timer_cancel(server->idle);
    server->idle = NULL;
    loop_defer(server->loop, free_when_idle, server);
}

void http_server_stats(const struct http_server *server, struct http_stats *ret_stats)
{
    *ret_stats = server->core.stats;
    ret_stats->bytes_in = server->net.bytes_in;
    ret_stats->bytes_out = server->net.bytes_out;
    ret_stats->output_bytes = server->net.pool.used_bytes;
}
