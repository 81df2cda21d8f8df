/* GET /metrics and /healthz on a port of their own, so that monitoring needs no gRPC and no
 * gateway. libevent's evhttp is good enough here: nobody but a scraper on the same machine or
 * network comes, and limits on time, headers and bodies are set. */
#include "app/app.h"

#include "app/exposure.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define METRICS_LIMIT ((size_t)8 << 20)

struct app_metrics_server {
    struct evhttp *http;
    int port;
    void (*collect)(struct buf *out, void *context);
    void *context;
};

static void answer(struct evhttp_request *request, int status, const char *reason, const char *type,
                   struct str body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", type);
    struct evbuffer *out = evbuffer_new();
    if (out)
        evbuffer_add(out, body.data, body.length);
    evhttp_send_reply(request, status, reason, out);
    if (out)
        evbuffer_free(out);
}

static void on_metrics(struct evhttp_request *request, void *context)
{
    struct app_metrics_server *server = context;
    struct buf text;
    buf_init(&text, METRICS_LIMIT);
    metrics_process(&text);
    server->collect(&text, server->context);
    if (text.failed)
        answer(request, 500, "Internal Server Error", "text/plain; charset=utf-8",
               STR_LITERAL("the figures do not fit their limit\n"));
    else
        answer(request, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", buf_str(&text));
    buf_done(&text);
}

static void on_healthz(struct evhttp_request *request, void *context)
{
    (void)context;
    answer(request, 200, "OK", "text/plain; charset=utf-8", STR_LITERAL("ok\n"));
}

static void on_other(struct evhttp_request *request, void *context)
{
    (void)context;
    answer(request, 404, "Not Found", "text/plain; charset=utf-8",
           STR_LITERAL("there is /metrics and /healthz\n"));
}

static bool split(const char *listen, char *host, size_t host_size, uint16_t *ret_port)
{
    const char *colon = strrchr(listen, ':');
    int64_t port;
    if (!colon || !str_parse_int64(str_from(colon + 1), &port) || port < 0 || port > 65535)
        return false;
    size_t length = (size_t)(colon - listen);
    if (length >= 2 && listen[0] == '[' && listen[length - 1] == ']') {
        listen++;
        length -= 2;
    }
    if (length == 0 || length >= host_size)
        return false;
    memcpy(host, listen, length);
    host[length] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

static int port_of(evutil_socket_t fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

int app_metrics_port(const struct app_metrics_server *server)
{
    return server ? server->port : 0;
}

struct app_metrics_server *app_metrics_start(struct loop *loop, const char *listen,
                                             bool allow_insecure,
                                             void (*collect)(struct buf *out, void *context),
                                             void *context, struct err *err)
{
    char host[128];
    uint16_t port;
    if (!split(listen, host, sizeof(host), &port)) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "cannot serve metrics on %s: expected HOST:PORT",
                listen);
        return NULL;
    }
    if (!exposure_is_local(listen) && !allow_insecure) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "will not serve metrics on %s: they ask nobody who they are, so only loopback is "
                "safe (--allow-insecure overrides)",
                listen);
        return NULL;
    }
    struct app_metrics_server *server = calloc(1, sizeof(*server));
    struct evhttp *http = evhttp_new(loop_event_base(loop));
    if (!server || !http) {
        err_set(err, ERR_INTERNAL, NULL, "not enough memory for the metrics server");
        goto fail;
    }
    errno = 0;
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, host, port);
    if (!bound) {
        err_set(err, ERR_FAILED_PRECONDITION, NULL, "cannot serve metrics on %s: %s", listen,
                errno ? strerror(errno) : "the address cannot be bound");
        goto fail;
    }
    server->http = http;
    server->port = port_of(evhttp_bound_socket_get_fd(bound));
    server->collect = collect;
    server->context = context;
    evhttp_set_timeout(http, 10);
    evhttp_set_max_headers_size(http, 16 << 10);
    evhttp_set_max_body_size(http, 1 << 10);
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_cb(http, "/metrics", on_metrics, server);
    evhttp_set_cb(http, "/healthz", on_healthz, server);
    evhttp_set_gencb(http, on_other, server);
    return server;

fail:
    if (http)
        evhttp_free(http);
    free(server);
    return NULL;
}

void app_metrics_stop(struct app_metrics_server *server)
{
    if (!server)
        return;
    evhttp_free(server->http);
    free(server);
}
