#include "gateway/net/socket.h"

#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SCRATCH_BYTES (64u * 1024)
#define PIECES_MAX 64
/* A fast reader may take so much in one turn; then others get theirs. */
#define WRITE_ROUNDS_MAX 4

static void at_turn_end(void *context);

bool net_init(struct net *net, struct loop *loop)
{
    memset(net, 0, sizeof(*net));
    net->loop = loop;
    outq_pool_init(&net->pool);
    net->scratch = malloc(SCRATCH_BYTES);
    return net->scratch != NULL;
}

void net_done(struct net *net)
{
    outq_pool_done(&net->pool);
    free(net->scratch);
    net->scratch = NULL;
}

static void ask_for_turn_end(struct net *net)
{
    if (!net->deferred) {
        net->deferred = true;
        loop_defer(net->loop, at_turn_end, net);
    }
}

static void set_reading(struct net_socket *socket, bool on)
{
    if (socket->reading != on) {
        socket->reading = on;
        if (on) {
            event_add(&socket->read_event, NULL);
        } else {
            event_del(&socket->read_event);
        }
    }
}

static void set_writing(struct net_socket *socket, bool on)
{
    if (socket->writing != on) {
        socket->writing = on;
        if (on) {
            event_add(&socket->write_event, NULL);
        } else {
            event_del(&socket->write_event);
        }
    }
}

static void update_reading(struct net_socket *socket)
{
    set_reading(socket, !socket->closed && !socket->eof &&
                            (socket->discarding || (socket->input_wanted && !socket->kept)));
}

static bool keep(struct net_socket *socket, const char *data, size_t length)
{
    socket->kept = malloc(length);
    if (!socket->kept) {
        return false;
    }
    memcpy(socket->kept, data, length);
    socket->kept_length = length;
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct net_socket *socket = context;
    struct net *net = socket->net;
    size_t taken;
    ssize_t got;
    (void)what;

    do {
        got = recv(fd, net->scratch, SCRATCH_BYTES, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            socket->events->on_error(socket);
        }
        return;
    }
    if (got == 0) {
        socket->eof = true;
        update_reading(socket);
        socket->events->on_eof(socket);
        return;
    }
    net->bytes_in += (uint64_t)got;
    if (socket->discarding) {
        return;
    }
    taken = socket->events->on_input(socket, net->scratch, (size_t)got);
    if (taken < (size_t)got && !socket->closed && !socket->discarding) {
        if (!keep(socket, net->scratch + taken, (size_t)got - taken)) {
            socket->events->on_error(socket);
            return;
        }
        update_reading(socket);
    }
}

/* Writes what there is. False: the socket is broken. */
static bool write_some(struct net_socket *socket)
{
    int round;
    size_t total = 0;
    for (round = 0; round < WRITE_ROUNDS_MAX && socket->out.waiting && !socket->blocked; round++) {
        struct iovec pieces[PIECES_MAX];
        struct msghdr message = {.msg_iov = pieces};
        size_t offered = 0;
        ssize_t sent;
        int count = outq_peek(&socket->out, pieces, PIECES_MAX), i;
        for (i = 0; i < count; i++) {
            offered += pieces[i].iov_len;
        }
        message.msg_iovlen = (size_t)count;
        do {
            sent = sendmsg(socket->fd, &message, MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                socket->blocked = true;
                break;
            }
            return false;
        }
        outq_consume(&socket->out, (size_t)sent);
        total += (size_t)sent;
        if ((size_t)sent < offered) {
            socket->blocked = true;
            break;
        }
    }
    socket->net->bytes_out += total;
    set_writing(socket, socket->out.waiting > 0);
    if (total > 0) {
        socket->events->on_sent(socket, total);
    }
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct net_socket *socket = context;
    (void)fd;
    (void)what;
    socket->blocked = false;
    /* At the end of the turn, together with what this turn still adds. */
    net_socket_wake(socket);
}

