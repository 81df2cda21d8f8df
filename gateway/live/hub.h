/* hub: one upstream stream, and all who watch it. Events are turned into JSON once and framed once
 * for each form they are sent in; a watcher is a cursor into the hub's short history, so that a
 * late joiner, a slow one and the live edge are one code path. The quickest watcher sets the pace:
 * the service is held back while not even that one has taken what is here. Who falls behind the
 * history goes on alone (behind.c). */
#ifndef GATEWAY_LIVE_HUB_H
#define GATEWAY_LIVE_HUB_H

#include "base/err.h"
#include "gateway/call/gateway.h"
#include "gateway/http/exchange.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum live_form { LIVE_WEBSOCKET, LIVE_EVENT_STREAM, LIVE_LINES, LIVE_FORMS };

struct identity;
struct hub;
struct watcher;

/* How a watcher sends. None may leave the hub from inside. */
struct watcher_ops {
    enum live_form form;
    /* Gives the bytes that wait. The frame is borrowed. */
    size_t (*send)(struct watcher *watcher, struct shared_bytes *frame);
    /* The bytes that wait now. */
    size_t (*waiting)(const struct watcher *watcher);
    /* The stream is good: before the first event. (A service's headers alone say nothing: an error
     * may follow them.) */
    void (*on_begin)(struct watcher *watcher);
    /* The stream has ended and all events have been sent: the watcher has left the hub. err->code
     * ERR_OK: in order. */
    void (*on_end)(struct watcher *watcher, const struct err *err);
    /* It fell behind and takes nothing (see behind.c), or too many have fallen behind: the watcher
     * has left the hub. */
    void (*on_slow)(struct watcher *watcher);
};

/* Embedded in the one who watches. */
struct watcher {
    TAILQ_ENTRY(watcher) link;
    const struct watcher_ops *ops;
    struct hub *hub;       /* NULL: has left, or `behind` */
    struct behind *behind; /* fell behind its hub's history, and waits (behind.c) */
    uint64_t next;         /* number of the event to send next */
    uint64_t seq;          /* of the newest event that it has been sent */
    size_t waiting_before; /* when it was last looked at */
    uint8_t idle_looks;    /* since when it has taken nothing */
    bool blocked;          /* waits for watcher_drained() */
    bool begun;
    bool opened; /* has been sent the hub's opening */
};

struct live; /* the hubs of one thread */
struct live *live_new(struct worker *worker);
void live_free(struct live *live);

/* Who asks. The text is borrowed for the call. */
struct hub_caller {
    const struct identity *identity; /* of the one who opens it; NULL: none */
    const char *authorization;       /* as in struct upstream_request */
    const char *client_address;      /* of the one who opens it; NULL: none */
};

/* Joins the hub of this request, or opens one: the same method with the same serialized request
 * (its cursor included) by the same authorization (nobody sees what the service has let somebody
 * else see) is one stream, as long as the history still reaches back to its beginning.
 * Events follow from the beginning; never from inside this call. False (err): out of memory. */
bool hub_join(struct live *live, const struct route *route, struct str request,
              const struct hub_caller *caller, struct watcher *watcher, struct err *err);
/* The last one out ends the upstream stream. */
void watcher_leave(struct watcher *watcher);
/* What waited has been sent: goes on. */
void watcher_drained(struct watcher *watcher);
/* At drain: everybody's on_end with this error. */
void live_end_all(struct live *live, const struct err *err);

#endif
