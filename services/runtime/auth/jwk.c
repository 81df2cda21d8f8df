/* One JSON Web Key (RFC 7517, 7518 §6, RFC 8037 §2) as a key of OpenSSL. */
#include "auth/internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

#define NUMBER_MAX 1024 /* bytes: RSA up to 8192 bits */
#define RSA_BITS_LEAST 2048

static bool text_is(const json_t *json, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text && strcmp(text, value) == 0;
}

/* Gives the bytes, or 0. */
static size_t read_bytes(const json_t *json, const char *name, unsigned char *out, size_t out_size)
{
    const json_t *value = json_object_get(json, name);

    if (!json_is_string(value))
        return 0;
    long size = base64url_decode((struct str){json_string_value(value), json_string_length(value)},
                                 out, out_size);
    return size > 0 ? (size_t)size : 0;
}

static EVP_PKEY *from_parameters(const char *type, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

static EVP_PKEY *rsa(const json_t *json)
{
    unsigned char modulus[NUMBER_MAX], exponent[8];
    size_t modulus_size = read_bytes(json, "n", modulus, sizeof(modulus));
    size_t exponent_size = read_bytes(json, "e", exponent, sizeof(exponent));
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus, (int)modulus_size, NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_size, NULL);
    EVP_PKEY *key = NULL;

    if (builder && n && e && exponent_size && BN_num_bits(n) >= RSA_BITS_LEAST &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = from_parameters("RSA", builder);
    BN_free(n);
    BN_free(e);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *p256(const json_t *json)
{
    unsigned char point[65] = {0x04}; /* uncompressed: SEC 1 §2.3.3 */
    OSSL_PARAM_BLD *builder;
    EVP_PKEY *key = NULL;

    if (!text_is(json, "crv", "P-256") || read_bytes(json, "x", point + 1, 32) != 32 ||
        read_bytes(json, "y", point + 33, 32) != 32)
        return NULL;
    builder = OSSL_PARAM_BLD_new();
    if (builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
            1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) ==
            1)
        key = from_parameters("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *ed25519(const json_t *json)
{
    unsigned char point[32];

    if (!text_is(json, "crv", "Ed25519") || read_bytes(json, "x", point, sizeof(point)) != 32)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point, sizeof(point));
}

static bool read_secret(const json_t *json, struct key *key, struct err *err)
{
    key->secret_size = read_bytes(json, "k", key->secret, sizeof(key->secret));
    /* RFC 7518 §3.2: at least as long as the hash. */
    if (key->secret_size >= 32)
        return true;
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "key \"%s\": a shared secret needs 32 to %d bytes", key->id, SECRET_MAX);
}

struct kind {
    const char *type, *algorithm;
    enum algorithm value;
    EVP_PKEY *(*read)(const json_t *json); /* NULL: a shared secret */
    const char *needs;
};
static const struct kind kinds[] = {
    {"RSA", "RS256", ALGORITHM_RS256, rsa, "n and e of at least 2048 bits"},
    {"EC", "ES256", ALGORITHM_ES256, p256, "crv P-256 with x and y on the curve"},
    {"OKP", "EdDSA", ALGORITHM_EDDSA, ed25519, "crv Ed25519 with x"},
    {"oct", "HS256", ALGORITHM_HS256, NULL, "k"},
};

static bool read_id(const json_t *json, struct key *key, struct err *err)
{
    const json_t *id = json_object_get(json, "kid");
    size_t length = json_is_string(id) ? json_string_length(id) : 0;

    if (!length || length > KEY_ID_MAX || strlen(json_string_value(id)) != length)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "every key of the set needs a kid of 1 to %d characters", KEY_ID_MAX);
    memcpy(key->id, json_string_value(id), length + 1);
    return true;
}

bool jwk_read(const json_t *json, bool allow_hs256, struct key *ret_key, struct err *err)
{
    const struct kind *kind = NULL;

    memset(ret_key, 0, sizeof(*ret_key));
    if (!json_is_object(json))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "a key of the set is no object");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (text_is(json, "kty", kinds[i].type))
            kind = &kinds[i];
    /* A set may hold keys for other uses and other readers: those are passed over. */
    if (!kind || (json_object_get(json, "use") && !text_is(json, "use", "sig")) ||
        (json_object_get(json, "alg") && !text_is(json, "alg", kind->algorithm)))
        return false;
    if (!read_id(json, ret_key, err))
        return false;
    if (!kind->read && !allow_hs256)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "key \"%s\" is a shared secret: those are accepted with --auth-hs256 only",
                       ret_key->id);
    ret_key->algorithm = kind->value;
    if (!kind->read)
        return read_secret(json, ret_key, err);
    ret_key->public_key = kind->read(json);
    return ret_key->public_key ||
           err_set(err, ERR_INVALID_ARGUMENT, NULL, "key \"%s\" (%s) cannot be used: it needs %s",
                   ret_key->id, kind->type, kind->needs);
}
