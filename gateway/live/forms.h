/* forms: the kinds of watcher. */
#ifndef GATEWAY_LIVE_FORMS_H
#define GATEWAY_LIVE_FORMS_H

#include "gateway/call/request.h"
#include "gateway/live/hub.h"

/* Both join the hub of `wire` and answer the request. */
void stream_start(struct request *request, struct str wire, enum live_form form);
void socket_start(struct request *request, struct str wire);

#endif
