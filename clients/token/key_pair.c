/* The key pair: PEM for us, a JWK set for those who verify. */
#include "token/token.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fail(struct err *err, const char *path)
{
    return err_set(err, ERR_INTERNAL, NULL, "%s: %s", path, strerror(errno));
}

EVP_PKEY *key_pair_read(const char *private_path, struct err *err)
{
    FILE *file = fopen(private_path, "re");
    EVP_PKEY *key;

    if (!file) {
        fail(err, private_path);
        return NULL;
    }
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return key;
    EVP_PKEY_free(key);
    err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s holds no Ed25519 private key in PEM",
            private_path);
    return NULL;
}

static bool public_half(EVP_PKEY *key, unsigned char out[32], struct err *err)
{
    size_t size = 32;

    return (EVP_PKEY_get_raw_public_key(key, out, &size) == 1 && size == 32) ||
           err_set(err, ERR_INTERNAL, NULL, "OpenSSL does not give the public key");
}

bool key_pair_id(EVP_PKEY *key, char out[KEY_ID_SIZE], struct err *err)
{
    unsigned char half[32], digest[SHA256_DIGEST_LENGTH];

    if (!public_half(key, half, err))
        return false;
    SHA256(half, sizeof(half), digest);
    for (int i = 0; i < (KEY_ID_SIZE - 1) / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return true;
}

/* Written beside and renamed: whoever reads sees a whole file or none. */
static bool write_set(EVP_PKEY *key, const char *path, struct err *err)
{
    unsigned char half[32];
    char x[48], id[KEY_ID_SIZE], beside[4096];

    if (!key_pair_id(key, id, err) || !public_half(key, half, err))
        return false;
    base64url_encode(half, sizeof(half), x, sizeof(x));
    if ((size_t)snprintf(beside, sizeof(beside), "%s.new", path) >= sizeof(beside))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the path %s is too long", path);
    json_t *set = json_pack("{s:[{s:s,s:s,s:s,s:s,s:s,s:s}]}", "keys", "kty", "OKP", "crv",
                            "Ed25519", "alg", "EdDSA", "use", "sig", "kid", id, "x", x);
    bool good =
        set && json_dump_file(set, beside, JSON_INDENT(2)) == 0 && rename(beside, path) == 0;
    json_decref(set);
    return good || fail(err, path);
}

static bool write_private(EVP_PKEY *key, const char *path, struct err *err)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    bool good = file && PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;

    if (!file)
        return fail(err, path);
    if (fclose(file) != 0 || !good) {
        unlink(path);
        return err_set(err, ERR_INTERNAL, NULL, "the private key cannot be written to %s", path);
    }
    return true;
}

bool key_pair_make(const char *private_path, const char *set_path, struct err *err)
{
    EVP_PKEY *key;
    bool good;

    if (access(private_path, F_OK) == 0) {
        if (access(set_path, F_OK) == 0)
            return true;
        key = key_pair_read(private_path, err);
        good = key && write_set(key, set_path, err);
    } else {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        good = key ? write_private(key, private_path, err) && write_set(key, set_path, err)
                   : err_set(err, ERR_INTERNAL, NULL, "OpenSSL makes no Ed25519 key");
    }
    EVP_PKEY_free(key);
    return good;
}
