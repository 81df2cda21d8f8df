#include "gateway/http/peers.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

bool peers_init(struct peers *peers, struct entropy *entropy)
{
    entropy->fill(entropy, peers->secret, sizeof(peers->secret));
    peers->buckets = calloc(PEERS_BUCKETS, sizeof(struct peer *));
    return peers->buckets != NULL;
}

void peers_done(struct peers *peers)
{
    size_t i;
    for (i = 0; peers->buckets && i < PEERS_BUCKETS; i++) {
        while (peers->buckets[i]) {
            struct peer *peer = peers->buckets[i];
            peers->buckets[i] = peer->next;
            free(peer);
        }
    }
    free(peers->buckets);
    peers->buckets = NULL;
}

static struct peer **bucket_of(struct peers *peers, const struct net_address *address)
{
    return &peers->buckets[XXH3_64bits_withSecret(address->bytes, sizeof(address->bytes),
                                                  peers->secret, sizeof(peers->secret)) &
                           (PEERS_BUCKETS - 1)];
}

struct peer *peers_enter(struct peers *peers, const struct net_address *address)
{
    struct peer **bucket = bucket_of(peers, address), *peer;
    for (peer = *bucket; peer; peer = peer->next) {
        if (net_address_equal(&peer->address, address)) {
            return peer;
        }
    }
    peer = calloc(1, sizeof(*peer));
    if (peer) {
        peer->address = *address;
        peer->next = *bucket;
        *bucket = peer;
    }
    return peer;
}

void peers_leave(struct peers *peers, struct peer *peer)
{
    struct peer **at;
    if (!peer || --peer->connections > 0) {
        return;
    }
    for (at = bucket_of(peers, &peer->address); *at; at = &(*at)->next) {
        if (*at == peer) {
            *at = peer->next;
            free(peer);
            return;
        }
    }
}
