/* A service from start to end.
 *
 * settings → schema → migrations → pool → the service's own start → gRPC → /metrics → ready when
 * the database answers SIGTERM: gRPC stops (grace) → the service's own stop → pool → exit 0
 *
 * With a task instead: settings → schema → migrations → pool → the task → pool → its exit status */
#include "service/internal.h"

#include "app/exposure.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READINESS_PERIOD_US (TIME_US_PER_SECOND / 4)
/* What rpc_server_stop() may need beyond the grace, and some. */
#define STOP_MARGIN_US (15 * TIME_US_PER_SECOND)
/* A week: whoever waits for a task has started it. */
#define TASK_TIMEOUT_US (INT64_C(7) * 24 * 3600 * TIME_US_PER_SECOND)

/* The one clear line of a start that failed. What is up by then (core's threads, connections) goes
 * with the process. */
__attribute__((noreturn)) static void refuse(const struct running *running, const struct err *err)
{
    /* libpq writes its hints on lines of their own. */
    char line[sizeof(err->message)];
    size_t length = 0;
    for (const char *c = err->message; *c; c++) {
        bool space = *c == ' ' || *c == '\n' || *c == '\t';
        if (!space || (length && line[length - 1] != ' '))
            line[length++] = space ? ' ' : *c;
    }
    fprintf(stderr, "%s: %.*s\n", running->service->process, (int)length, line);
    fflush(NULL);
    _exit(1);
}

/* ---- Readiness ---- */

static void look_at_pool(void *context)
{
    struct running *running = context;
    bool ready = pg_pool_is_ready(running->pool);
    if (ready == running->ready)
        return;
    running->ready = ready;
    if (ready)
        app_notify("READY=1");
    log_event(ready ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, ready ? "ready" : "not_ready",
              log_text("listen", running->settings.listen),
              log_int("port", rpc_server_port(running->server)));
    rpc_server_set_serving(running->server, ready);
}

/* ---- Drain ---- */

static void on_traces_sent(void *context)
{
    struct running *running = context;
    app_drained(running->loop);
}

static void on_server_stopped(void *context)
{
    struct running *running = context;
    service_auth_pause(running);
    if (running->service->stop && running->context)
        running->service->stop(running->context);
    running->context = NULL;
    app_metrics_stop(running->metrics);
    running->metrics = NULL;
    pg_pool_free(running->pool);
    running->pool = NULL;
    service_trace_close(running, on_traces_sent);
}

static void drain(void *context)
{
    struct running *running = context;
    loop_timer_cancel(running->readiness_timer);
    running->readiness_timer = NULL;
    running->ready = false;
    rpc_server_stop(running->server, on_server_stopped, running);
}

/* ---- Start ---- */

static bool open_pool(struct running *running, struct err *err)
{
    const struct service_settings *settings = &running->settings;
    struct pg_options options = {
        .connection_string = settings->database_url,
        .roles = settings->database_roles,
        .read_connections = (unsigned)settings->read_connections,
        .write_connections = (unsigned)settings->write_connections,
        .session_connections = (unsigned)settings->session_connections,
        .statement_timeout_us = running->is_task ? TASK_TIMEOUT_US : 0,
    };
    running->pool = pg_pool_new(running->loop, &options);
    return running->pool ||
           err_set(err, ERR_INVALID_ARGUMENT, NULL, "the database URL cannot be used");
}

static bool start_server(struct running *running, struct err *err)
{
    const struct service *service = running->service;
    const struct service_settings *settings = &running->settings;
    struct rpc_options options = {
        .listen = settings->listen,
        .allow_insecure = settings->allow_insecure,
        .max_calls = (unsigned)settings->max_calls,
        .leave_us = settings->shutdown_leave_us,
        .tracer = running->tracer,
        .grace_us = settings->shutdown_grace_us ? settings->shutdown_grace_us : 1,
        .auth = running->auth,
        .secure = running->secure,
    };
    running->server =
        rpc_server_start(running->loop, running->schema, &options, service->services,
                         service->handlers, service->handler_count, running->context, err);
    return running->server != NULL;
}

static bool start_all(struct running *running, struct err *err)
{
    const struct service *service = running->service;
    if (!service_tls_open(running, err) || !service_trace_open(running, err) ||
        !open_pool(running, err) || !service_auth_open(running, err))
        return false;
    if (service->start) {
        running->context = service->start(running->loop, running->pool, running->schema, err);
        if (!running->context)
            return false;
    }
    if (!start_server(running, err))
        return false;
    if (running->settings.metrics_listen) {
        running->metrics =
            app_metrics_start(running->loop, running->settings.metrics_listen,
                              running->settings.allow_insecure, service_collect, running, err);
        if (!running->metrics)
            return false;
    }
    return true;
}

static bool prepare(struct running *running, struct err *err)
{
    const struct service_settings *settings = &running->settings;
    running->schema = schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, err);
    if (!running->schema)
        return false;
    bool applies = settings->migrate || settings->migrate_only;
    if (!applies)
        return pg_migrate_check(settings->database_url, dialplane_migrations,
                                dialplane_migration_count, settings->database_wait_us, err);
    return pg_migrate(settings->database_url, settings->database_roles, dialplane_migrations,
                      dialplane_migration_count, settings->database_wait_us, err);
}

/* ---- A task ---- */

static void on_task_done(void *context, int status)
{
    struct running *running = context;
    running->task_status = status;
    loop_stop(running->loop);
}

static int run_task(struct running *running)
{
    struct err err = {0};
    if (!open_pool(running, &err))
        refuse(running, &err);
    running->service->run_task(running->loop, running->pool, on_task_done, running);
    loop_run(running->loop);
    pg_pool_free(running->pool);
    loop_free(running->loop);
    schema_free(running->schema);
    return running->task_status;
}

int service_main(const struct service *service, int argc, char **argv)
{
    struct running running = {.service = service};
    struct err err = {0};
    service_configure(service, argc, argv, &running.settings);
    running.is_task = service->has_task && service->has_task();
    if (!prepare(&running, &err))
        refuse(&running, &err);
    if (running.settings.migrate_only) {
        schema_free(running.schema);
        return 0;
    }
    running.loop = loop_new(NULL);
    if (!running.loop) {
        err_set(&err, ERR_INTERNAL, NULL, "libevent gives no event loop");
        refuse(&running, &err);
    }
    if (running.is_task)
        return run_task(&running);
    if (!start_all(&running, &err))
        refuse(&running, &err);
    app_on_stop(running.loop,
                running.settings.shutdown_leave_us + running.settings.shutdown_grace_us +
                    STOP_MARGIN_US,
                drain, &running);
    running.readiness_timer =
        loop_timer_repeat(running.loop, READINESS_PERIOD_US, look_at_pool, &running);
    log_event(LOG_LEVEL_INFO, "listening", log_text("version", app_version),
              log_text("listen", running.settings.listen),
              log_int("port", rpc_server_port(running.server)),
              log_text("metrics", running.settings.metrics_listen),
              log_int("metrics_port", app_metrics_port(running.metrics)));
    loop_run(running.loop);
    /* Now nothing calls back any more. */
    rpc_server_free(running.server);
    service_auth_close(&running);
    service_tls_close(&running);
    loop_free(running.loop);
    schema_free(running.schema);
    return 0;
}
