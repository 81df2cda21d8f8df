/* vault/internal: keys, for the files of this layer. */
#ifndef DIALPLANE_VAULT_INTERNAL_H
#define DIALPLANE_VAULT_INTERNAL_H

#include "vault/vault.h"

#include <openssl/evp.h>

#define KEY_BYTES 32

struct data_key {
    char id[VAULT_KEY_ID_MAX + 1];
    unsigned char seal[KEY_BYTES], hash[KEY_BYTES]; /* made from the key that was given */
    EVP_MAC_CTX *nonce;                             /* keyed; copied for each value */
};

struct vault {
    struct data_key keys[VAULT_KEYS_MAX];
    unsigned count;
    EVP_CIPHER *cipher;
    EVP_MAC *mac;
};

/* keys.c: adds the keys of a list. */
bool keys_read(struct vault *vault, struct str text, struct err *err);
/* HMAC-SHA-256. */
bool keys_hmac(EVP_MAC *mac, const unsigned char key[KEY_BYTES], struct str text,
               unsigned char out[KEY_BYTES]);

#endif
