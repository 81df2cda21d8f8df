/* TLS of a service, as it is set. */
#include "service/internal.h"

#include "rpc/secure.h"

#include <string.h>

void service_tls_settings(struct service_settings *s, struct app_setting out[SERVICE_TLS_SETTINGS])
{
    const struct app_setting settings[] = {
        {.name = "tls-certificate",
         .kind = APP_TEXT,
         .default_text = "",
         .ret_value = &s->tls.certificates,
         .help = "speak TLS at every HOST:PORT (unix sockets stay plain) with this PEM file (leaf "
                 "first), read again when it changes and at SIGHUP"},
        {.name = "tls-key",
         .kind = APP_TEXT,
         .default_text = "",
         .ret_value = &s->tls.keys,
         .help = "PEM file of its private key"},
        {.name = "tls-client-ca",
         .kind = APP_TEXT,
         .default_text = "",
         .ret_value = &s->tls.ca,
         .help = "PEM file: callers must show a certificate that one of these has signed"},
        {.name = "tls-peers",
         .kind = APP_TEXT,
         .default_text = "",
         .ret_value = &s->tls_peers,
         .help = "names (DNS or URI) of which a caller's certificate must carry one, a comma list; "
                 "none: any that --tls-client-ca has signed"},
    };
    _Static_assert(sizeof(settings) / sizeof(settings[0]) == SERVICE_TLS_SETTINGS, "count them");
    memcpy(out, settings, sizeof(settings));
}

bool service_tls_open(struct running *running, struct err *err)
{
    const struct service_settings *settings = &running->settings;
    const struct tls_paths *paths = &settings->tls;

    if (!tls_paths_any(paths))
        return !settings->tls_peers[0] ||
               err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "--tls-peers needs --tls-certificate, --tls-key and --tls-client-ca");
    if (!paths->certificates[0] || !paths->keys[0])
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "TLS needs both --tls-certificate and --tls-key");
    running->secure = rpc_secure_new(settings->tls_peers, paths->ca[0], err);
    running->tls_watch = running->secure ? tls_watch_new(running->loop, "server", paths,
                                                         rpc_secure_use, running->secure, err)
                                         : NULL;
    return running->tls_watch != NULL;
}

void service_tls_close(struct running *running)
{
    tls_watch_free(running->tls_watch);
    rpc_secure_free(running->secure);
    running->tls_watch = NULL;
    running->secure = NULL;
}

void service_tls_collect(struct buf *out, const struct running *running)
{
    struct rpc_secure_stats stats = {0};

    tls_metrics(out, &running->tls_watch, 1);
    if (running->secure)
        rpc_secure_stats(running->secure, &stats);
    metrics_one(out, "dialplane_tls_peers_refused_total", "counter",
                "Calls whose certificate names nobody of --tls-peers.",
                (double)stats.peers_refused);
}
