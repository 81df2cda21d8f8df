/* A watcher over a WebSocket. What an idle one costs is this struct and the socket's own: the
 * exchange has ended with the upgrade. */
#include "gateway/live/forms.h"
#include "gateway/policy/problem.h"

#include <stdlib.h>

struct socket {
    struct watcher watcher; /* first: a watcher is its socket */
    struct worker *worker;
    struct websocket *websocket;
    struct net_address client;
    bool closing;
};

static size_t on_send(struct watcher *watcher, struct shared_bytes *frame)
{
    struct socket *socket = (struct socket *)watcher;

    return socket->closing ? 0 : websocket_send(socket->websocket, frame);
}

static size_t get_waiting(const struct watcher *watcher)
{
    return websocket_waiting(((const struct socket *)watcher)->websocket);
}

static void on_begin(struct watcher *watcher)
{
    (void)watcher; /* the upgrade has been answered already */
}

static void finish(struct socket *socket, unsigned code, const char *reason)
{
    if (socket->closing)
        return;
    socket->closing = true;
    websocket_close(socket->websocket, code, reason);
}

static unsigned close_code(const struct err *err)
{
    switch (err->code) {
    case ERR_OK:
        return 1000;
    case ERR_NOT_FOUND:
        return 4404;
    case ERR_UNAUTHENTICATED:
        return 4401;
    case ERR_PERMISSION_DENIED:
        return 4403;
    case ERR_UNAVAILABLE:
        return 1012; /* service restart: come back */
    default:
        return 1011;
    }
}

static void on_end(struct watcher *watcher, const struct err *err)
{
    struct socket *socket = (struct socket *)watcher;

    /* A stream that was good costs its address nothing when its credential ends. */
    if (err->code == ERR_UNAUTHENTICATED && !watcher->begun)
        limits_on_guess(socket->worker, &socket->client);
    if (err->code != ERR_OK && !socket->closing) {
        struct buf *text = worker_scratch(&socket->worker->text);
        const char *message = err->message[0] ? err->message : problem_title(problem_status(err));
        buf_put_cstr(text, "{\"type\":\"error\",\"message\":");
        buf_put_json_string(text, str_from(message));
        if (err->code != ERR_NOT_FOUND)
            buf_printf(text, ",\"code\":\"%s\"", err_code_name(err->code));
        buf_put_char(text, '}');
        websocket_send_text(socket->websocket, buf_str(text));
    }
    finish(socket, close_code(err),
           err->code == ERR_OK ? "the stream has ended" : "see the last message");
}

static void on_slow(struct watcher *watcher)
{
    finish((struct socket *)watcher, 1013, "too slow");
}

static const struct watcher_ops socket_ops = {LIVE_WEBSOCKET, on_send, get_waiting,
                                              on_begin,       on_end,  on_slow};

static void on_text(struct websocket *websocket, struct str text)
{
    const struct socket *socket = websocket_state(websocket);

    if (!socket->closing && str_equal_cstr(text, "ping"))
        websocket_send_text(websocket, STR_LITERAL("pong"));
}

static void on_drained(struct websocket *websocket)
{
    struct socket *socket = websocket_state(websocket);

    watcher_drained(&socket->watcher);
}

static void on_closed(struct websocket *websocket, unsigned code)
{
    struct socket *socket = websocket_state(websocket);

    (void)code;
    watcher_leave(&socket->watcher);
    free(socket);
}

static const struct websocket_handler handler = {on_text, on_drained, on_closed};

void socket_start(struct request *request, struct str wire)
{
    struct worker *worker = request->worker;
    struct socket *socket = calloc(1, sizeof(*socket));
    struct err err = {0};

    if (!socket) {
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
        return;
    }
    socket->worker = worker;
    socket->client = request->client;
    socket->watcher.ops = &socket_ops;
    struct hub_caller caller = {&request->identity, request->authorization,
                                request->client_address};
    if (!hub_join(worker->live, request->route, wire, &caller, &socket->watcher, &err)) {
        free(socket);
        request_fail(request, &err, NULL);
        return;
    }
    /* Nothing comes from the hub before this returns: the socket is in place when the first event
     * does. */
    request->answered = true;
    socket->websocket =
        exchange_accept_websocket(request->exchange, request->protocol, &handler, socket);
    if (!socket->websocket) {
        watcher_leave(&socket->watcher);
        free(socket);
        request->answered = false;
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
    }
}
