#include "analytics.h"
#include "handlers/handlers.h"

#include "live/live.h"

void watch_call(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__WatchCallRequest *request = request_;
    struct analytics_service *service = rpc_call_context(call);
    live_watch(service->live, call, request->call_id, request->after_seq);
}
