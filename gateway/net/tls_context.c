/* Contexts: certificates, and what we agree to. */
#include "gateway/net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* So long may a client resume a session; the contexts, and with them the key of the tickets, are
 * made anew at every change of the files. */
#define RESUME_SECONDS (2 * 3600)
/* RFC 9113 §9.2.2 forbids everything else with HTTP/2. */
static const char ciphers_1_2[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct tls_context {
    /* Taken once a handshake. */
    pthread_mutex_t lock;
    struct tls_generation *newest;
    bool is_server;
    enum tls_version minimum;
    char *expected_name; /* NULL: the address's own */
};

static struct tls_context *new_context(void)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    if (context) {
        pthread_mutex_init(&context->lock, NULL);
    }
    return context;
}

struct tls_context *tls_context_new_server(enum tls_version minimum)
{
    struct tls_context *context = new_context();
    if (context) {
        context->is_server = true;
        context->minimum = minimum;
    }
    return context;
}

struct tls_context *tls_context_new_client(const char *expected_name)
{
    struct tls_context *context = new_context();
    if (context && expected_name && expected_name[0]) {
        context->expected_name = strdup(expected_name);
        if (!context->expected_name) {
            tls_context_free(context);
            return NULL;
        }
    }
    return context;
}

void tls_generation_unref(struct tls_generation *generation)
{
    unsigned i;
    if (!generation || atomic_fetch_sub(&generation->references, 1) > 1) {
        return;
    }
    for (i = 0; i < generation->count; i++) {
        SSL_CTX_free(generation->pairs[i].context);
    }
    free(generation);
}

void tls_context_free(struct tls_context *context)
{
    if (!context) {
        return;
    }
    tls_generation_unref(context->newest);
    pthread_mutex_destroy(&context->lock);
    free(context->expected_name);
    free(context);
}

struct tls_generation *tls_context_newest(struct tls_context *context)
{
    struct tls_generation *generation;
    pthread_mutex_lock(&context->lock);
    generation = context->newest;
    if (generation) {
        atomic_fetch_add(&generation->references, 1);
    }
    pthread_mutex_unlock(&context->lock);
    return generation;
}

const char *tls_context_expected_name(const struct tls_context *context)
{
    return context->expected_name;
}

/* What OpenSSL has to say about the last failure, as one word group. */
static const char *last_reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;
    ERR_clear_error();
    return reason ? reason : "OpenSSL does not say why";
}

/* Certificates of a PEM text, one by one, given to `take`, which owns them when it says true. */
static bool each_certificate(const char *pem, bool (*take)(void *context, X509 *one, int number),
                             void *context)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *one;
    bool good = bio != NULL;
    int number = 0;
    while (good && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        good = take(context, one, number++);
        if (!good) {
            X509_free(one);
        }
    }
    BIO_free(bio);
    if (good) {
        ERR_clear_error(); /* the end of the text is one */
    }
    return good && number > 0;
}

static bool take_chain(void *context, X509 *one, int number)
{
    if (number > 0) {
        return SSL_CTX_add0_chain_cert(context, one) == 1;
    }
    if (SSL_CTX_use_certificate(context, one) != 1) {
        return false;
    }
    X509_free(one); /* it has a reference of its own */
    return true;
}

static bool take_authority(void *context, X509 *one, int number)
{
    (void)number;
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one) != 1 ||
        SSL_CTX_add_client_CA(context, one) != 1) {
        return false;
    }
    X509_free(one);
    return true;
}

static bool use_pair(SSL_CTX *ssl, const struct tls_pair *pair, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pair->key, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    bool good = key && each_certificate(pair->chain, take_chain, ssl) &&
                SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    BIO_free(bio);
    EVP_PKEY_free(key);
    return good || err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "the certificate for %s cannot be used: %s", pair->name, last_reason());
}

