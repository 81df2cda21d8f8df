#include "gateway/net/socket.h"

#include "gateway/net/tls.h"
#include "loop/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#define RECORDS_MAX 16
/* A step of a handshake may cost a millisecond (a signature with RSA): then requests get theirs. */
#define HANDSHAKE_STEPS_A_TURN 8
/* Of those that have asked for nothing yet: ten thousand may have input at once, and each costs
 * some ten microseconds. */
#define PATIENT_INPUTS_A_TURN 32

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
            if (socket->tls && tls_has_more(socket->tls)) {
                event_active(&socket->read_event, EV_READ, 1);
            }
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

/* OpenSSL has something to say before it can read on. */
static bool reading_wants_write(const struct net_socket *socket)
{
    return socket->tls && socket->reading && tls_wants_write(socket->tls);
}

static void update_writing(struct net_socket *socket)
{
    set_writing(socket, socket->out.waiting > 0 || reading_wants_write(socket));
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

/* As recv(). What the peer still sends when nobody looks at it any more needs no deciphering. */
static ssize_t receive(struct net_socket *socket)
{
    struct net *net = socket->net;
    ssize_t got;
    if (socket->tls && !socket->discarding) {
        got = tls_receive(socket->tls, net->scratch, SCRATCH_BYTES);
        if (got < 0 && errno == EAGAIN && tls_wants_write(socket->tls)) {
            update_writing(socket);
        }
        return got;
    }
    do {
        got = recv(socket->fd, net->scratch, SCRATCH_BYTES, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Whatever the last receive() gave. */
static void note_handshake(struct net_socket *socket)
{
    switch (tls_state(socket->tls)) {
    case TLS_PLAINTEXT:
        tls_session_free(socket->tls);
        socket->tls = NULL;
        break;
    case TLS_SECURED:
        socket->secured = true;
        break;
    default:
        return;
    }
    if (socket->events->on_secured) {
        socket->events->on_secured(socket);
    }
}

static bool may_shake_hands(struct net *net)
{
    ask_for_turn_end(net);
    return ++net->handshake_steps <= HANDSHAKE_STEPS_A_TURN;
}

static bool must_wait(struct net_socket *socket)
{
    if (net_socket_is_shaking_hands(socket)) {
        return !may_shake_hands(socket->net);
    }
    if ((!socket->patient && !socket->discarding) || (socket->tls && tls_has_more(socket->tls))) {
        return false; /* or it has no more of it in the kernel, which would remind us */
    }
    ask_for_turn_end(socket->net);
    return ++socket->net->patient_inputs > PATIENT_INPUTS_A_TURN;
}

static void take_input(struct net_socket *socket, size_t got);

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct net_socket *socket = context;
    ssize_t got;
    int error;
    (void)fd;
    (void)what;

    if (must_wait(socket)) {
        return; /* the socket stays readable */
    }
    got = receive(socket);
    error = errno;
    if (net_socket_is_shaking_hands(socket)) {
        note_handshake(socket);
        if (socket->closed) {
            return;
        }
    }
    if (got < 0) {
        if (error != EAGAIN && error != EWOULDBLOCK) {
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
    take_input(socket, (size_t)got);
    if (socket->tls && socket->reading && tls_has_more(socket->tls)) {
        event_active(&socket->read_event, EV_READ, 1);
    }
}

static void take_input(struct net_socket *socket, size_t got)
{
    struct net *net = socket->net;
    size_t taken;

    net->bytes_in += (uint64_t)got;
    if (socket->discarding) {
        return;
    }
    taken = socket->events->on_input(socket, net->scratch, got);
    if (taken < got && !socket->closed && !socket->discarding) {
        if (!keep(socket, net->scratch + taken, got - taken)) {
            socket->events->on_error(socket);
            return;
        }
        update_reading(socket);
    }
}

/* One system call's worth. *ret_is_full: the kernel takes no more now. Else -1: broken. */
static ssize_t send_some(struct net_socket *socket, bool *ret_is_full)
{
    struct iovec pieces[PIECES_MAX];
    struct msghdr message = {.msg_iov = pieces};
    size_t offered = 0;
    ssize_t sent;
    if (socket->tls) {
        sent = tls_send_queue(socket->tls, &socket->out, socket->net->scratch);
        *ret_is_full = sent < 0 && errno == EAGAIN;
        return *ret_is_full ? 0 : sent;
    }
    message.msg_iovlen = (size_t)outq_peek(&socket->out, pieces, PIECES_MAX);
    for (size_t i = 0; i < message.msg_iovlen; i++) {
        offered += pieces[i].iov_len;
    }
    do {
        sent = sendmsg(socket->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        *ret_is_full = errno == EAGAIN || errno == EWOULDBLOCK;
        return *ret_is_full ? 0 : -1;
    }
    *ret_is_full = (size_t)sent < offered;
    return sent;
}

/* Writes what there is. False: the socket is broken. */
static bool write_some(struct net_socket *socket)
{
    int round, rounds = socket->tls ? RECORDS_MAX : WRITE_ROUNDS_MAX;
    size_t total = 0;
    for (round = 0; round < rounds && socket->out.waiting && !socket->blocked; round++) {
        ssize_t sent = send_some(socket, &socket->blocked);
        if (sent < 0) {
            return false;
        }
        if (sent > 0) {
            outq_consume(&socket->out, (size_t)sent);
            total += (size_t)sent;
        }
    }
    socket->net->bytes_out += total;
    update_writing(socket);
    if (total > 0) {
        socket->events->on_sent(socket, total);
    }
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct net_socket *socket = context;
    (void)what;
    socket->blocked = false;
    if (reading_wants_write(socket)) {
        set_writing(socket, false);
        on_readable(fd, EV_READ, socket);
        if (socket->closed) {
            return;
        }
    }
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

void net_socket_secure(struct net_socket *socket, struct tls_session *session)
{
    socket->tls = session;
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

void net_socket_acknowledge(const struct net_socket *socket)
{
    int one = 1;
    /* Where it does not work (no TCP), nothing is lost but time. */
    (void)setsockopt(socket->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
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
    if (socket->tls) {
        tls_finish(socket->tls);
    }
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
    } else if (socket->tls && socket->out.waiting == 0 && !socket->discarding) {
        tls_finish(socket->tls);
    }
    tls_session_free(socket->tls);
    socket->tls = NULL;
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
    net->handshake_steps = 0;
    net->patient_inputs = 0;
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
