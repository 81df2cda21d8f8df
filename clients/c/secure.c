/* TLS of a client: files in, credentials of a channel out. */
#include "internal.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT_BYTES ((size_t)1024 * 1024)

/* NUL-terminated, the caller's. NULL: *error says why. */
static char *read_file(const char *path, struct dialplane_error *error)
{
    char message[400];
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(FILE_LIMIT_BYTES + 1) : NULL;
    size_t size = text ? fread(text, 1, FILE_LIMIT_BYTES + 1, file) : 0;
    if (text && size <= FILE_LIMIT_BYTES && !ferror(file) && !memchr(text, '\0', size)) {
        text[size] = '\0';
        fclose(file);
        return text;
    }
    snprintf(message, sizeof(message), "%.200s cannot be read: %.100s", path,
             file ? "it is no PEM file, or memory is short" : strerror(errno));
    error_set(error, GRPC_STATUS_INVALID_ARGUMENT, message);
    if (file)
        fclose(file);
    free(text);
    return NULL;
}

static bool has(const char *text)
{
    return text && text[0];
}

struct texts {
    char *ca, *certificate, *key;
};

static void free_texts(struct texts *texts)
{
    free(texts->ca);
    free(texts->certificate);
    if (texts->key) /* not left lying about in memory */
        explicit_bzero(texts->key, strlen(texts->key));
    free(texts->key);
}

static bool read_texts(const struct dialplane_tls *tls, struct texts *texts,
                       struct dialplane_error *error)
{
    memset(texts, 0, sizeof(*texts));
    if (!has(tls->ca_file)) {
        error_set(error, GRPC_STATUS_INVALID_ARGUMENT,
                  "TLS needs the file with the CA that has signed the services' certificates");
        return false;
    }
    if (has(tls->certificate_file) != has(tls->key_file)) {
        error_set(error, GRPC_STATUS_INVALID_ARGUMENT,
                  "a certificate and its key are given together or not at all");
        return false;
    }
    return (texts->ca = read_file(tls->ca_file, error)) &&
           (!has(tls->certificate_file) ||
            ((texts->certificate = read_file(tls->certificate_file, error)) &&
             (texts->key = read_file(tls->key_file, error))));
}

bool dialplane_tls_is_set(const struct dialplane_tls *tls)
{
    return tls && (has(tls->ca_file) || has(tls->certificate_file) || has(tls->key_file) ||
                   has(tls->name));
}

bool dialplane_tls_check(const struct dialplane_tls *tls, struct dialplane_error *error)
{
    struct texts texts;
    struct dialplane_error unwanted;
    if (!dialplane_tls_is_set(tls))
        return true;
    bool good = read_texts(tls, &texts, error ? error : &unwanted);
    free_texts(&texts);
    return good;
}

grpc_channel_credentials *client_credentials(const char *target, const struct dialplane_tls *tls)
{
    struct texts texts;
    struct dialplane_error unwanted;
    if (!dialplane_tls_is_set(tls) || strncmp(target, "unix:", 5) == 0)
        return grpc_insecure_credentials_create();
    grpc_channel_credentials *credentials = NULL;
    if (read_texts(tls, &texts, &unwanted)) {
        grpc_ssl_pem_key_cert_pair pair = {texts.key, texts.certificate};
        credentials =
            grpc_ssl_credentials_create_ex(texts.ca, texts.key ? &pair : NULL, NULL, NULL);
    }
    free_texts(&texts);
    return credentials;
}
