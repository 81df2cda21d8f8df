/* Certificates for tests, made while they run. */
#ifndef TESTS_TLS_MADE_H
#define TESTS_TLS_MADE_H

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* A key, and a certificate for `name` that it has signed itself, good from an hour ago for so many
 * seconds from now; both as files. */
static inline void make_pair(const char *certificate, const char *key, const char *name,
                             long seconds)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *one = X509_new();
    X509_NAME *subject = X509_get_subject_name(one);
    char text[200];
    FILE *file;

    if (!pkey || !one)
        abort();
    X509_set_version(one, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(one), 7);
    X509_gmtime_adj(X509_getm_notBefore(one), -3600);
    X509_gmtime_adj(X509_getm_notAfter(one), seconds);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               (const unsigned char *)"common \"name\"", -1, -1, 0);
    X509_set_issuer_name(one, subject);
    X509_set_pubkey(one, pkey);
    if (name) {
        snprintf(text, sizeof(text), "DNS:%s", name);
        X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
        X509_add_ext(one, names, -1);
        X509_EXTENSION_free(names);
    }
    X509_sign(one, pkey, EVP_sha256());
    file = fopen(certificate, "w");
    if (!file || PEM_write_X509(file, one) != 1)
        abort();
    fclose(file);
    file = fopen(key, "w");
    if (!file || PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL) != 1)
        abort();
    fclose(file);
    X509_free(one);
    EVP_PKEY_free(pkey);
}

#endif
