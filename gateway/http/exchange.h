/* exchange: one HTTP request and its answer, whatever the version that carried it. What is above
 * http/ sees nothing else. Everything runs on the thread of the connection's loop; a callback never
 * comes from inside a call into this module. */
#ifndef GATEWAY_HTTP_EXCHANGE_H
#define GATEWAY_HTTP_EXCHANGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "gateway/net/address.h"
#include "gateway/net/shared_bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;

/* Names in lower case. Values without surrounding white space. Valid until the exchange ends. */
struct header {
    struct str name;
    struct str value;
};

/* The request. */
struct str exchange_method(const struct exchange *exchange);
struct str
exchange_path(const struct exchange *exchange); /* raw, as sent, up to '?'; begins with '/' */
struct str exchange_query(const struct exchange *exchange); /* raw, after '?'; empty when none */
struct str exchange_authority(const struct exchange *exchange);
int exchange_http_major(const struct exchange *exchange); /* 1 or 2 */
/* The first value of that name, or {NULL, 0}. */
struct str exchange_header(const struct exchange *exchange, const char *lower_case_name);
size_t exchange_headers(const struct exchange *exchange, const struct header **ret_headers);
bool exchange_is_secure(const struct exchange *exchange);   /* came over TLS */
const char *exchange_peer(const struct exchange *exchange); /* "127.0.0.1:50312" */
const struct net_address *exchange_peer_address(const struct exchange *exchange);
/* Capped; lives until the exchange has ended. */
struct arena *exchange_arena(struct exchange *exchange);
/* Announced length of the body; -1 when not known (chunked, HTTP/2 without content-length); 0:
 * none. */
int64_t exchange_content_length(const struct exchange *exchange);
void exchange_set_state(struct exchange *exchange, void *state);
void *exchange_state(const struct exchange *exchange);

/* Callbacks of the one above (the handler given to the server). */
struct exchange_handler {
    /* The header block is complete. Must answer now or later. */
    void (*on_request)(struct exchange *exchange, void *context);
    /* The client went away, broke the protocol or passed a time limit before the answer was
     * complete. The exchange must not be touched after this returns. Not called after the answer is
     * complete. */
    void (*on_gone)(struct exchange *exchange);
    /* Always the last call for an exchange, for logging; after on_gone at once (exchange_state()
     * must still be good for it). The answer has been handed to the kernel or dropped. status 0:
     * none was begun. May be NULL. The exchange and its arena are freed after it. */
    void (*on_done)(struct exchange *exchange, unsigned status, uint64_t bytes_sent);
    void *context;
};

/* The body. Nothing is read until asked. on_data comes with pieces of any size and at last with end
 * = true (perhaps with data). After each piece no more comes until exchange_body_next() — that is
 * the back-pressure down to the socket. A body that is cut off ends in on_gone. */
void exchange_body_start(struct exchange *exchange,
                         void (*on_data)(struct exchange *exchange, struct str data, bool end));
void exchange_body_next(struct exchange *exchange);
/* Most bytes that will be accepted; passing it answers 413 through on_too_large (which must
 * answer). Before exchange_body_start(). */
void exchange_body_limit(struct exchange *exchange, uint64_t limit_bytes,
                         void (*on_too_large)(struct exchange *exchange));

/* The answer, whole. Headers content-length and date are added; names must be lower case. The body
 * is copied. Answers to HEAD, 204 and 304 send no body. An unread request body is drained within
 * limits or the connection is closed. */
void exchange_respond(struct exchange *exchange, unsigned status, const struct header *headers,
                      size_t header_count, struct str body);
/* The answer, streamed: begin, write …, end. exchange_write gives the bytes still waiting to be
 * sent: the caller stops above its own limit and goes on at on_drained (below 16 KB waiting). It
 * takes a reference of its own: the caller's stays the caller's. exchange_abort cuts the answer off
 * so that the client notices (no final chunk / RST_STREAM). */
void exchange_respond_begin(struct exchange *exchange, unsigned status,
                            const struct header *headers, size_t header_count);
size_t exchange_write(struct exchange *exchange, struct shared_bytes *bytes);
/* Bytes of the answer that the peer has not let us send yet. */
size_t exchange_waiting(const struct exchange *exchange);
void exchange_on_drained(struct exchange *exchange, void (*fn)(struct exchange *exchange));
void exchange_respond_end(struct exchange *exchange);
void exchange_abort(struct exchange *exchange);

/* WebSocket (RFC 6455). True for a well-formed upgrade request: the handler may accept it instead
 * of answering. A malformed one has already been answered 400 (or 426 for another version) by
 * http/. */
bool exchange_wants_websocket(const struct exchange *exchange);
struct websocket;
struct websocket_handler {
    void (*on_text)(struct websocket *socket, struct str text);
    void (*on_drained)(struct websocket *socket); /* fewer than 16 KB are waiting; may be NULL */
    /* Last call: the peer closed (its code), broke the rules (1002, 1007, 1009), went away (1006),
     * or our close is done. */
    void (*on_closed)(struct websocket *socket, unsigned code);
};
/* The exchange ends here (on_done comes with 101, on_gone never); the socket lives until on_closed.
 * state is the caller's. Pings go out every 30 s by themselves; a peer that answers none for two
 * periods is closed. protocol: chosen Sec-WebSocket-Protocol or {NULL,0}. NULL: no memory (the
 * exchange has then been aborted). */
struct websocket *exchange_accept_websocket(struct exchange *exchange, struct str protocol,
                                            const struct websocket_handler *handler, void *state);
void *websocket_state(const struct websocket *socket);
/* A text frame, encoded once for all sockets: header and payload, from websocket_encode_text().
 * Gives bytes waiting. */
struct shared_bytes *websocket_encode_text(struct str text);
size_t websocket_send(struct websocket *socket,
                      struct shared_bytes *frame);        /* takes a reference of its own */
size_t websocket_waiting(const struct websocket *socket); /* bytes */
size_t websocket_send_text(struct websocket *socket, struct str text);
/* Starts the closing handshake after what is waiting; at most 2 s later the socket is cut. */
void websocket_close(struct websocket *socket, unsigned code, const char *reason);

#endif
