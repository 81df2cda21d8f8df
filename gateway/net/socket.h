/* socket: non-blocking stream sockets on a loop. Output collects during a turn of the loop and is
 * written once at its end; what is closed is freed after the turn. Input is read into one buffer a
 * loop: a socket keeps only what nobody took. */
#ifndef GATEWAY_NET_SOCKET_H
#define GATEWAY_NET_SOCKET_H

#include "gateway/net/outq.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct net_socket;
struct tls_session;

/* One a loop (thread). */
struct net {
    struct loop *loop;
    struct outq_pool pool;
    char *scratch;
    struct net_socket *woken_first, *woken_last;
    struct net_socket *closed; /* to be freed at the end of the turn */
    bool deferred;             /* the end of this turn has been asked for */
    unsigned handshake_steps;  /* in this turn */
    unsigned patient_inputs;   /* in this turn */
    uint64_t bytes_in, bytes_out;
};
bool net_init(struct net *net, struct loop *loop);
/* After all its sockets have been freed. */
void net_done(struct net *net);

/* Callbacks may call anything below, net_socket_close() included. */
struct net_socket_events {
    /* Gives how many bytes were taken. The rest is kept, and reading stops, until
     * net_socket_offer_kept(). */
    size_t (*on_input)(struct net_socket *socket, const char *data, size_t length);
    /* With net_socket_secure(): the handshake is over, before any input; socket->tls is NULL when
     * the peer speaks without TLS, and its input comes as it is. Else may be NULL. */
    void (*on_secured)(struct net_socket *socket);
    void (*on_eof)(struct net_socket *socket);
    /* Reset by the peer, or memory was short. The socket is to be closed. */
    void (*on_error)(struct net_socket *socket);
    /* At the end of a turn in which it was woken, before its output is written. */
    void (*on_turn)(struct net_socket *socket);
    /* Some output was written. */
    void (*on_sent)(struct net_socket *socket, size_t length);
    /* After the turn in which it was closed: frees. */
    void (*on_free)(struct net_socket *socket);
};

/* Embedded in what it is about. */
struct net_socket {
    struct net *net;
    const struct net_socket_events *events;
    struct net_socket *next_woken, *next_closed;
    struct outq out;
    struct tls_session *tls; /* NULL: plain */
    char *kept;              /* input that nobody took */
    size_t kept_length;
    int fd;
    bool woken, closed, input_wanted, reading, writing, blocked, discarding, eof;
    bool secured; /* the handshake has succeeded */
    bool patient; /* its input may wait for another turn when there is much of it */
    struct event read_event, write_event;
};

/* fd is non-blocking and is owned from here. Input is wanted at first. False: libevent refused (fd
 * is then closed). */
bool net_socket_init(struct net_socket *socket, struct net *net, int fd,
                     const struct net_socket_events *events);
/* Right after net_socket_init(): all that passes goes through this session, which it owns. NULL is
 * allowed. */
void net_socket_secure(struct net_socket *socket, struct tls_session *session);
static inline bool net_socket_is_shaking_hands(const struct net_socket *socket)
{
    return socket->tls && !socket->secured && !socket->discarding;
}
/* on_turn and a write at the end of this turn. */
void net_socket_wake(struct net_socket *socket);
void net_socket_want_input(struct net_socket *socket, bool wanted);
/* The peer is told at once that what it sent has come. Who writes a head and a body one after the
 * other, without TCP_NODELAY, sends the second only then (RFC 896), and the kernel would wait 40 ms
 * for an answer of ours to go with it (RFC 1122 §4.2.3.2). */
void net_socket_acknowledge(const struct net_socket *socket);
/* Offers kept input to on_input again. */
void net_socket_offer_kept(struct net_socket *socket);
/* Asks the kernel: -1 the connection is broken, 1 the peer has ended its side, 0 neither. For when
 * kept input keeps us from reading (EV_CLOSED of libevent 2.1 would spin on a reset). */
int net_socket_check_peer(const struct net_socket *socket);
/* Ends our side and throws away what still comes, so that the peer can read the last answer; the
 * owner closes after a while. */
void net_socket_shut_output(struct net_socket *socket);
/* reset: with RST, so that a peer which reads to the end of the stream notices that it is not
 * whole. */
void net_socket_close(struct net_socket *socket, bool reset);

#endif
