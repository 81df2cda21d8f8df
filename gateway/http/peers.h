/* peers: how many connections each address has. As large as there are connections, no larger. */
#ifndef GATEWAY_HTTP_PEERS_H
#define GATEWAY_HTTP_PEERS_H

#include "base/time.h"
#include "gateway/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEERS_BUCKETS 4096 /* a power of two */

struct peer {
    struct peer *next;
    struct net_address address;
    uint32_t connections;
};

/* One thread's. */
struct peers {
    struct peer **buckets;
    uint8_t secret[192]; /* of the hash: nobody may aim at a bucket */
};

/* False: no memory. */
bool peers_init(struct peers *peers, struct entropy *entropy);
void peers_done(struct peers *peers);
/* The address's, made when there is none; the caller adds to its connections at once. NULL: no
 * memory. */
struct peer *peers_enter(struct peers *peers, const struct net_address *address);
/* One connection fewer; forgotten with the last. NULL is allowed. */
void peers_leave(struct peers *peers, struct peer *peer);

#endif
