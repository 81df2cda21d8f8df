/* service/internal: what is set and what runs, for the files of this layer. */
#ifndef DIALPLANE_SERVICE_INTERNAL_H
#define DIALPLANE_SERVICE_INTERNAL_H

#include "service/service.h"

struct service_settings {
    const char *database_url;
    const char *listen;
    const char *metrics_listen; /* NULL or empty: none */
    bool allow_insecure;
    bool migrate, migrate_only;
    int64_t read_connections, write_connections, session_connections;
    int64_t max_calls;
    int64_t shutdown_grace_us;
    int64_t database_wait_us;
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
    void *context; /* of the handlers */
    struct rpc_server *server;
    struct app_metrics_server *metrics;
    struct loop_timer *readiness_timer;
    bool ready;
    bool is_task; /* instead of serving */
    int task_status;
};
/* Writes /metrics. context is a struct running. */
void service_collect(struct buf *out, void *context);

#endif
