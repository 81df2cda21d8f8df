/* internal: what bus.c (keys and shards) and redis.c (the connections) share. */
#ifndef DIALPLANE_BUS_INTERNAL_H
#define DIALPLANE_BUS_INTERNAL_H

#include "bus/bus.h"

#define BUS_ORIGIN_BYTES 8

/* One implementation. */
struct bus_ops {
    void (*publish)(struct bus *bus, unsigned shard, struct str payload);
    /* Somebody listens in the shard now (listeners), or nobody any more. */
    void (*listen)(struct bus *bus, unsigned shard);
    void (*free)(struct bus *bus);
};

struct bus {
    struct loop *loop;
    const struct bus_ops *ops;
    void *implementation;
    const struct bus_handler *handler;
    void *context;
    uint32_t listeners[BUS_SHARDS];
    char origin[BUS_ORIGIN_BYTES]; /* who sends: what one said oneself is passed over */
    struct bus_stats stats;
};

/* A payload has come: origin, key length, key, message. */
void bus_receive(struct bus *bus, struct str payload);

/* redis.c */
bool redis_open(struct bus *bus, const struct redis_url *url, struct err *err);

#endif
