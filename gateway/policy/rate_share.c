/* A message: a byte for the format, then for each bucket: which table, which slot, the key, and how
 * many tokens were taken (4 bytes, big-endian). */
#include "gateway/policy/rate_share.h"

#include "base/buf.h"
#include "base/log.h"
#include "bus/bus.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT 1
#define ITEM_BYTES (2 + sizeof(struct rate_key) + 4)
#define PERIOD_US INT64_C(100000)
/* Of one table, in one period; the others are told of in the next. */
#define ITEMS_MAX ((size_t)8192)
#define BUS_KEY "rate-limits"
/* As long as a start takes, nobody is warned. */
#define WARN_AFTER_US (2 * TIME_US_PER_SECOND)

struct rate_share {
    struct loop *loop;
    struct bus *bus;
    struct loop_timer *timer;
    struct rate_shared shared[RATE_SHARED_TABLES];
    struct buf message;
    uint8_t table; /* that is being collected */
    int64_t away_since_us;
    bool warned;
    _Atomic bool up;
};

static int64_t now_us(const struct rate_share *share)
{
    const struct clock *clock = loop_clock(share->loop);

    return clock->monotonic_us(clock);
}

bool rate_share_apply(const struct rate_shared shared[RATE_SHARED_TABLES], struct str message,
                      int64_t now)
{
    const uint8_t *at = (const uint8_t *)message.data;
    size_t left = message.length;

    if (left < 1 || at[0] != FORMAT || (left - 1) % ITEM_BYTES)
        return false;
    for (at++, left--; left; at += ITEM_BYTES, left -= ITEM_BYTES) {
        struct rate_key key;
        const uint8_t *count = at + 2 + sizeof(key);
        uint32_t tokens = (uint32_t)count[0] << 24 | (uint32_t)count[1] << 16 |
                          (uint32_t)count[2] << 8 | count[3];
        if (at[0] >= RATE_SHARED_TABLES || at[1] >= RATE_SLOTS)
            return false;
        const struct rate_rule *rule = &shared[at[0]].rules[at[1]];
        memcpy(&key, at + 2, sizeof(key));
        if (rule->interval_ns) /* else: off here, whatever it is there */
            rate_charge(shared[at[0]].table, &key, at[1], rule, tokens, false, now);
    }
    return true;
}

static void on_message(void *context, struct str key, struct str message)
{
    struct rate_share *share = context;

    if (str_equal_cstr(key, BUS_KEY) && !rate_share_apply(share->shared, message, now_us(share)))
        log_event(LOG_LEVEL_WARN, "rate_limit_message_malformed",
                  log_int("bytes", (int64_t)message.length));
}

static void on_gap(void *context, unsigned shard)
{
    (void)context; /* what was not heard is not asked for: it would be stale */
    (void)shard;
}

static void put_item(void *context, const struct rate_key *key, unsigned slot, uint32_t tokens)
{
    struct rate_share *share = context;
    uint8_t head[2] = {share->table, (uint8_t)slot};
    uint8_t count[4] = {(uint8_t)(tokens >> 24), (uint8_t)(tokens >> 16), (uint8_t)(tokens >> 8),
                        (uint8_t)tokens};

    buf_put(&share->message, head, sizeof(head));
    buf_put(&share->message, key, sizeof(*key));
    buf_put(&share->message, count, sizeof(count));
}

static void watch_bus(struct rate_share *share)
{
    bool up = bus_is_up(share->bus);

    atomic_store_explicit(&share->up, up, memory_order_relaxed);
    if (up) {
        share->away_since_us = 0;
        if (share->warned)
            log_event(LOG_LEVEL_INFO, "rate_limits_shared", log_text("through", "Redis"));
        share->warned = false;
        return;
    }
    if (!share->away_since_us)
        share->away_since_us = now_us(share);
    if (!share->warned && now_us(share) - share->away_since_us > WARN_AFTER_US) {
        share->warned = true;
        log_event(LOG_LEVEL_WARN, "rate_limits_not_shared", log_text("why", "Redis is away"),
                  log_text("meanwhile", "each gateway limits for itself"));
    }
}

static void on_timer(void *context)
{
    struct rate_share *share = context;
    size_t count = 0;

    watch_bus(share);
    buf_reset(&share->message);
    buf_put_char(&share->message, FORMAT);
    /* Also while nobody hears it: what is old by then must not be told later. */
    for (share->table = 0; share->table < RATE_SHARED_TABLES; share->table++)
        count += rate_collect(share->shared[share->table].table, ITEMS_MAX, put_item, share);
    if (count && !share->message.failed)
        bus_publish(share->bus, STR_LITERAL(BUS_KEY), buf_str(&share->message));
}

struct rate_share *rate_share_new(struct loop *loop, const char *url,
                                  const struct rate_shared shared[RATE_SHARED_TABLES],
                                  struct err *err)
{
    static const struct bus_handler handler = {
        .on_message = on_message,
        .on_gap = on_gap,
        .space = "gateways",
        .meanwhile = "gateways do not hear of each other",
    };
    struct rate_share *share = calloc(1, sizeof(*share));

    if (!share) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    share->loop = loop;
    memcpy(share->shared, shared, sizeof(share->shared));
    buf_init(&share->message, BUS_MESSAGE_MAX);
    share->bus = bus_new(loop, url, &handler, share, err);
    if (!share->bus) {
        rate_share_free(share);
        return NULL;
    }
    bus_listen(share->bus, STR_LITERAL(BUS_KEY));
    share->timer = loop_timer_repeat(loop, PERIOD_US, on_timer, share);
    if (!share->timer) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        rate_share_free(share);
        return NULL;
    }
    return share;
}

void rate_share_free(struct rate_share *share)
{
    if (!share)
        return;
    loop_timer_cancel(share->timer);
    bus_free(share->bus);
    buf_done(&share->message);
    free(share);
}

bool rate_share_is_up(const struct rate_share *share)
{
    return atomic_load_explicit(&share->up, memory_order_relaxed);
}
