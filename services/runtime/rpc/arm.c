/* Arming: core hands out a call only to somebody who has asked for the next one of its method. */
#include "rpc/internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Streams and built-in methods come seldom; a request that finds nothing armed waits in core, it is
 * not lost. */
#define FEW_ARMED 4

static bool arm(struct rpc_arm *request)
{
    struct rpc_server *server = request->server;
    struct rpc_incoming *incoming = &request->incoming;
    memset(incoming, 0, sizeof(*incoming));
    grpc_metadata_array_init(&incoming->metadata);
    if (!request->method->schema)
        grpc_call_details_init(&incoming->details);
    grpc_call_error error;
    rpc_tag_handing_over(&request->tag);
    if (request->method->schema) {
        error = grpc_server_request_registered_call(
            server->core, request->method->registered, &incoming->core, &incoming->deadline,
            &incoming->metadata, request->method->client_streaming ? NULL : &incoming->payload,
            server->call_queue, server->queue, &request->tag);
    } else {
        error = grpc_server_request_call(server->core, &incoming->core, &incoming->details,
                                         &incoming->metadata, server->call_queue, server->queue,
                                         &request->tag);
    }
    if (error != GRPC_CALL_OK) {
        log_event(LOG_LEVEL_ERROR, "rpc_arm_failed",
                  log_text("method", request->method->stats->path),
                  log_text("error", grpc_call_error_to_string(error)));
        return false;
    }
    server->arms_out++;
    return true;
}

static void on_call(struct rpc_tag *tag, bool success)
{
    struct rpc_arm *request = RPC_CONTAINER(tag, struct rpc_arm, tag);
    struct rpc_server *server = request->server;
    server->arms_out--;
    struct rpc_incoming incoming = request->incoming;
    if (!success) { /* the server is shutting down */
        grpc_metadata_array_destroy(&incoming.metadata);
        if (!request->method->schema)
            grpc_call_details_destroy(&incoming.details);
        rpc_server_progress(server);
        return;
    }
    if (!request->method->schema)
        incoming.deadline = incoming.details.deadline;
    if (!server->shut_down)
        arm(request);
    rpc_call_accept(server, request->method, &incoming);
}

static size_t armed_count(const struct rpc_server *server, const struct rpc_method *method)
{
    bool few =
        !method->schema || method->built_in || method->client_streaming || method->server_streaming;
    return few ? FEW_ARMED : server->options.armed_requests;
}

bool rpc_arm_all(struct rpc_server *server, struct err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < server->method_count; i++)
        total += armed_count(server, &server->methods[i]);
    server->arms = calloc(total, sizeof(struct rpc_arm));
    if (!server->arms)
        return err_set(err, ERR_INTERNAL, NULL, "not enough memory for %zu armed requests", total);
    for (size_t i = 0; i < server->method_count; i++) {
        struct rpc_method *method = &server->methods[i];
        for (size_t n = armed_count(server, method); n > 0; n--) {
            struct rpc_arm *request = &server->arms[server->arm_count++];
            request->server = server;
            request->method = method;
            rpc_tag_init(&request->tag, server, on_call);
            if (!arm(request))
                return err_set(err, ERR_INTERNAL, NULL, "cannot arm requests for %s",
                               method->stats->path);
        }
    }
    return true;
}
