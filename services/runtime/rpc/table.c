/* The table of what is served, checked against the schema: a method without a handler, or with the
 * wrong kind of one, stops the start, not the first caller. */
#include "rpc/internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const built_in_services[] = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
};
#define BUILT_IN_COUNT (sizeof(built_in_services) / sizeof(built_in_services[0]))

static const struct rpc_handler *find_handler(const struct rpc_handler *handlers, size_t count,
                                              const char *path, unsigned *ret_found)
{
    const struct rpc_handler *handler = NULL;
    *ret_found = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(handlers[i].path, path) == 0) {
            handler = &handlers[i];
            ++*ret_found;
        }
    }
    return handler;
}

/* The callbacks that are set must be those of the method's kind. */
static bool check_kind(const struct schema_method *method, const struct rpc_handler *handler,
                       struct err *err)
{
    bool reads = handler->on_message && handler->on_end && handler->on_gone;
    bool reads_any = handler->on_message || handler->on_end || handler->on_gone;
    if (method->client_streaming && (!reads || handler->handle))
        return err_set(err, ERR_INTERNAL, NULL,
                       "%s streams from the client: its handler needs on_message, on_end and "
                       "on_gone, and no handle",
                       method->path);
    if (!method->client_streaming && (!handler->handle || reads_any))
        return err_set(err, ERR_INTERNAL, NULL,
                       "%s takes one message: its handler needs handle, and nothing else",
                       method->path);
    return true;
}

static bool check_types(const struct schema_method *method, const struct rpc_handler *handler,
                        struct err *err)
{
    if (strcmp(handler->request->name, method->input->full_name) != 0 ||
        strcmp(handler->response->name, method->output->full_name) != 0)
        return err_set(err, ERR_INTERNAL, NULL, "%s is %s -> %s, but its handler %s -> %s",
                       method->path, method->input->full_name, method->output->full_name,
                       handler->request->name, handler->response->name);
    if (!handler->partial_field)
        return true;
    const struct schema_field *field =
        schema_find_field(method->input, str_from(handler->partial_field));
    if (!field || !field->message || field->repeated)
        return err_set(err, ERR_INTERNAL, NULL,
                       "%s: partial_field \"%s\" is no message field of %s", method->path,
                       handler->partial_field, method->input->full_name);
    return true;
}

static bool add_method(struct rpc_server *server, const struct schema_method *schema,
                       const struct rpc_handler *handlers, size_t handler_count, bool built_in,
                       struct err *err)
{
    unsigned found;
    const struct rpc_handler *handler = find_handler(handlers, handler_count, schema->path, &found);
    if (found != 1)
        return err_set(err, ERR_INTERNAL, NULL, "%s has %s handler", schema->path,
                       found ? "more than one" : "no");
    /* Reflection's two versions share their messages. */
    if (!built_in && !schema->roles)
        return err_set(err, ERR_INTERNAL, NULL, "%s does not say who may call it: dialplane.access",
                       schema->path);
    if (!check_kind(schema, handler, err) || (!built_in && !check_types(schema, handler, err)))
        return false;
    struct rpc_method *method = &server->methods[server->method_count];
    *method = (struct rpc_method){
        .schema = schema,
        .handler = handler,
        .client_streaming = schema->client_streaming,
        .server_streaming = schema->server_streaming,
        .built_in = built_in,
        .stats = &server->stats[server->method_count],
    };
    method->stats->path = schema->path;
    server->method_count++;
    return true;
}

static bool add_service(struct rpc_server *server, const char *name,
                        const struct rpc_handler *handlers, size_t handler_count, bool built_in,
                        struct err *err)
{
    const struct schema_service *service = schema_find_service(server->schema, str_from(name));
    if (!service)
        return err_set(err, ERR_INTERNAL, NULL, "the schema has no service %s", name);
    for (size_t i = 0; i < service->method_count; i++) {
        if (!add_method(server, &service->methods[i], handlers, handler_count, built_in, err))
            return false;
    }
    server->service_names[server->service_count++] = service->full_name;
    return true;
}

static bool add_built_in(struct rpc_server *server, struct err *err)
{
    return add_service(server, built_in_services[0], rpc_health_handlers, rpc_health_handler_count,
                       true, err) &&
           add_service(server, built_in_services[1], rpc_reflection_handlers,
                       rpc_reflection_handler_count, true, err) &&
           add_service(server, built_in_services[2], rpc_reflection_handlers,
                       rpc_reflection_handler_count, true, err);
}

static bool allocate(struct rpc_server *server, size_t service_count, struct err *err)
{
    size_t methods = 1; /* unknown ones */
    for (size_t i = 0; i < server->schema->service_count; i++)
        methods += server->schema->services[i].method_count;
    server->methods = ARENA_ARRAY(server->arena, struct rpc_method, methods);
    server->stats = ARENA_ARRAY(server->arena, struct rpc_method_stats, methods);
    server->service_names =
        ARENA_ARRAY(server->arena, const char *, service_count + BUILT_IN_COUNT);
    if (!server->methods || !server->stats || !server->service_names)
        return err_set(err, ERR_INTERNAL, NULL, "not enough memory for the table of methods");
    return true;
}

bool rpc_table_make(struct rpc_server *server, const char *const *services,
                    const struct rpc_handler *handlers, size_t handler_count, struct err *err)
{
    size_t service_count = 0;
    while (services[service_count])
        service_count++;
    if (!allocate(server, service_count, err))
        return false;
    for (size_t i = 0; i < service_count; i++) {
        if (!add_service(server, services[i], handlers, handler_count, false, err))
            return false;
    }
    /* Each method took exactly one, so what is left over belongs to no method. */
    if (server->method_count != handler_count) {
        for (size_t i = 0; i < handler_count; i++) {
            bool used = false;
            for (size_t m = 0; m < server->method_count; m++)
                used |= server->methods[m].handler == &handlers[i];
            if (!used)
                return err_set(err, ERR_INTERNAL, NULL, "%s is no method of the services served",
                               handlers[i].path);
        }
    }
    if (!add_built_in(server, err))
        return false;
    struct rpc_method *unknown = &server->methods[server->method_count];
    unknown->stats = &server->stats[server->method_count++];
    unknown->stats->path = "(unknown)";
    return true;
}
