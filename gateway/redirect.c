#include "gateway/redirect.h"

#include "base/arena.h"

#include <stdio.h>
#include <string.h>

#define HTTPS_PORT 443

/* Without the port: "example.com", "[::1]". */
static struct str host_of(struct str authority)
{
    size_t length = authority.length;

    while (length && authority.data[length - 1] >= '0' && authority.data[length - 1] <= '9')
        length--;
    if (length && authority.data[length - 1] == ':')
        authority.length = length - 1;
    return authority;
}

static void refuse(struct exchange *exchange)
{
    static const char problem[] =
        "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"code\":"
        "\"INVALID_ARGUMENT\",\"detail\":\"Dialplane speaks HTTPS: ask for an https address\","
        "\"errors\":[]}";
    const struct header type = {STR_LITERAL("content-type"),
                                STR_LITERAL("application/problem+json")};

    exchange_respond(exchange, 400, &type, 1, STR_LITERAL(problem));
}

static void on_request(struct exchange *exchange, void *context)
{
    const struct redirect *redirect = context;
    struct str host = host_of(exchange_authority(exchange));
    struct str path = exchange_path(exchange), query = exchange_query(exchange);
    size_t size = host.length + path.length + query.length + sizeof("https://:65535?");
    char *location = host.length ? arena_alloc(exchange_arena(exchange), size) : NULL;
    char port[8] = "";

    if (!location) {
        refuse(exchange);
        return;
    }
    if (redirect->https_port != HTTPS_PORT)
        snprintf(port, sizeof(port), ":%d", redirect->https_port);
    int length = snprintf(location, size, "https://%.*s%s%.*s%s%.*s", (int)host.length, host.data,
                          port, (int)path.length, path.data, query.length ? "?" : "",
                          (int)query.length, query.length ? query.data : "");
    const struct header header = {STR_LITERAL("location"),
                                  {location, length > 0 ? (size_t)length : 0}};
    exchange_respond(exchange, 308, &header, 1, (struct str){NULL, 0});
}

static void on_gone(struct exchange *exchange)
{
    (void)exchange;
}

bool redirect_start(struct redirect *redirect, struct loop *loop, const char *address,
                    int https_port, const struct http_limits *limits, struct err *err)
{
    redirect->https_port = https_port;
    redirect->handler = (struct exchange_handler){
        .on_request = on_request, .on_gone = on_gone, .context = redirect};
    redirect->server = http_server_start(loop, address, false, limits, &redirect->handler, err);
    return redirect->server != NULL;
}

void redirect_stop(struct redirect *redirect)
{
    if (redirect->server)
        http_server_stop(redirect->server, TIME_US_PER_SECOND, NULL, NULL);
}

void redirect_free(struct redirect *redirect)
{
    http_server_free(redirect->server);
    redirect->server = NULL;
}
