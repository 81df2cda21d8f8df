/* address: network addresses of peers, and lists of networks, as values without sockets. An IPv4
 * address is kept as its IPv4-mapped IPv6 one (RFC 4291 §2.5.5.2), so that there is one kind. Pure.
 */
#ifndef GATEWAY_NET_ADDRESS_H
#define GATEWAY_NET_ADDRESS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct net_address {
    uint8_t bytes[16];
};

#define NET_ADDRESS_TEXT_SIZE 46

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". Zones ("%eth0")
 * and names are refused. */
bool net_address_parse(struct str text, struct net_address *ret_address);
/* Without port and brackets; IPv4 as such. */
void net_address_format(const struct net_address *address, char out[NET_ADDRESS_TEXT_SIZE]);
bool net_address_equal(const struct net_address *a, const struct net_address *b);
/* What one subscriber has: an IPv4 address, or the /64 of an IPv6 one, in which whoever has one
 * address has them all. */
struct net_address net_address_site(const struct net_address *address);

#define NET_NETWORKS_MAX 64

struct net_networks {
    unsigned count;
    struct {
        struct net_address address;
        uint8_t prefix; /* bits of the 128 */
    } list[NET_NETWORKS_MAX];
};

/* "127.0.0.0/8, ::1, 10.1.2.3": a comma list, in which an address is a network of one; empty:
 * none. False: err says which is wrong (bits beyond the prefix are, too: somebody meant another).
 */
bool net_networks_parse(const char *text, struct net_networks *ret_networks, struct err *err);
bool net_networks_contain(const struct net_networks *networks, const struct net_address *address);

#endif
