/* grpc.health.v1: the state of the process, under "" and under the name of each service; Watch
 * streams every change. */
#include "rpc/internal.h"

#include <grpc/health/v1/health.pb-c.h>
#include <string.h>

typedef Grpc__Health__V1__HealthCheckRequest health_request;
typedef Grpc__Health__V1__HealthCheckResponse health_response;

static bool is_known(const struct rpc_server *server, const char *name)
{
    if (name[0] == '\0')
        return true;
    for (size_t i = 0; i < server->service_count; i++) {
        if (strcmp(server->service_names[i], name) == 0)
            return true;
    }
    return false;
}

static Grpc__Health__V1__HealthCheckResponse__ServingStatus
status_now(const struct rpc_server *server)
{
    return server->serving ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                           : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
}

static void check_health(struct rpc_call *call, const void *message)
{
    const health_request *request = message;
    if (!is_known(call->server, request->service)) {
        rpc_fail_code(call, ERR_NOT_FOUND, NULL, "no service of that name is served here");
        return;
    }
    health_response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = status_now(call->server);
    rpc_reply(call, &response.base);
}

/* ---- Watch ---- */

struct watch {
    bool known;
    int sent; /* the status that the watcher has, -1: none yet */
};

/* Sends the present status unless the watcher has it; when a message is under way, on_writable
 * comes back here, and what was in between is skipped: a watcher needs the latest state, not each.
 */
static void bring_up_to_date(void *context)
{
    struct rpc_call *call = context;
    struct watch *watch = call->state;
    health_response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status =
        watch->known ? status_now(call->server)
                     : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
    if (watch->sent == (int)response.status)
        return;
    uint8_t bytes[16];
    size_t size = protobuf_c_message_pack(&response.base, bytes);
    if (rpc_stream_send(call, (struct str){(const char *)bytes, size}))
        watch->sent = (int)response.status;
}

static void on_watcher_gone(void *context)
{
    struct rpc_call *call = context;
    struct rpc_call **link = &call->server->health_watchers;
    while (*link && *link != call)
        link = &(*link)->next_watcher;
    if (*link)
        *link = call->next_watcher;
    struct rpc_server *server = call->server;
    rpc_stream_end(call);
    if (!server->health_watchers)
        rpc_server_left(server);
}

static void watch_health(struct rpc_call *call, const void *message)
{
    const health_request *request = message;
    struct watch *watch = ARENA_NEW(call->arena, struct watch);
    if (!watch) {
        rpc_fail_code(call, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return;
    }
    watch->known = is_known(call->server, request->service);
    watch->sent = -1;
    rpc_call_set_state(call, watch);
    call->next_watcher = call->server->health_watchers;
    call->server->health_watchers = call;
    rpc_call_on_cancel(call, on_watcher_gone, call);
    rpc_stream_on_writable(call, bring_up_to_date, call);
    bring_up_to_date(call);
}

void rpc_health_changed(struct rpc_server *server)
{
    for (struct rpc_call *call = server->health_watchers; call; call = call->next_watcher)
        bring_up_to_date(call);
}

const struct rpc_handler rpc_health_handlers[] = {
    {.path = "/grpc.health.v1.Health/Check",
     .request = &grpc__health__v1__health_check_request__descriptor,
     .response = &grpc__health__v1__health_check_response__descriptor,
     .handle = check_health},
    {.path = RPC_HEALTH_WATCH,
     .request = &grpc__health__v1__health_check_request__descriptor,
     .response = &grpc__health__v1__health_check_response__descriptor,
     .handle = watch_health},
};
const size_t rpc_health_handler_count =
    sizeof(rpc_health_handlers) / sizeof(rpc_health_handlers[0]);
