#include "dialplane.h"

#define DIALPLANE_DEFINE(name, service, rpc, request_type, response_type, response_name)           \
    bool dialplane_##name(struct dialplane_client *client,                                         \
                          const Dialplane__V1__##request_type *request, unsigned deadline_ms,      \
                          Dialplane__V1__##response_type **ret_response,                           \
                          struct dialplane_error *error)                                           \
    {                                                                                              \
        ProtobufCMessage *response;                                                                \
        if (!dialplane_call(client, "/dialplane.v1." #service "/" #rpc, &request->base,            \
                            &dialplane__v1__##response_name##__descriptor, deadline_ms, &response, \
                            error))                                                                \
            return false;                                                                          \
        *ret_response = (Dialplane__V1__##response_type *)response;                                \
        return true;                                                                               \
    }
DIALPLANE_METHODS(DIALPLANE_DEFINE)

struct dialplane_stream *dialplane_watch_call(struct dialplane_client *client, const char *call_id,
                                              uint64_t after_seq)
{
    Dialplane__V1__WatchCallRequest request = DIALPLANE__V1__WATCH_CALL_REQUEST__INIT;
    request.call_id = (char *)call_id;
    request.after_seq = after_seq;
    return dialplane_stream_open(client, "/dialplane.v1.AnalyticsService/WatchCall", &request.base,
                                 0);
}

Dialplane__V1__WatchCallResponse *dialplane_watch_next(struct dialplane_stream *stream,
                                                       struct dialplane_error *error)
{
    return (Dialplane__V1__WatchCallResponse *)dialplane_stream_next(
        stream, &dialplane__v1__watch_call_response__descriptor, error);
}
