#include "gateway/net/listener.h"

#include "base/log.h"
#include "loop/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024
#define ACCEPTS_A_TURN 32
#define UNSENT_LIMIT_BYTES (64 * 1024)
/* Out of file descriptors: the queue of the kernel waits so long. */
#define PAUSE_US INT64_C(100000)

struct net_listener {
    struct loop *loop;
    int fd;
    int port;
    bool inherited;
    struct event *event;
    struct loop_timer *pause;
    void (*on_accept)(int fd, const char *peer, void *context);
    void *context;
};

static void format_peer(const struct sockaddr_storage *address, char out[NET_PEER_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(out, NET_PEER_TEXT_SIZE, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const void *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(out, NET_PEER_TEXT_SIZE, "%s:%u", host, ntohs(in->sin_port));
    }
}

static void on_pause_over(void *context)
{
    struct net_listener *listener = context;
    listener->pause = NULL;
    event_add(listener->event, NULL);
}

static void on_acceptable(evutil_socket_t fd, short what, void *context)
{
    struct net_listener *listener = context;
    int i;
    (void)what;
    for (i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address;
        socklen_t length = sizeof(address);
        char peer[NET_PEER_TEXT_SIZE];
        int accepted =
            accept4(fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                log_event(LOG_LEVEL_WARN, "accept failed", log_text("error", strerror(errno)));
                listener->pause =
                    loop_timer_start(listener->loop, PAUSE_US, on_pause_over, listener);
                if (listener->pause) {
                    event_del(listener->event);
                }
            }
            return;
        }
        format_peer(&address, peer);
        listener->on_accept(accepted, peer, listener->context);
    }
}

/* Splits "host:port", "[host]:port". */
static bool split_address(const char *address, char *ret_host, size_t host_size, char *ret_port,
                          size_t port_size)
{
    const char *colon = strrchr(address, ':');
    const char *host = address;
    size_t length;
    if (!colon || !colon[1] || strlen(colon + 1) >= port_size) {
        return false;
    }
    length = (size_t)(colon - address);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    } else if (memchr(host, ':', length)) {
        return false; /* a bare IPv6 address */
    }
    if (length >= host_size || colon[1 + strspn(colon + 1, "0123456789")]) {
        return false;
    }
    memcpy(ret_host, host, length);
    ret_host[length] = '\0';
    strcpy(ret_port, colon + 1);
    return true;
}

/* "fd:N": a socket that whoever started us listens on. Ours is a copy: closing it leaves theirs. */
static int take_inherited(const char *number, struct err *err)
{
    int one = 1, unsent = UNSENT_LIMIT_BYTES, listening = 0;
    socklen_t size = sizeof(listening);
    int64_t theirs;
    int fd = -1;

    if (str_parse_int64(str_from(number), &theirs) && theirs >= 0 && theirs < 65536) {
        fd = fcntl((int)theirs, F_DUPFD_CLOEXEC, 3);
    }
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) || !listening ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "descriptor %s is no listening socket", number);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    /* As in open_one(). */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    return fd;
}

static int open_one(const struct addrinfo *info, bool reuse_port)
{
    int one = 1, unsent = UNSENT_LIMIT_BYTES;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    /* Accepted sockets inherit both. The second keeps stalled readers from pinning megabytes in the
     * kernel. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    if ((reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one))) ||
        bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, BACKLOG)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &length)) {
        return 0;
    }
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static int open_address(const char *address, bool reuse_port, struct err *err)
{
    char host[256], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list, *info;
    int fd = -1, failure, pass, error = 0;

    if (strncmp(address, "fd:", 3) == 0) {
        return take_inherited(address + 3, err);
    }
    if (!split_address(address, host, sizeof(host), port, sizeof(port))) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "\"%s\" is not HOST:PORT", address);
        return -1;
    }
    failure = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
    if (failure) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "cannot resolve \"%s\": %s", address,
                gai_strerror(failure));
        return -1;
    }
    /* A name with several addresses ("localhost"): IPv4 first, which every client tries. */
    for (pass = 0; pass < 2 && fd < 0; pass++) {
        for (info = list; info && fd < 0; info = info->ai_next) {
            if ((info->ai_family == AF_INET) == (pass == 0)) {
                fd = open_one(info, reuse_port);
                error = errno;
            }
        }
    }
    freeaddrinfo(list);
    if (fd < 0) {
        err_set(err, ERR_UNAVAILABLE, NULL, "cannot listen on \"%s\": %s", address,
                strerror(error));
    }
    return fd;
}

struct net_listener *net_listener_open(struct loop *loop, const char *address, bool reuse_port,
                                       void (*on_accept)(int fd, const char *peer, void *context),
                                       void *context, struct err *err)
{
    struct net_listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    listener->fd = open_address(address, reuse_port, err);
    if (listener->fd < 0) {
        free(listener);
        return NULL;
    }
    listener->loop = loop;
    listener->on_accept = on_accept;
    listener->context = context;
    listener->inherited = strncmp(address, "fd:", 3) == 0;
    listener->port = bound_port(listener->fd);
    listener->event = event_new(loop_event_base(loop), listener->fd, EV_READ | EV_PERSIST,
                                on_acceptable, listener);
    if (!listener->event || event_add(listener->event, NULL)) {
        err_set(err, ERR_INTERNAL, NULL, "the event loop took no listener");
        net_listener_close(listener);
        return NULL;
    }
    return listener;
}

void net_listener_accept_all(struct net_listener *listener)
{
    int i;
    for (i = 0; i < BACKLOG / ACCEPTS_A_TURN && !listener->inherited && !listener->pause; i++) {
        on_acceptable(listener->fd, EV_READ, listener);
    }
}

int net_listener_port(const struct net_listener *listener)
{
    return listener->port;
}

void net_listener_close(struct net_listener *listener)
{
    if (!listener) {
        return;
    }
    loop_timer_cancel(listener->pause);
    if (listener->event) {
        event_free(listener->event);
    }
    close(listener->fd);
    free(listener);
}
