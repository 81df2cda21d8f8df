/* harness: one connection of the HTTP code without a socket, for unit tests and fuzz targets: bytes
 * in, bytes out, a virtual clock, seeded ids. */
#ifndef TESTS_HTTP_HARNESS_H
#define TESTS_HTTP_HARNESS_H

#include "base/buf.h"
#include "gateway/http/link.h"

struct harness {
    struct link link; /* first member */
    struct http_core core;
    struct virtual_clock clock;
    struct outq_pool pool;
    struct outq out;
    struct buf kept;  /* input that nobody took */
    struct buf sent;  /* all output so far */
    struct buf log;   /* what the handler saw: "request", "gone", "closed", a line each */
    struct buf dones; /* the statuses of on_done: "200 404 " */
    bool woken, eof;
    struct exchange *held; /* /hold: not answered until harness_release() */
    char peer[16];
};

/* What the handler does: /body reads the body and answers its length and a sum; /stream answers in
 * three pieces; /hold waits; /ws echoes over a WebSocket; /limit takes at most 10 bytes; /early
 * answers without reading; else 200 "ok". limits may be NULL. */
void harness_init(struct harness *harness, struct protocol *(*protocol_new)(struct link *link),
                  const struct http_limits *limits);
/* Feeds, runs what was woken, and sends all output. */
void harness_feed(struct harness *harness, const void *data, size_t length);
void harness_eof(struct harness *harness);
void harness_timeout(struct harness *harness);
void harness_release(struct harness *harness);
/* Cuts the connection as a lost socket would, and frees all. */
void harness_done(struct harness *harness);

#endif
