/* Redis pub/sub. Two connections, for one that subscribes may not publish; they come and go
 * together:
 *
 *   AWAY ──backoff──▶ CONNECTING ──both answer──▶ GREETING ──our own beat comes back──▶ UP
 *    ▲                    │                           │                                 │
 *    └────────────────────┴── refused, silent ────────┴── lost, no beat for 15 s ───────┘
 *
 * A beat is a message on a channel that all instances hear. It shows that the whole way works,
 * there and back, and it carries the news that its sender has lost messages while it could not
 * publish. */
#include "bus/internal.h"

#include "base/log.h"
#include "base/time.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_US (100 * INT64_C(1000))
#define BACKOFF_LAST_US (5 * TIME_US_PER_SECOND)
#define ATTEMPT_US (5 * TIME_US_PER_SECOND) /* from the attempt to the first beat */
#define BEAT_US (5 * TIME_US_PER_SECOND)
#define SILENCE_US (3 * BEAT_US)
#define WAITING_MAX ((size_t)16 * 1024 * 1024)
#define CHANNEL_SIZE 40

enum state { AWAY, CONNECTING, GREETING, UP };

/* Of a shard's channel. hiredis forgets a channel when its UNSUBSCRIBE is confirmed, also when a
 * SUBSCRIBE has been sent meanwhile: so that waits for the confirmation. */
enum subscription { NOT_SUBSCRIBED, SUBSCRIBED, LEAVING };

struct redis {
    struct bus *bus;
    struct redis_url url;
    enum state state;
    redisAsyncContext *publisher, *subscriber;
    bool publisher_ready, subscriber_ready;
    bool subscriber_open; /* takes commands */
    uint8_t subscriptions[BUS_SHARDS];
    struct evdns_base *dns; /* NULL: no name to look up */
    struct evdns_getaddrinfo_request *lookup;
    char beat_channel[CHANNEL_SIZE];
    struct loop_timer *retry, *attempt, *beat;
    struct entropy entropy;
    int64_t backoff_us;
    int64_t heard_us;
    bool lost;   /* something was not published: the next beat says so */
    bool warned; /* once per outage */
};

static void connect_both(struct redis *redis, const char *host);
static void start_attempt(void *context);

static struct redis *redis_of(const redisAsyncContext *connection)
{
    return connection->data; /* NULL: it has been given up */
}

static int64_t now_us(const struct redis *redis)
{
    const struct clock *clock = loop_clock(redis->bus->loop);
    return clock->monotonic_us(clock);
}

static void name_channel(const struct redis *redis, unsigned shard, char out[CHANNEL_SIZE])
{
    const char *space = redis->bus->handler->space;

    snprintf(out, CHANNEL_SIZE, "dialplane:%u:%s:%u", redis->url.database, space ? space : "events",
             shard);
}

/* ---- Down ---- */

static void stop_timer(struct loop_timer **timer)
{
    loop_timer_cancel(*timer);
    *timer = NULL;
}

static void drop_connection(redisAsyncContext **connection)
{
    redisAsyncContext *old = *connection;

    *connection = NULL;
    if (!old)
        return;
    old->data = NULL; /* what comes of it concerns nobody any more */
    redisAsyncFree(old);
}

static void drop_all(struct redis *redis)
{
    stop_timer(&redis->attempt);
    stop_timer(&redis->beat);
    redis->publisher_ready = redis->subscriber_ready = redis->subscriber_open = false;
    memset(redis->subscriptions, NOT_SUBSCRIBED, sizeof(redis->subscriptions));
    drop_connection(&redis->publisher);
    drop_connection(&redis->subscriber);
}

/* The next attempt, after the backoff and up to as much again, so that instances do not come in
 * step. */
static void retry_later(struct redis *redis)
{
    int64_t jitter_us = (int64_t)(entropy_unit(&redis->entropy) * (double)redis->backoff_us);

    redis->retry =
        loop_timer_start(redis->bus->loop, redis->backoff_us + jitter_us, start_attempt, redis);
    redis->backoff_us *= 2;
    if (redis->backoff_us > BACKOFF_LAST_US)
        redis->backoff_us = BACKOFF_LAST_US;
}

