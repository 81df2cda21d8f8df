#include "gateway/secure.h"

#include <string.h>

void secure_settings(struct app_setting out[SECURE_SETTINGS], struct secure_settings *values)
{
    const struct app_setting settings[] = {
        {"tls-certificate", APP_TEXT, "",
         "speak TLS with this PEM file (leaf first), read again when it changes and at SIGHUP; a "
         "comma list for several names, of which SNI chooses",
         true, false, &values->certificate, 0, 0},
        {"tls-key", APP_TEXT, "", "PEM file of its private key; as many as certificates", true,
         false, &values->key, 0, 0},
        {"tls-minimum", APP_TEXT, "1.2", "lowest version of TLS: 1.2 or 1.3", true, false,
         &values->minimum, 0, 0},
        {"tls-client-ca", APP_TEXT, "",
         "PEM file: clients must show a certificate that one of these has signed", true, false,
         &values->client_ca, 0, 0},
        {"tls-handshake-timeout", APP_DURATION, "10s",
         "a handshake that is not done after this is cut, 100ms to 5m", true, false,
         &values->handshake_timeout_us, 100000, 300000000},
        {"redirect-listen", APP_TEXT, "",
         "a second address, for plain HTTP, that answers everything with where it is under https",
         true, false, &values->redirect_listen, 0, 0},
        {"hsts-max-age", APP_INT, "31536000",
         "seconds for which browsers that came over TLS must never come without (HSTS); 0: not "
         "said",
         true, false, &values->hsts_seconds, 0, INT64_C(10) * 365 * 86400},
        {"services-tls-ca", APP_TEXT, "",
         "speak TLS with services at HOST:PORT (unix sockets stay plain), whose certificates one "
         "of these (PEM file) has signed",
         false, false, &values->services_ca, 0, 0},
        {"services-tls-certificate", APP_TEXT, "",
         "PEM file of the certificate that services are shown, see their --tls-peers", false, false,
         &values->services_certificate, 0, 0},
        {"services-tls-key", APP_TEXT, "", "PEM file of its private key", false, false,
         &values->services_key, 0, 0},
        {"services-tls-name", APP_TEXT, "",
         "name that the services' certificates must carry, whatever their addresses are", false,
         false, &values->services_name, 0, 0},
    };
    _Static_assert(sizeof(settings) / sizeof(settings[0]) == SECURE_SETTINGS, "count them");
    memcpy(out, settings, sizeof(settings));
}

static struct tls_paths server_paths(const struct secure_settings *settings)
{
    return (struct tls_paths){settings->certificate, settings->key, settings->client_ca};
}

static struct tls_paths upstream_paths(const struct secure_settings *settings)
{
    return (struct tls_paths){settings->services_certificate, settings->services_key,
                              settings->services_ca};
}

bool secure_open(struct secure *secure, const struct secure_settings *settings, struct err *err)
{
    struct tls_paths server = server_paths(settings), upstream = upstream_paths(settings);
    bool is_1_3 = strcmp(settings->minimum, "1.3") == 0;

    if (!is_1_3 && strcmp(settings->minimum, "1.2") != 0)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "--tls-minimum is 1.2 or 1.3, not %s",
                       settings->minimum);
    if (tls_paths_any(&server) && !(server.certificates[0] && server.keys[0]))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "TLS needs both --tls-certificate and --tls-key");
    if (settings->redirect_listen[0] && !tls_paths_any(&server))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "--redirect-listen leads to TLS, which needs --tls-certificate");
    if (tls_paths_any(&upstream) && !upstream.ca[0])
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "TLS with the services needs --services-tls-ca: without it anybody could "
                       "be taken for one");
    if (tls_paths_any(&server))
        secure->server = tls_context_new_server(is_1_3 ? TLS_1_3 : TLS_1_2);
    if (tls_paths_any(&upstream))
        secure->upstream = tls_context_new_client(settings->services_name);
    return (secure->server || !tls_paths_any(&server)) &&
                   (secure->upstream || !tls_paths_any(&upstream))
               ? true
               : err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static bool use(const struct tls_material *material, void *context, struct err *err)
{
    return tls_context_use(context, material, err);
}

bool secure_watch(struct secure *secure, const struct secure_settings *settings, struct loop *loop,
                  struct err *err)
{
    struct tls_paths server = server_paths(settings), upstream = upstream_paths(settings);

    if (secure->server &&
        !(secure->watches[0] = tls_watch_new(loop, "server", &server, use, secure->server, err)))
        return false;
    return !secure->upstream || (secure->watches[1] = tls_watch_new(loop, "upstream", &upstream,
                                                                    use, secure->upstream, err));
}

void secure_unwatch(struct secure *secure)
{
    for (unsigned i = 0; i < 2; i++) {
        tls_watch_free(secure->watches[i]);
        secure->watches[i] = NULL;
    }
}

void secure_close(struct secure *secure)
{
    tls_context_free(secure->server);
    tls_context_free(secure->upstream);
    secure->server = secure->upstream = NULL;
}
