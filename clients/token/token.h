/* token: a key pair of one's own for a platform that has no identity provider, and tokens signed
 * with it. Ed25519 (RFC 8037): small keys, small signatures. */
#ifndef CLIENTS_TOKEN_TOKEN_H
#define CLIENTS_TOKEN_TOKEN_H

#include "base/err.h"
#include "base/time.h"

#include <openssl/evp.h>
#include <stdbool.h>

#define KEY_ID_SIZE 17 /* 16 hexadecimal digits of the public key's SHA-256, and NUL */

/* Writes a new private key (PEM, mode 0600) to private_path and the JWK set with its public half to
 * set_path, unless private_path exists: then the set alone is written when it is missing. */
bool key_pair_make(const char *private_path, const char *set_path, struct err *err);
/* The caller frees with EVP_PKEY_free(). NULL with err. */
EVP_PKEY *key_pair_read(const char *private_path, struct err *err);
bool key_pair_id(EVP_PKEY *key, char out[KEY_ID_SIZE], struct err *err);

struct issue {
    const char *issuer, *audience, *subject;
    const char *roles;      /* comma list */
    const char *grants;     /* comma list; NULL: none */
    const char *company_id; /* NULL: none */
    int64_t now_us, lifetime_us;
};
/* A compact JWS in memory of the caller's, to be freed. NULL with err. */
char *issue_token(EVP_PKEY *key, const struct issue *issue, struct err *err);

#endif
