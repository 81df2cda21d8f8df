/* auth/internal: keys and tokens, for the files of this layer. */
#ifndef DIALPLANE_AUTH_INTERNAL_H
#define DIALPLANE_AUTH_INTERNAL_H

#include "auth/auth.h"

#include <jansson.h>
#include <openssl/evp.h>

/* "JWS header" algorithms that are accepted: each key has exactly one, so that a token cannot
 * choose how it is verified (RFC 8725 §3.1). */
enum algorithm {
    ALGORITHM_NONE,
    ALGORITHM_RS256,
    ALGORITHM_ES256,
    ALGORITHM_EDDSA,
    ALGORITHM_HS256
};

#define KEYS_MAX 64
#define KEY_ID_MAX 128
#define SECRET_MAX 512

struct key {
    char id[KEY_ID_MAX + 1];
    enum algorithm algorithm;
    EVP_PKEY *public_key;             /* NULL for HS256 */
    unsigned char secret[SECRET_MAX]; /* HS256 */
    size_t secret_size;
};

struct key_set {
    struct key keys[KEYS_MAX];
    unsigned count;
};

/* jwk.c: one JSON Web Key. A key that is of no use to us (for encryption, of another kind) gives
 * false with err->code ERR_OK. */
bool jwk_read(const json_t *json, bool allow_hs256, struct key *ret_key, struct err *err);

/* key_set.c */
bool key_set_parse(const char *text, size_t size, bool allow_hs256, struct key_set *ret_set,
                   struct err *err);
bool key_set_load(const char *path, bool allow_hs256, struct key_set *ret_set, struct err *err);
const struct key *key_set_find(const struct key_set *set, struct str id);
void key_set_done(struct key_set *set);

/* signature.c */
bool signature_is_good(const struct key *key, struct str signed_text, struct str signature);

/* token.c: what a token says once its signature has been found good. Text lives in `arena`. */
struct token {
    struct principal principal;
    int64_t expires_us, not_before_us; /* 0: not said */
};
#define TOKEN_MAX 4096
bool token_verify(const struct key_set *keys, const struct auth_options *options, struct str token,
                  struct arena *arena, struct token *ret_token, struct err *err);
/* Against the clock, with leeway. */
bool token_is_current(const struct token *token, int64_t now_us, int64_t leeway_us,
                      struct err *err);

#endif
