/* exchange_internal: the exchange as the protocols under it see it. */
#ifndef GATEWAY_HTTP_EXCHANGE_INTERNAL_H
#define GATEWAY_HTTP_EXCHANGE_INTERNAL_H

#include "gateway/http/exchange.h"
#include "gateway/http/head.h"
#include "gateway/http/link.h"

/* What the protocol that carries it does for it. */
struct exchange_ops {
    void (*body_wanted)(struct exchange *exchange); /* started, or next: deliver soon */
    void (*respond)(struct exchange *exchange, unsigned status, const struct header *headers,
                    size_t header_count, struct str body);
    void (*begin)(struct exchange *exchange, unsigned status, const struct header *headers,
                  size_t header_count);
    size_t (*write)(struct exchange *exchange, struct shared_bytes *bytes);
    void (*end)(struct exchange *exchange);
    void (*abort)(struct exchange *exchange);
    struct websocket *(*accept_websocket)(struct exchange *exchange, struct str protocol,
                                          const struct websocket_handler *handler, void *state);
};

struct h2_socket;

struct exchange {
    struct exchange *next; /* of the free, or of the finishing */
    struct link *link;
    struct protocol *protocol;
    const struct exchange_ops *ops;
    void *state;
    struct arena *arena; /* made when first asked for */

    /* The request. */
    struct str method, path, query, authority;
    int64_t content_length;
    uint8_t http_major, http_minor;
    bool announced; /* on_request has been called: on_done must follow */
    bool is_head, wants_websocket, expects_continue;

    /* Its body. body_ready: a piece may be delivered. */
    void (*on_data)(struct exchange *exchange, struct str data, bool end);
    void (*on_too_large)(struct exchange *exchange);
    uint64_t body_limit, body_received;
    bool body_asked, body_ready, body_ended, body_refused;

    /* The answer. complete: nothing more will come from above. */
    void (*on_drained)(struct exchange *exchange);
    unsigned status;
    bool begun, complete, aborted, bodyless, drain_wanted;
    uint64_t bytes_sent;
    uint64_t sent_mark; /* of link->out, when complete */

    /* HTTP/2 only. */
    struct exchange *next_stream, *previous_stream;
    struct h2_socket *socket; /* NULL: no WebSocket */
    int32_t stream_id;
    int64_t body_due_us;    /* when enough of its body must have come; 0: nobody waits for it */
    uint64_t body_mark;     /* of body_received, when that was set */
    unsigned reject_status; /* found while its head was read; 0: none */
    const char *reject_detail;
    bool in_end;     /* the peer has sent all of the body */
    bool data_end;   /* nothing will be added to `out` */
    bool deferred;   /* nghttp2 waits for more of `out` */
    struct outq out; /* data not yet framed */
    struct buf in;   /* received, not yet asked for */

    struct head head;
};

struct exchange *exchange_new(struct link *link, struct protocol *protocol,
                              const struct exchange_ops *ops); /* NULL: no memory */
void exchange_free(struct exchange *exchange);
void exchange_pool_free(struct http_core *core);

/* How an answer is framed is decided by the protocol: these headers from above are left out. */
bool exchange_is_framing(struct str lower_case_name);

/* The header block is complete and checked. */
void exchange_announce(struct exchange *exchange);
/* A piece of the body, when body_ready; enforces the limit. */
void exchange_deliver(struct exchange *exchange, struct str data, bool end);
/* True when something can be delivered without further input: a refused length, or the end of an
 * empty body. */
bool exchange_body_is_due(const struct exchange *exchange);
/* The peer is away, or broke the rules: on_gone if the answer was not complete, then on_done, then
 * freed. */
void exchange_gone(struct exchange *exchange);
/* The answer is complete and in link->out: on_done follows when it has been sent. */
void exchange_finish(struct exchange *exchange);
/* on_done and freed for those whose answer has been sent. */
void exchange_reap(struct link *link, bool all);

#endif
