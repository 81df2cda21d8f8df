/* rpc/secure: TLS of a server's TCP addresses, and the names of those who may call. */
#ifndef DIALPLANE_RPC_SECURE_H
#define DIALPLANE_RPC_SECURE_H

#include "base/err.h"
#include "tls/tls.h"

struct rpc_secure;

/* peers: a comma list of names (DNS or URI, such as a SPIFFE id) of which a caller's certificate
 * must carry one, exactly; NULL or empty: any that the CA has signed. asks_clients: callers must
 * show a certificate. */
struct rpc_secure *rpc_secure_new(const char *peers, bool asks_clients, struct err *err);
/* After the server has gone. NULL is allowed. */
void rpc_secure_free(struct rpc_secure *secure);
/* A tls_watch's use(), with the struct rpc_secure as context: new connections see it from now on.
 * The material has at least one pair, and a CA when clients are asked. */
bool rpc_secure_use(const struct tls_material *material, void *context, struct err *err);

struct rpc_secure_stats {
    uint64_t peers_refused; /* calls */
};
void rpc_secure_stats(const struct rpc_secure *secure, struct rpc_secure_stats *ret_stats);

#endif
