/* service: what a service's main.c is made of: settings, migrations, pool, schema, server, metrics
 * and drain in one call. */
#ifndef DIALPLANE_SERVICE_SERVICE_H
#define DIALPLANE_SERVICE_SERVICE_H

#include "app/app.h"
#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "rpc/rpc.h"
#include "schema/schema.h"

/* What a service's main.c is: a description, and service_main() does the rest (settings,
 * migrations, pool, server, metrics, drain). */
struct service {
    const char *process; /* "dialplane-skillbase" */
    const char *summary;
    const char *default_listen;         /* "127.0.0.1:7001" */
    const char *default_metrics_listen; /* "127.0.0.1:9101" */
    const char *const *services;        /* full names, NULL-terminated */
    const struct rpc_handler *handlers;
    size_t handler_count;
    const struct app_setting *settings; /* the service's own, may be NULL */
    size_t setting_count;
    /* After the pool and before the server; gives the handlers' context, or NULL with err. */
    void *(*start)(struct loop *loop, struct pg_pool *pool, const struct schema *schema,
                   struct err *err);
    /* At drain, before the pool goes; may be NULL. */
    void (*stop)(void *context);
    void (*collect)(struct buf *out, void *context); /* own metrics, may be NULL */
    /* A task on the database instead of serving (may be NULL). has_task: whether the settings ask
     * for one; it ends the process itself when they contradict each other. run_task ends by calling
     * done, on the loop, with the exit status of the process. Statements have no time limit then.
     */
    bool (*has_task)(void);
    void (*run_task)(struct loop *loop, struct pg_pool *pool,
                     void (*done)(void *context, int status), void *context);
};
int service_main(const struct service *service, int argc, char **argv);

#endif
