/* service/internal: what is set and what runs, for the files of this layer. */
#ifndef DIALPLANE_SERVICE_INTERNAL_H
#define DIALPLANE_SERVICE_INTERNAL_H

#include "rpc/exporter.h"
#include "service/credentials.h"
#include "service/service.h"
#include "tls/tls.h"

struct service_settings {
    const char *database_url;
    const char *database_roles;
    const char *listen;
    const char *metrics_listen; /* NULL or empty: none */
    bool allow_insecure;
    bool migrate, migrate_only;
    int64_t read_connections, write_connections, session_connections;
    int64_t max_calls;
    int64_t shutdown_grace_us, shutdown_leave_us;
    const char *auth, *auth_keys, *auth_issuer, *auth_audience;
    const char *auth_keys_ca; /* NULL: the system's */
    int64_t auth_keys_refresh_us, auth_keys_retry_us, auth_keys_wait_us;
    int64_t auth_leeway_us, auth_cache, auth_recheck_us;
    bool auth_hs256;
    int64_t database_wait_us;
    struct app_trace_settings trace;
    struct tls_paths tls; /* empty: plain */
    const char *tls_peers;
};
/* Reads them, and the service's own, and ends the process when one is wrong. */
void service_configure(const struct service *service, int argc, char **argv,
                       struct service_settings *ret_settings);

struct running {
    const struct service *service;
    struct service_settings settings;
    struct loop *loop;
    struct schema *schema;
    struct pg_pool *pool;
    void *context;     /* of the handlers */
    struct auth *auth; /* NULL: off */
    struct credentials *credentials;
    struct key_fetch *key_fetch; /* NULL: the keys are in a file */
    struct loop_timer *auth_timer;
    struct rpc_secure *secure; /* NULL: plain */
    struct tls_watch *tls_watch;
    struct rpc_server *server;
    struct app_metrics_server *metrics;
    struct loop_timer *readiness_timer;
    struct rpc_exporter *exporter;
    struct tracer *tracer; /* NULL: tracing is off */
    void (*traces_closed)(void *context);
    bool ready;
    bool is_task; /* instead of serving */
    int task_status;
};
/* Writes /metrics. context is a struct running. */
void service_collect(struct buf *out, void *context);

/* authentication.c: after the pool; nothing happens with --auth off. */
bool service_auth_open(struct running *running, struct err *err);
/* At drain: asks for nothing any more. */
void service_auth_pause(struct running *running);
/* After the server and the pool are gone, before the loop is. */
void service_auth_close(struct running *running);
void service_auth_collect(struct buf *out, const struct running *running);

/* tls.c */
#define SERVICE_TLS_SETTINGS 4
void service_tls_settings(struct service_settings *s, struct app_setting out[SERVICE_TLS_SETTINGS]);
/* From the settings, before the server; nothing happens when they say so. */
bool service_tls_open(struct running *running, struct err *err);
/* After the server has gone, before the loop. */
void service_tls_close(struct running *running);
void service_tls_collect(struct buf *out, const struct running *running);

/* trace.c: from the settings; nothing happens when they say so. */
bool service_trace_open(struct running *running, struct err *err);
/* After the last call: sends what is there, then calls done on the loop. */
void service_trace_close(struct running *running, void (*done)(void *context));

#endif
