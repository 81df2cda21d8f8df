/* credentials: what a request shows to say who it is from. The gateway hands it on as it came: the
 * services verify it. */
#ifndef GATEWAY_POLICY_CREDENTIALS_H
#define GATEWAY_POLICY_CREDENTIALS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

/* Longer is refused: a gRPC server takes 8 KB of metadata in all. */
#define CREDENTIALS_MAX 4200

/* From the header Authorization, or from Sec-WebSocket-Protocol: "bearer, <token>" where a browser
 * can send no other header. Both may be empty. *ret_authorization becomes NULL or "Bearer …" in the
 * arena, *ret_protocol {NULL, 0} or the subprotocol to be chosen in the answer. False: err is
 * UNAUTHENTICATED; its message repeats nothing of what was sent. */
bool credentials_read(struct str authorization, struct str websocket_protocols, struct arena *arena,
                      const char **ret_authorization, struct str *ret_protocol, struct err *err);
/* Whether a parameter of an address may be handed on as a ticket: 1 to 64 of base64url. */
bool credentials_is_ticket(struct str text);

#endif