static void fail(struct redis *redis, const char *why)
{
    if (redis->state == AWAY)
        return;
    if (!redis->warned)
        log_event(LOG_LEVEL_WARN, "bus_away", log_text("why", why),
                  log_text("meanwhile", redis->bus->handler->meanwhile
                                            ? redis->bus->handler->meanwhile
                                            : "what other instances take in is found by polling"));
    redis->warned = true;
    redis->state = AWAY;
    redis->bus->stats.up = false;
    redis->lost = true;
    drop_all(redis);
    retry_later(redis);
}

/* ---- Beats ---- */

static void on_published(redisAsyncContext *connection, void *reply_, void *context)
{
    const redisReply *reply = reply_;
    struct redis *redis = redis_of(connection);

    (void)context;
    if (!redis || !reply)
        return; /* its end is told by on_disconnected */
    if (reply->type == REDIS_REPLY_ERROR) {
        redis->bus->stats.dropped++;
        fail(redis, reply->str);
    }
}

static void publish(struct redis *redis, const char *channel, struct str payload)
{
    const char *words[] = {"PUBLISH", channel, payload.data};
    const size_t lengths[] = {7, strlen(channel), payload.length};

    if (redisAsyncCommandArgv(redis->publisher, on_published, NULL, 3, words, lengths) !=
        REDIS_OK) {
        redis->bus->stats.dropped++;
        redis->lost = true;
    }
}

/* Origin, and whether its sender has lost something. */
static void send_beat(struct redis *redis)
{
    char payload[BUS_ORIGIN_BYTES + 1];

    memcpy(payload, redis->bus->origin, BUS_ORIGIN_BYTES);
    payload[BUS_ORIGIN_BYTES] = redis->lost ? 'L' : 'B';
    redis->lost = false;
    publish(redis, redis->beat_channel, (struct str){payload, sizeof(payload)});
}

static void on_beat_timer(void *context)
{
    struct redis *redis = context;

    if (now_us(redis) - redis->heard_us > SILENCE_US)
        fail(redis, "nothing is heard");
    else
        send_beat(redis);
}

static void become_up(struct redis *redis)
{
    struct bus *bus = redis->bus;

    redis->state = UP;
    stop_timer(&redis->attempt);
    bus->stats.up = true;
    redis->backoff_us = BACKOFF_FIRST_US;
    redis->beat = loop_timer_repeat(bus->loop, BEAT_US, on_beat_timer, redis);
    log_event(LOG_LEVEL_INFO, "bus_up", log_int("database", redis->url.database));
    if (redis->warned)
        bus->stats.reconnects++;
    redis->warned = false;
    bus->handler->on_gap(bus->context, BUS_SHARDS);
}

static void on_beat(struct redis *redis, struct str payload)
{
    struct bus *bus = redis->bus;

    if (payload.length != BUS_ORIGIN_BYTES + 1)
        return;
    if (memcmp(payload.data, bus->origin, BUS_ORIGIN_BYTES) != 0) {
        if (payload.data[BUS_ORIGIN_BYTES] == 'L' && redis->state == UP)
            bus->handler->on_gap(bus->context, BUS_SHARDS);
        return;
    }
    redis->heard_us = now_us(redis);
    if (redis->state == GREETING)
        become_up(redis);
}

/* ---- Up ---- */

static void greet(struct redis *redis)
{
    if (redis->state == CONNECTING && redis->publisher_ready && redis->subscriber_ready) {
        redis->state = GREETING;
        send_beat(redis);
    }
}

static void on_subscribed(redisAsyncContext *connection, void *reply_, void *context);

static void subscribe(struct redis *redis, const char *channel)
{
    const char *words[] = {"SUBSCRIBE", channel};

    if (redisAsyncCommandArgv(redis->subscriber, on_subscribed, NULL, 2, words, NULL) != REDIS_OK)
        fail(redis, "a channel could not be subscribed to");
}

/* Brings the subscription to what is listened to. */
static void update_shard(struct redis *redis, unsigned shard)
{
    uint8_t *subscription = &redis->subscriptions[shard];
    char channel[CHANNEL_SIZE];
    const char *words[] = {"UNSUBSCRIBE", channel};

    if (!redis->subscriber_open)
        return; /* on_connected() subscribes to all that is listened to then */
    name_channel(redis, shard, channel);
    if (redis->bus->listeners[shard] && *subscription == NOT_SUBSCRIBED) {
        *subscription = SUBSCRIBED;
        subscribe(redis, channel);
    } else if (!redis->bus->listeners[shard] && *subscription == SUBSCRIBED) {
        *subscription = LEAVING;
        if (redisAsyncCommandArgv(redis->subscriber, NULL, NULL, 2, words, NULL) != REDIS_OK)
            fail(redis, "a channel could not be left");
    }
}