/* RFC 7301: ours in order; a client that offers neither is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                           const unsigned char *in, unsigned in_length, void *context)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&chosen, out_length, ours, sizeof(ours) - 1, in, in_length) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* The first certificate that is for this name. */
static int choose_certificate(SSL *ssl, int *alert, void *context)
{
    const struct tls_generation *generation = context;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    unsigned i;
    (void)alert;
    for (i = 0; name && i < generation->count; i++) {
        if (X509_check_host(generation->pairs[i].leaf, name, strlen(name), 0, NULL) == 1) {
            if (i > 0) {
                SSL_set_SSL_CTX(ssl, generation->pairs[i].context);
            }
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_ssl_context(const struct tls_context *context)
{
    SSL_CTX *ssl = SSL_CTX_new(context->is_server ? TLS_server_method() : TLS_client_method());
    int minimum = context->minimum == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (!ssl) {
        return NULL;
    }
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 /* HTTP says by itself where a message ends. */
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* An idle connection keeps no buffers; a record that did not fit is offered again from another
     * place. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1); /* one recv() a record instead of two */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(ssl, minimum) != 1 ||
        SSL_CTX_set_cipher_list(ssl, ciphers_1_2) != 1) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    return ssl;
}

static bool set_server(SSL_CTX *ssl, const struct tls_material *material,
                       struct tls_generation *generation, struct err *err)
{
    static const unsigned char session_name[] = "dialplane";
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    SSL_CTX_set_tlsext_servername_callback(ssl, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(ssl, generation);
    SSL_CTX_set_session_id_context(ssl, session_name, sizeof(session_name) - 1);
    SSL_CTX_set_timeout(ssl, RESUME_SECONDS);
    if (!material->ca) {
        return true;
    }
    /* A resumed session would not look at the client's certificate again, which may have expired.
     */
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_max_cert_list(ssl, 32 * 1024);
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return each_certificate(material->ca, take_authority, ssl) ||
           err_set(err, ERR_INVALID_ARGUMENT, NULL, "the CA of clients cannot be used: %s",
                   last_reason());
}

static bool set_client(SSL_CTX *ssl, const struct tls_material *material, struct err *err)
{
    static const unsigned char h2[] = "\x02h2";
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_alpn_protos(ssl, h2, sizeof(h2) - 1);
    return each_certificate(material->ca, take_authority, ssl) ||
           err_set(err, ERR_INVALID_ARGUMENT, NULL, "the CA cannot be used: %s", last_reason());
}

static bool add_pair(const struct tls_context *context, const struct tls_material *material,
                     const struct tls_pair *pair, struct tls_generation *generation,
                     struct err *err)
{
    SSL_CTX *ssl = new_ssl_context(context);
    if (!ssl) {
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "no TLS context: %s", last_reason());
    }
    generation->pairs[generation->count].context = ssl;
    generation->count++;
    if ((pair && !use_pair(ssl, pair, err)) ||
        !(context->is_server ? set_server(ssl, material, generation, err)
                             : set_client(ssl, material, err))) {
        return false;
    }
    generation->pairs[generation->count - 1].leaf = SSL_CTX_get0_certificate(ssl);
    return true;
}

bool tls_context_use(struct tls_context *context, const struct tls_material *material,
                     struct err *err)
{
    struct tls_generation *fresh, *old;
    unsigned i;
    bool good = true;
    if (context->is_server ? !material->pair_count : !material->ca || material->pair_count > 1) {
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       context->is_server ? "there is no certificate"
                                          : "there must be a CA, and no more than one certificate");
    }
    fresh = calloc(1, sizeof(*fresh));
    if (!fresh) {
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    atomic_init(&fresh->references, 1);
    if (!material->pair_count) {
        good = add_pair(context, material, NULL, fresh, err);
    }
    for (i = 0; good && i < material->pair_count; i++) {
        good = add_pair(context, material, &material->pairs[i], fresh, err);
    }
    if (!good) {
        tls_generation_unref(fresh);
        return false;
    }
    pthread_mutex_lock(&context->lock);
    old = context->newest;
    context->newest = fresh;
    pthread_mutex_unlock(&context->lock);
    tls_generation_unref(old);
    return true;
}
