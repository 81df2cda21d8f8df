#include "bus/internal.h"

#include "base/buf.h"
#include "base/time.h"

#include <stdlib.h>
#include <string.h>

/* ---- Local: nobody else is there ---- */

static void publish_locally(struct bus *bus, unsigned shard, struct str payload)
{
    (void)bus;
    (void)shard;
    (void)payload;
}

static void listen_locally(struct bus *bus, unsigned shard)
{
    (void)bus;
    (void)shard;
}

static void free_locally(struct bus *bus)
{
    (void)bus;
}

static const struct bus_ops local_ops = {publish_locally, listen_locally, free_locally};

/* ---- All ---- */

struct bus *bus_new(struct loop *loop, const char *url, const struct bus_handler *handler,
                    void *context, struct err *err)
{
    struct bus *bus = calloc(1, sizeof(*bus));
    struct redis_url address;
    struct entropy entropy;

    if (!bus) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    bus->loop = loop;
    bus->handler = handler;
    bus->context = context;
    bus->ops = &local_ops;
    entropy_init_system(&entropy);
    entropy.fill(&entropy, bus->origin, sizeof(bus->origin));
    if (!url || !url[0])
        return bus;
    bus->stats.configured = true;
    if (!redis_url_parse(url, &address, err) || !redis_open(bus, &address, err)) {
        free(bus);
        return NULL;
    }
    return bus;
}

void bus_free(struct bus *bus)
{
    if (!bus)
        return;
    bus->ops->free(bus);
    free(bus);
}

unsigned bus_shard(struct str key)
{
    uint32_t hash = 2166136261u; /* FNV-1a: all instances must agree */
    for (size_t i = 0; i < key.length; i++)
        hash = (hash ^ (unsigned char)key.data[i]) * 16777619u;
    return hash % BUS_SHARDS;
}

void bus_publish(struct bus *bus, struct str key, struct str message)
{
    struct buf payload;
    char key_length = (char)key.length;

    if (bus->ops == &local_ops)
        return;
    buf_init(&payload, BUS_ORIGIN_BYTES + 1 + BUS_KEY_MAX + BUS_MESSAGE_MAX);
    buf_put(&payload, bus->origin, BUS_ORIGIN_BYTES);
    buf_put(&payload, &key_length, 1);
    buf_put_str(&payload, key);
    buf_put_str(&payload, message);
    if (payload.failed || !key.length || key.length > BUS_KEY_MAX ||
        message.length > BUS_MESSAGE_MAX)
        bus->stats.dropped++;
    else
        bus->ops->publish(bus, bus_shard(key), buf_str(&payload));
    buf_done(&payload);
}

void bus_listen(struct bus *bus, struct str key)
{
    unsigned shard = bus_shard(key);

    if (!bus->listeners[shard]++) {
        bus->stats.channels++;
        bus->ops->listen(bus, shard);
    }
}

void bus_unlisten(struct bus *bus, struct str key)
{
    unsigned shard = bus_shard(key);

    if (!--bus->listeners[shard]) {
        bus->stats.channels--;
        bus->ops->listen(bus, shard);
    }
}

void bus_receive(struct bus *bus, struct str payload)
{
    size_t head = BUS_ORIGIN_BYTES + 1, key_length;

    if (payload.length <= head)
        return; /* not ours */
    key_length = (unsigned char)payload.data[BUS_ORIGIN_BYTES];
    if (!key_length || key_length > BUS_KEY_MAX || head + key_length > payload.length ||
        !memcmp(payload.data, bus->origin, BUS_ORIGIN_BYTES))
        return;
    bus->stats.received++;
    bus->handler->on_message(
        bus->context, (struct str){payload.data + head, key_length},
        (struct str){payload.data + head + key_length, payload.length - head - key_length});
}

bool bus_is_up(const struct bus *bus)
{
    return bus->stats.up;
}

void bus_stats(const struct bus *bus, struct bus_stats *ret_stats)
{
    *ret_stats = bus->stats;
}