static void on_shard_message(struct redis *redis, const redisReply *kind, const redisReply *channel,
                             const redisReply *value)
{
    struct bus *bus = redis->bus;
    const char *colon = strrchr(channel->str, ':');
    uint64_t shard;

    if (!strcmp(kind->str, "message")) {
        if (value->type == REDIS_REPLY_STRING)
            bus_receive(bus, (struct str){value->str, (size_t)value->len});
        return;
    }
    if (!colon || !str_parse_uint64(str_from(colon + 1), &shard) || shard >= BUS_SHARDS)
        return;
    if (!strcmp(kind->str, "unsubscribe")) {
        redis->subscriptions[shard] = NOT_SUBSCRIBED;
        update_shard(redis, (unsigned)shard);
    } else if (!strcmp(kind->str, "subscribe") && redis->state == UP) {
        /* What was published before this is not heard. */
        bus->handler->on_gap(bus->context, (unsigned)shard);
    }
}

static void on_subscribed(redisAsyncContext *connection, void *reply_, void *context)
{
    const redisReply *reply = reply_;
    struct redis *redis = redis_of(connection);

    (void)context;
    if (!redis || !reply)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        fail(redis, reply->str);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return;
    const redisReply *kind = reply->element[0], *channel = reply->element[1],
                     *value = reply->element[2];
    if (strcmp(channel->str, redis->beat_channel) != 0) {
        on_shard_message(redis, kind, channel, value);
    } else if (!strcmp(kind->str, "subscribe")) {
        redis->subscriber_ready = true;
        greet(redis);
    } else if (!strcmp(kind->str, "message") && value->type == REDIS_REPLY_STRING) {
        on_beat(redis, (struct str){value->str, (size_t)value->len});
    }
}

static void on_authenticated(redisAsyncContext *connection, void *reply_, void *context)
{
    const redisReply *reply = reply_;
    struct redis *redis = redis_of(connection);

    (void)context;
    if (redis && reply && reply->type == REDIS_REPLY_ERROR)
        fail(redis, reply->str);
}

static bool authenticate(const struct redis *redis, redisAsyncContext *connection)
{
    const char *words[] = {"AUTH", redis->url.user, redis->url.password};

    if (!redis->url.password[0])
        return true;
    if (!redis->url.user[0]) {
        words[1] = redis->url.password;
        return redisAsyncCommandArgv(connection, on_authenticated, NULL, 2, words, NULL) ==
               REDIS_OK;
    }
    return redisAsyncCommandArgv(connection, on_authenticated, NULL, 3, words, NULL) == REDIS_OK;
}

static void on_connected(const redisAsyncContext *connection, int status)
{
    struct redis *redis = redis_of(connection);

    if (!redis)
        return;
    bool publishes = connection == redis->publisher;
    if (status != REDIS_OK) {
        /* hiredis frees it after this. */
        *(publishes ? &redis->publisher : &redis->subscriber) = NULL;
        fail(redis, connection->errstr);
        return;
    }
    if (!authenticate(redis, publishes ? redis->publisher : redis->subscriber)) {
        fail(redis, "out of memory");
        return;
    }
    if (publishes) {
        redis->publisher_ready = true;
        greet(redis);
        return;
    }
    /* The beat's channel last: when that is confirmed, all are. */
    redis->subscriber_open = true;
    for (unsigned shard = 0; shard < BUS_SHARDS && redis->subscriber; shard++)
        update_shard(redis, shard);
    if (redis->subscriber)
        subscribe(redis, redis->beat_channel);
}

static void on_disconnected(const redisAsyncContext *connection, int status)
{
    struct redis *redis = redis_of(connection);

    if (!redis)
        return;
    *(connection == redis->publisher ? &redis->publisher : &redis->subscriber) = NULL;
    fail(redis, status == REDIS_OK ? "the connection was closed" : connection->errstr);
}

