/* websocket: RFC 6455 on one connection after the switch: frames in and out, pings, the closing
 * handshake; and the checks and the key of the opening one. */
#ifndef GATEWAY_HTTP_WEBSOCKET_H
#define GATEWAY_HTTP_WEBSOCKET_H

#include "gateway/http/head.h"
#include "gateway/http/link.h"

/* NULL: a good opening request. Else what is wrong, and the status for it (400, 426). */
const char *websocket_check_request(const struct head *head, struct str method, bool has_body,
                                    unsigned *ret_status);

#define WEBSOCKET_ACCEPT_SIZE 29
/* The same of an extended CONNECT (RFC 8441 §5), which has no key. */
const char *websocket_check_connect(const struct head *head, bool has_ended, unsigned *ret_status);
/* Sec-WebSocket-Accept for a checked key; NUL-terminated. */
void websocket_accept_key(struct str key, char out[WEBSOCKET_ACCEPT_SIZE]);

/* NULL: no memory. Freed with its protocol. */
struct websocket *websocket_new(struct link *link, const struct websocket_handler *handler,
                                void *state);
struct protocol *websocket_protocol(struct websocket *websocket);

#endif
