/* query_credentials: what a query says of who is asking. A ticket may stand there, because a page
 * of a browser can send no header with a WebSocket; nothing else may: addresses end in logs,
 * histories and referrers. Pure. */
#ifndef GATEWAY_ROUTE_QUERY_CREDENTIALS_H
#define GATEWAY_ROUTE_QUERY_CREDENTIALS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

/* *ret_rest is the query without `ticket`, *ret_ticket its value ({NULL, 0}: none), in the arena
 * where they are not parts of the query. False: err is INVALID_ARGUMENT CREDENTIALS_IN_URL, because
 * a parameter is named like a token or key, or its value has the form of one; or there are two
 * tickets. The message repeats no value. What cannot be decoded stays in the rest. */
bool query_credentials(struct str query, struct arena *arena, struct str *ret_rest,
                       struct str *ret_ticket, struct err *err);

#endif
