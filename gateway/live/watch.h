/* watch: server streams over HTTP: as a WebSocket, as server-sent events, or as lines of JSON, by
 * what the client asks for. */
#ifndef GATEWAY_LIVE_WATCH_H
#define GATEWAY_LIVE_WATCH_H

#include "gateway/call/request.h"

/* request->route is a server-streaming method; from here on it answers. */
void watch_start(struct request *request);

#endif