bool net_socket_init(struct net_socket *socket, struct net *net, int fd,
                     const struct net_socket_events *events)
{
    struct event_base *base = loop_event_base(net->loop);
    memset(socket, 0, sizeof(*socket));
    socket->net = net;
    socket->events = events;
    socket->fd = fd;
    outq_init(&socket->out, &net->pool);
    if (event_assign(&socket->read_event, base, fd, EV_READ | EV_PERSIST, on_readable, socket) ||
        event_assign(&socket->write_event, base, fd, EV_WRITE | EV_PERSIST, on_writable, socket) ||
        event_add(&socket->read_event, NULL)) {
        close(fd);
        return false;
    }
    socket->reading = true;
    socket->input_wanted = true;
    return true;
}

void net_socket_wake(struct net_socket *socket)
{
    struct net *net = socket->net;
    if (socket->woken || socket->closed) {
        return;
    }
    socket->woken = true;
    socket->next_woken = NULL;
    if (net->woken_last) {
        net->woken_last->next_woken = socket;
    } else {
        net->woken_first = socket;
    }
    net->woken_last = socket;
    ask_for_turn_end(net);
}

void net_socket_want_input(struct net_socket *socket, bool wanted)
{
    socket->input_wanted = wanted;
    update_reading(socket);
}

void net_socket_offer_kept(struct net_socket *socket)
{
    char *data = socket->kept;
    size_t length = socket->kept_length, taken;
    if (!data || socket->closed) {
        return;
    }
    socket->kept = NULL;
    socket->kept_length = 0;
    taken = socket->events->on_input(socket, data, length);
    if (taken < length && !socket->closed && !socket->discarding) {
        memmove(data, data + taken, length - taken);
        socket->kept = data;
        socket->kept_length = length - taken;
    } else {
        free(data);
    }
    update_reading(socket);
}

int net_socket_check_peer(const struct net_socket *socket)
{
    struct pollfd entry = {.fd = socket->fd, .events = POLLRDHUP};
    if (poll(&entry, 1, 0) <= 0) {
        return 0;
    }
    return entry.revents & (POLLERR | POLLHUP) ? -1 : 1;
}

void net_socket_shut_output(struct net_socket *socket)
{
    if (socket->closed || socket->discarding) {
        return;
    }
    socket->discarding = true;
    free(socket->kept);
    socket->kept = NULL;
    shutdown(socket->fd, SHUT_WR);
    update_reading(socket);
}

void net_socket_close(struct net_socket *socket, bool reset)
{
    if (socket->closed) {
        return;
    }
    socket->closed = true;
    set_reading(socket, false);
    set_writing(socket, false);
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(socket->fd);
    socket->fd = -1;
    outq_done(&socket->out);
    free(socket->kept);
    socket->kept = NULL;
    socket->next_closed = socket->net->closed;
    socket->net->closed = socket;
    ask_for_turn_end(socket->net);
}

static void free_closed(struct net *net)
{
    struct net_socket *socket = net->closed;
    net->closed = NULL;
    while (socket) {
        struct net_socket *next = socket->next_closed;
        if (socket->woken) { /* still in the list of the woken: after the next turn */
            socket->next_closed = net->closed;
            net->closed = socket;
        } else {
            socket->events->on_free(socket);
        }
        socket = next;
    }
}

static void at_turn_end(void *context)
{
    struct net *net = context;
    struct net_socket *socket = net->woken_first;
    net->deferred = false;
    /* Only those woken so far: who is woken again from here gets the next turn. */
    net->woken_first = NULL;
    net->woken_last = NULL;
    while (socket) {
        struct net_socket *next = socket->next_woken;
        socket->woken = false;
        if (!socket->closed) {
            socket->events->on_turn(socket);
        }
        if (!socket->closed && (socket->out.failed || !write_some(socket))) {
            socket->events->on_error(socket);
        }
        socket = next;
    }
    free_closed(net);
}