static redisAsyncContext *open_connection(struct redis *redis, const char *host)
{
    redisAsyncContext *connection = redis->url.path[0] ? redisAsyncConnectUnix(redis->url.path)
                                                       : redisAsyncConnect(host, redis->url.port);

    if (!connection)
        return NULL;
    if (connection->err ||
        redisLibeventAttach(connection, loop_event_base(redis->bus->loop)) != REDIS_OK) {
        redisAsyncFree(connection);
        return NULL;
    }
    connection->data = redis;
    redisAsyncSetConnectCallback(connection, on_connected);
    redisAsyncSetDisconnectCallback(connection, on_disconnected);
    return connection;
}

/* host: an address in digits, so that hiredis asks no name server, which would hold up the loop. */
static void connect_both(struct redis *redis, const char *host)
{
    redis->publisher = open_connection(redis, host);
    redis->subscriber = redis->publisher ? open_connection(redis, host) : NULL;
    if (!redis->subscriber)
        fail(redis, "connection refused");
}

static void on_address(int result, struct evutil_addrinfo *found, void *context)
{
    struct redis *redis = context;
    char host[64] = "";

    redis->lookup = NULL;
    if (result == EVUTIL_EAI_CANCEL)
        return;
    if (!result && found)
        result = getnameinfo(found->ai_addr, (socklen_t)found->ai_addrlen, host, sizeof(host), NULL,
                             0, NI_NUMERICHOST);
    if (found)
        evutil_freeaddrinfo(found);
    if (redis->state != CONNECTING)
        return;
    if (result)
        fail(redis, evutil_gai_strerror(result));
    else
        connect_both(redis, host);
}

static void on_attempt_timeout(void *context)
{
    struct redis *redis = context;

    redis->attempt = NULL; /* it has freed itself */
    fail(redis, "no answer");
}

static bool is_numeric(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return evutil_inet_pton(AF_INET, host, bytes) == 1 ||
           evutil_inet_pton(AF_INET6, host, bytes) == 1;
}

static void start_attempt(void *context)
{
    struct redis *redis = context;
    const struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    redis->retry = NULL; /* it has freed itself */
    redis->state = CONNECTING;
    redis->heard_us = now_us(redis);
    redis->attempt = loop_timer_start(redis->bus->loop, ATTEMPT_US, on_attempt_timeout, redis);
    if (!redis->dns)
        connect_both(redis, redis->url.host);
    else if (!redis->lookup)
        redis->lookup =
            evdns_getaddrinfo(redis->dns, redis->url.host, NULL, &hints, on_address, redis);
}

/* ---- The bus's side ---- */

static void redis_publish(struct bus *bus, unsigned shard, struct str payload)
{
    struct redis *redis = bus->implementation;
    char channel[CHANNEL_SIZE];

    if (redis->state != UP || sdslen(redis->publisher->c.obuf) > WAITING_MAX) {
        bus->stats.dropped++;
        redis->lost = true;
        return;
    }
    bus->stats.published++;
    name_channel(redis, shard, channel);
    publish(redis, channel, payload);
}

static void redis_listen(struct bus *bus, unsigned shard)
{
    update_shard(bus->implementation, shard);
}

static void redis_free(struct bus *bus)
{
    struct redis *redis = bus->implementation;

    redis->state = AWAY;
    stop_timer(&redis->retry);
    drop_all(redis);
    if (redis->dns)
        evdns_base_free(redis->dns, 0);
    free(redis);
}

static const struct bus_ops redis_ops = {redis_publish, redis_listen, redis_free};

bool redis_open(struct bus *bus, const struct redis_url *url, struct err *err)
{
    struct redis *redis = calloc(1, sizeof(*redis));

    if (!redis)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    redis->bus = bus;
    redis->url = *url;
    redis->backoff_us = BACKOFF_FIRST_US;
    entropy_init_system(&redis->entropy);
    const char *space = bus->handler->space;
    snprintf(redis->beat_channel, sizeof(redis->beat_channel), "dialplane:%u:%s%sbeat",
             url->database, space ? space : "", space ? ":" : "");
    if (url->host[0] && !is_numeric(url->host)) {
        redis->dns =
            evdns_base_new(loop_event_base(bus->loop),
                           EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        if (!redis->dns) {
            free(redis);
            return err_set(err, ERR_UNAVAILABLE, NULL, "the DNS resolver did not start");
        }
    }
    if (redis->dns)
        evdns_base_load_hosts(redis->dns, "/etc/hosts");
    bus->implementation = redis;
    bus->ops = &redis_ops;
    redis->retry = loop_timer_start(bus->loop, 0, start_attempt, redis);
    return true;
}
