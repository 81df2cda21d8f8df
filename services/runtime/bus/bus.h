/* bus: short messages from one instance of a service to the others. What is published under a key
 * reaches all other instances that listen to that key, once, at once, or not at all: whoever needs
 * all of them has another source to fill a gap from. Without a URL it is local: there is nobody
 * else to tell. With redis:// it is Redis pub/sub, on channels sharded by key. Everything runs on
 * the loop's thread; a callback never comes from inside a call into this module. */
#ifndef DIALPLANE_BUS_BUS_H
#define DIALPLANE_BUS_BUS_H

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Channels: an instance hears only the shards in which it listens to some key. */
#define BUS_SHARDS 256u
#define BUS_KEY_MAX 64
#define BUS_MESSAGE_MAX ((size_t)1024 * 1024)

struct bus;

struct bus_handler {
    /* A message of another instance. Also of keys that nobody listens to here: pass it over. */
    void (*on_message)(void *context, struct str key, struct str message);
    /* Messages under keys of this shard (BUS_SHARDS: any key) may not have been heard until now:
     * look for yourself. */
    void (*on_gap)(void *context, unsigned shard);
    /* For the log: how it goes on while Redis is away. NULL: by polling. */
    const char *meanwhile;
    /* Whoever names another one has channels of its own, in the same database. At most 15
     * characters. NULL: "events". */
    const char *space;
};

/* url: NULL or "" (local), redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE] or
 * unix:PATH[?password=…&database=…]. The database number keeps installations apart that share a
 * Redis: channels carry its number. It connects in the background, and again with backoff (100 ms
 * to 5 s) when the connection is lost; until then nothing is received and what is published is
 * dropped. NULL with err: a malformed URL, or rediss:// (Debian 12's hiredis has no TLS). */
struct bus *bus_new(struct loop *loop, const char *url, const struct bus_handler *handler,
                    void *context, struct err *err);
/* NULL is allowed. */
void bus_free(struct bus *bus);

/* key: 1 to BUS_KEY_MAX bytes. A message longer than BUS_MESSAGE_MAX, or one that finds 16 MB
 * waiting, is dropped and counted. */
void bus_publish(struct bus *bus, struct str key, struct str message);
/* Calls are counted: as many bus_unlisten() end it. */
void bus_listen(struct bus *bus, struct str key);
void bus_unlisten(struct bus *bus, struct str key);
unsigned bus_shard(struct str key);
/* What others publish comes at once: the connection is up and has been heard lately. Always false
 * for a local bus. */
bool bus_is_up(const struct bus *bus);

struct bus_stats {
    bool configured, up;
    uint32_t channels; /* subscribed to */
    uint64_t published, received, dropped, reconnects;
};
void bus_stats(const struct bus *bus, struct bus_stats *ret_stats);

/* ---- redis_url.c: pure ---- */

struct redis_url {
    char host[256]; /* empty: path */
    char path[108];
    char user[128], password[256];
    uint16_t port;
    uint16_t database;
};
bool redis_url_parse(const char *url, struct redis_url *ret_url, struct err *err);

#endif
