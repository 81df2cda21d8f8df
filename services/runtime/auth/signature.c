/* Signatures of RFC 7518 §3 and RFC 8037 §3.1, by OpenSSL. */
#include "auth/internal.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

static bool digest_verify(const struct key *key, const EVP_MD *digest, struct str text,
                          const unsigned char *signature, size_t size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        context && EVP_DigestVerifyInit(context, NULL, digest, NULL, key->public_key) == 1 &&
        EVP_DigestVerify(context, signature, size, (const unsigned char *)text.data, text.length) ==
            1;

    EVP_MD_CTX_free(context);
    return good;
}

/* JWS has r and s side by side, OpenSSL wants them as DER. */
static bool verify_es256(const struct key *key, struct str text, struct str signature)
{
    const unsigned char *bytes = (const unsigned char *)signature.data;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    unsigned char *der = NULL;
    BIGNUM *r = NULL, *s = NULL;
    bool good = false;

    if (pair && signature.length == 64 && (r = BN_bin2bn(bytes, 32, NULL)) &&
        (s = BN_bin2bn(bytes + 32, 32, NULL)) && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* the pair's now */
        int size = i2d_ECDSA_SIG(pair, &der);
        good = size > 0 && digest_verify(key, EVP_sha256(), text, der, (size_t)size);
    }
    BN_free(r);
    BN_free(s);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return good;
}

static bool verify_hs256(const struct key *key, struct str text, struct str signature)
{
    unsigned char expected[32];
    unsigned size = 0;

    return HMAC(EVP_sha256(), key->secret, (int)key->secret_size, (const unsigned char *)text.data,
                text.length, expected, &size) &&
           size == sizeof(expected) && signature.length == sizeof(expected) &&
           CRYPTO_memcmp(expected, signature.data, sizeof(expected)) == 0;
}

bool signature_is_good(const struct key *key, struct str signed_text, struct str signature)
{
    const unsigned char *bytes = (const unsigned char *)signature.data;

    switch (key->algorithm) {
    case ALGORITHM_RS256:
        return digest_verify(key, EVP_sha256(), signed_text, bytes, signature.length);
    case ALGORITHM_EDDSA:
        return signature.length == 64 &&
               digest_verify(key, NULL, signed_text, bytes, signature.length);
    case ALGORITHM_ES256:
        return verify_es256(key, signed_text, signature);
    case ALGORITHM_HS256:
        return verify_hs256(key, signed_text, signature);
    case ALGORITHM_NONE:
        break;
    }
    return false;
}
