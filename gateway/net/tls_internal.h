/* What contexts and sessions share. */
#ifndef GATEWAY_NET_TLS_INTERNAL_H
#define GATEWAY_NET_TLS_INTERNAL_H

#include "gateway/net/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

/* What is made of one material; counted by atomic references, since its sessions end on any thread.
 */
struct tls_generation {
    atomic_uint references;
    unsigned count;
    struct {
        SSL_CTX *context;
        X509 *leaf; /* borrowed from the context; NULL: a client without a certificate */
    } pairs[TLS_PAIRS_MAX];
};
void tls_generation_unref(struct tls_generation *generation);
/* A reference to the newest; NULL: there is none. */
struct tls_generation *tls_context_newest(struct tls_context *context);
const char *tls_context_expected_name(const struct tls_context *context);

#endif
