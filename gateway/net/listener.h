/* listener: listens on one TCP address and hands out accepted sockets. */
#ifndef GATEWAY_NET_LISTENER_H
#define GATEWAY_NET_LISTENER_H

#include "base/err.h"

#include <stdbool.h>

struct loop;
struct net_listener;

/* Long enough for "[ipv6]:port". */
#define NET_PEER_TEXT_SIZE 56

/* address: "127.0.0.1:8000", "[::1]:8000", "localhost:8000", ":8000" (all interfaces); port 0 for a
 * free one; "fd:3": a listening socket that this process was given, of which a copy is used.
 * on_accept owns fd (non-blocking, TCP_NODELAY, at most 64 KB unsent in the kernel); peer
 * is "127.0.0.1:50312". NULL: err says why. */
struct net_listener *net_listener_open(struct loop *loop, const char *address, bool reuse_port,
                                       void (*on_accept)(int fd, const char *peer, void *context),
                                       void *context, struct err *err);
int net_listener_port(const struct net_listener *listener);
/* Before closing: what the kernel has accepted in our name, which would be reset. A socket that was
 * given has others who take it. */
void net_listener_accept_all(struct net_listener *listener);
/* NULL is allowed. */
void net_listener_close(struct net_listener *listener);

#endif
