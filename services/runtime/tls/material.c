#include "tls/tls.h"

#include "base/str.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1024 * 1024)
#define PATH_SIZE 1024

static bool is_given(const char *path)
{
    return path && path[0];
}

bool tls_paths_any(const struct tls_paths *paths)
{
    return is_given(paths->certificates) || is_given(paths->keys) || is_given(paths->ca);
}

/* NUL-terminated; the caller's. */
static char *read_file(const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(FILE_MAX + 1) : NULL;
    size_t size = 0;

    if (!file) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    if (text)
        size = fread(text, 1, FILE_MAX + 1, file);
    if (!text || ferror(file) || size > FILE_MAX) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s cannot be read%s", path,
                size > FILE_MAX ? ": it is larger than 1 MB" : "");
        free(text);
        text = NULL;
    } else {
        text[size] = '\0';
        char *fitting = realloc(text, size + 1);
        text = fitting ? fitting : text;
    }
    fclose(file);
    return text;
}

/* Instead of a question on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *context)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static X509 *read_leaf(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return leaf;
}

static EVP_PKEY *read_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return key;
}

/* Letters that need no care in a label. */
static void copy_name(const char *from, size_t length, char out[TLS_NAME_SIZE])
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.*:-";
    size_t i;

    for (i = 0; i < length && i < TLS_NAME_SIZE - 1; i++)
        out[i] = from[i] && strchr(good, from[i]) ? from[i] : '_';
    out[i] = '\0';
}

/* The first DNS name, or the common name. */
static void name_of(X509 *leaf, char out[TLS_NAME_SIZE])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    char common[TLS_NAME_SIZE] = "unnamed";

    out[0] = '\0';
    for (int i = 0; names && !out[0] && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            copy_name((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                      (size_t)ASN1_STRING_length(name->d.dNSName), out);
    }
    GENERAL_NAMES_free(names);
    if (out[0])
        return;
    X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, common, sizeof(common));
    copy_name(common, strlen(common), out);
}

static int64_t expiry_of(X509 *leaf)
{
    struct tm tm = {0};

    if (!ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm))
        return 0;
    return (int64_t)timegm(&tm) * TIME_US_PER_SECOND;
}

static bool load_pair(const char *certificate, const char *key, struct tls_pair *pair,
                      struct err *err)
{
    bool good = false;

    pair->chain = read_file(certificate, err);
    pair->key = pair->chain ? read_file(key, err) : NULL;
    if (!pair->key)
        return false;
    X509 *leaf = read_leaf(pair->chain);
    EVP_PKEY *secret = read_key(pair->key);
    if (!leaf) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s holds no certificate in PEM form",
                certificate);
    } else if (!secret) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "%s holds no private key in PEM form (without a passphrase)", key);
    } else if (X509_check_private_key(leaf, secret) != 1) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "the key in %s is not that of the certificate %s",
                key, certificate);
    } else {
        name_of(leaf, pair->name);
        pair->expires_us = expiry_of(leaf);
        good = true;
    }
    X509_free(leaf);
    EVP_PKEY_free(secret);
    ERR_clear_error();
    return good;
}

/* The next of a comma list. 0: there is none; -1: it is too long. */
static int next_path(const char **list, char out[PATH_SIZE])
{
    size_t length = strcspn(*list, ",");

    if (!**list)
        return 0;
    struct str path = str_trim((struct str){*list, length});
    *list += length + ((*list)[length] == ',');
    if (path.length >= PATH_SIZE || !path.length)
        return -1;
    memcpy(out, path.data, path.length);
    out[path.length] = '\0';
    return 1;
}

static bool load_pairs(const struct tls_paths *paths, struct tls_material *material,
                       struct err *err)
{
    const char *certificates = is_given(paths->certificates) ? paths->certificates : "";
    const char *keys = is_given(paths->keys) ? paths->keys : "";
    char certificate[PATH_SIZE], key[PATH_SIZE];

    for (;;) {
        int more = next_path(&certificates, certificate), other = next_path(&keys, key);
        if (more < 0 || other < 0)
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "the list of certificates or keys has a name that is empty or too long");
        if (more != other)
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "there must be one key file for each certificate file, in the same "
                           "order");
        if (!more)
            return true;
        if (material->pair_count == TLS_PAIRS_MAX)
            return err_set(err, ERR_INVALID_ARGUMENT, NULL, "there are more than %d certificates",
                           TLS_PAIRS_MAX);
        if (!load_pair(certificate, key, &material->pairs[material->pair_count++], err))
            return false;
    }
}

static bool load_ca(const char *path, struct tls_material *material, struct err *err)
{
    material->ca = read_file(path, err);
    if (!material->ca)
        return false;
    X509 *first = read_leaf(material->ca);
    if (!first)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s holds no certificate in PEM form",
                       path);
    X509_free(first);
    return true;
}

bool tls_material_load(const struct tls_paths *paths, struct tls_material *ret_material,
                       struct err *err)
{
    memset(ret_material, 0, sizeof(*ret_material));
    if (load_pairs(paths, ret_material, err) &&
        (!is_given(paths->ca) || load_ca(paths->ca, ret_material, err)))
        return true;
    tls_material_done(ret_material);
    return false;
}

void tls_material_done(struct tls_material *material)
{
    for (unsigned i = 0; i < material->pair_count; i++) {
        struct tls_pair *pair = &material->pairs[i];
        if (pair->key)
            OPENSSL_cleanse(pair->key, strlen(pair->key));
        free(pair->key);
        free(pair->chain);
    }
    free(material->ca);
    memset(material, 0, sizeof(*material));
}
