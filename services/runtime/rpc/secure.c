/* Core asks for the certificates at each handshake, on a thread of its own: they lie ready under a
 * lock, with a number that grows when they change. Each address has its own credentials, and each
 * of these remembers the number that it was given last. */
#include "rpc/internal.h"

#include "rpc/secure.h"

#include <grpc/grpc_security.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX 64

struct fetcher {
    struct fetcher *next;
    struct rpc_secure *secure;
    uint64_t given; /* guarded by the lock */
};

struct rpc_secure {
    pthread_mutex_t lock; /* guards what follows */
    grpc_ssl_pem_key_cert_pair pairs[TLS_PAIRS_MAX];
    size_t pair_count;
    char *ca;
    uint64_t number;
    /* The loop's own. */
    struct fetcher *fetchers;
    char *peers_text;
    struct str peers[PEERS_MAX];
    size_t peer_count;
    bool asks_clients;
    struct rpc_secure_stats stats;
};

struct rpc_secure *rpc_secure_new(const char *peers, bool asks_clients, struct err *err)
{
    struct rpc_secure *secure = calloc(1, sizeof(*secure));

    if (!secure || !(secure->peers_text = strdup(peers ? peers : ""))) {
        free(secure);
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&secure->lock, NULL);
    secure->asks_clients = asks_clients;
    for (const char *at = secure->peers_text; *at;) {
        size_t length = strcspn(at, ",");
        struct str name = str_trim((struct str){at, length});
        if (name.length && secure->peer_count == PEERS_MAX) {
            err_set(err, ERR_INVALID_ARGUMENT, NULL, "--tls-peers names more than %d", PEERS_MAX);
            rpc_secure_free(secure);
            return NULL;
        }
        if (name.length)
            secure->peers[secure->peer_count++] = name;
        at += length + (at[length] == ',');
    }
    if (secure->peer_count && !asks_clients) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "--tls-peers needs --tls-client-ca: without it no caller shows a certificate");
        rpc_secure_free(secure);
        return NULL;
    }
    return secure;
}

static void free_pairs(grpc_ssl_pem_key_cert_pair *pairs, size_t count, char *ca)
{
    for (size_t i = 0; i < count; i++) {
        char *key = (char *)(uintptr_t)pairs[i].private_key;
        if (key)
            OPENSSL_cleanse(key, strlen(key));
        free(key);
        free((char *)(uintptr_t)pairs[i].cert_chain);
    }
    free(ca);
}

void rpc_secure_free(struct rpc_secure *secure)
{
    if (!secure)
        return;
    while (secure->fetchers) {
        struct fetcher *fetcher = secure->fetchers;
        secure->fetchers = fetcher->next;
        free(fetcher);
    }
    free_pairs(secure->pairs, secure->pair_count, secure->ca);
    pthread_mutex_destroy(&secure->lock);
    free(secure->peers_text);
    free(secure);
}

bool rpc_secure_use(const struct tls_material *material, void *context, struct err *err)
{
    struct rpc_secure *secure = context;
    grpc_ssl_pem_key_cert_pair fresh[TLS_PAIRS_MAX] = {{NULL, NULL}};
    size_t count = material->pair_count;
    char *ca = material->ca ? strdup(material->ca) : NULL;
    bool good = !material->ca || ca;

    if (!count || (secure->asks_clients && !material->ca)) {
        free(ca);
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "there is no certificate, or no CA");
    }
    for (size_t i = 0; i < count; i++) {
        fresh[i].cert_chain = strdup(material->pairs[i].chain);
        fresh[i].private_key = strdup(material->pairs[i].key);
        good = good && fresh[i].cert_chain && fresh[i].private_key;
    }
    if (!good) {
        free_pairs(fresh, count, ca);
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    pthread_mutex_lock(&secure->lock);
    free_pairs(secure->pairs, secure->pair_count, secure->ca);
    memcpy(secure->pairs, fresh, sizeof(fresh));
    secure->pair_count = count;
    secure->ca = ca;
    secure->number++;
    pthread_mutex_unlock(&secure->lock);
    return true;
}

/* On core's thread. */
static grpc_ssl_certificate_config_reload_status
fetch(void *context, grpc_ssl_server_certificate_config **ret_config)
{
    struct fetcher *fetcher = context;
    struct rpc_secure *secure = fetcher->secure;
    grpc_ssl_certificate_config_reload_status status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;

    pthread_mutex_lock(&secure->lock);
    if (!secure->number) {
        status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
    } else if (fetcher->given != secure->number) {
        *ret_config = grpc_ssl_server_certificate_config_create(secure->ca, secure->pairs,
                                                                secure->pair_count);
        fetcher->given = secure->number;
        status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
    }
    pthread_mutex_unlock(&secure->lock);
    return status;
}

grpc_server_credentials *rpc_secure_credentials(struct rpc_secure *secure)
{
    struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

    if (!fetcher)
        return NULL;
    fetcher->secure = secure;
    fetcher->next = secure->fetchers;
    secure->fetchers = fetcher;
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            secure->asks_clients ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                 : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            fetch, fetcher));
}

static bool is_listed(const struct rpc_secure *secure, const grpc_auth_property *property)
{
    for (size_t i = 0; i < secure->peer_count; i++)
        if (str_equal(secure->peers[i], (struct str){property->value, property->value_length}))
            return true;
    return false;
}

/* Whoever comes through a unix socket has no certificate: its file's permissions say who may. */
static bool names_allow(const struct rpc_secure *secure, const grpc_auth_context *context)
{
    static const char *const kinds[] = {GRPC_PEER_DNS_PROPERTY_NAME, GRPC_PEER_URI_PROPERTY_NAME};
    grpc_auth_property_iterator iterator = grpc_auth_context_find_properties_by_name(
        context, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
    const grpc_auth_property *property = grpc_auth_property_iterator_next(&iterator);

    if (!property || strcmp(property->value, GRPC_SSL_TRANSPORT_SECURITY_TYPE) != 0)
        return true;
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        iterator = grpc_auth_context_find_properties_by_name(context, kinds[kind]);
        while ((property = grpc_auth_property_iterator_next(&iterator)))
            if (is_listed(secure, property))
                return true;
    }
    return false;
}

bool rpc_secure_allows(struct rpc_secure *secure, grpc_call *call)
{
    if (!secure->peer_count)
        return true;
    grpc_auth_context *context = grpc_call_auth_context(call);
    bool allowed = context && names_allow(secure, context);
    grpc_auth_context_release(context);
    secure->stats.peers_refused += !allowed;
    return allowed;
}

void rpc_secure_stats(const struct rpc_secure *secure, struct rpc_secure_stats *ret_stats)
{
    *ret_stats = secure->stats;
}
