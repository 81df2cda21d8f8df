/* dialplane-gateway: HTTP, WebSocket and JSON in front, gRPC behind. One thread a core; the first
 * is also the one that is asked to stop. */
#include "app/app.h"
#include "app/exposure.h"
#include "base/log.h"
#include "gateway/limit_settings.h"
#include "gateway/pages/docs.h"
#include "gateway/pages/pages.h"
#include "gateway/redirect.h"
#include "gateway/secure.h"
#include "gateway/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREADS_MAX 64

static const char *listen_address, *cors_origins, *pages_directory;
static const char *skillbase_address, *campaign_address, *analytics_address;
static int64_t threads, grace_us, drain_idle_us, keep_alive_us, upstream_connections,
    connection_limit;
static const char *auth;
static bool allow_insecure;
static struct app_trace_settings trace;
static struct limit_settings limit_values;
static char trace_address[256];
static unsigned inherited; /* sockets that were given to us */
static struct secure_settings secure_values;
static struct secure secure;
static struct redirect redirect;
static struct gateway gateway;

static const struct app_setting settings[] = {
    {"listen", APP_TEXT, "127.0.0.1:8000",
     "address and port for HTTP and WebSocket; sockets given by systemd (LISTEN_FDS) go before",
     true, false, &listen_address, 0, 0},
    {"auth", APP_TEXT, NULL,
     "who may call; one of them must be given: \"token\" (who shows a token, which the services "
     "verify: theirs must be \"token\" as well) or \"off\" (everybody: on loopback only)",
     false, false, &auth, 0, 0},
    {"allow-insecure", APP_BOOL, "false",
     "listen on addresses that are not loopback although what passes there, tokens included, is "
     "not encrypted; never with --auth off",
     false, false, &allow_insecure, 0, 0},
    {"threads", APP_INT, "0", "threads, 0 to 64; 0: one a core", true, false, &threads, 0,
     THREADS_MAX},
    {"skillbase", APP_TEXT, "127.0.0.1:7001",
     "where the skillbase service is: host:port or unix:/path, a comma list for several", false,
     false, &skillbase_address, 0, 0},
    {"campaign", APP_TEXT, "127.0.0.1:7002", "where the campaign service is", false, false,
     &campaign_address, 0, 0},
    {"analytics", APP_TEXT, "127.0.0.1:7003", "where the analytics service is", false, false,
     &analytics_address, 0, 0},
    {"upstream-connections", APP_INT, "1",
     "connections of each thread to each address of a service, 1 to 16", true, false,
     &upstream_connections, 1, 16},
    {"timeout", APP_DURATION, "30s", "deadline of calls whose method names none, 100ms to 10m",
     true, false, &gateway.options.timeout_us, 100000, 600000000},
    {"body-limit", APP_SIZE, "1MB", "largest JSON body, 1KB to 64MB", true, false,
     &gateway.options.body_limit_bytes, 1024, 64 << 20},
    {"upload-limit", APP_SIZE, "100MB", "largest uploaded file, 1KB to 16GB", true, false,
     &gateway.options.upload_limit_bytes, 1024, INT64_C(16) << 30},
    {"max-in-flight", APP_INT, "4096",
     "requests under way in each thread, 1 to 100000; more get 503", true, false,
     &gateway.options.max_in_flight, 1, 100000},
    {"max-connections", APP_INT, "10000", "connections of each thread, 1 to 1000000", true, false,
     &connection_limit, 1, 1000000},
    {"live-buffer", APP_SIZE, "1MB", "history kept of each watched stream, 16KB to 64MB", true,
     false, &gateway.options.live_buffer_bytes, 16 << 10, 64 << 20},
    {"live-stall", APP_DURATION, "5s",
     "a watcher further behind than the history that takes nothing for so long is closed, 100ms to "
     "5m",
     true, false, &gateway.options.live_stall_us, 100000, 300000000},
    {"live-behind", APP_INT, "256",
     "watchers of each thread that may be further behind than the history and catch up on streams "
     "of their own, 0 to 100000; more are closed",
     true, false, &gateway.options.live_behind, 0, 100000},
    {"keep-alive", APP_DURATION, "75s", "an idle connection is closed after this, 1s to 1h", true,
     false, &keep_alive_us, 1000000, 3600000000},
    {"grace", APP_DURATION, "10s", "time for requests under way at stop, 0s to 5m", true, false,
     &grace_us, 0, 300000000},
    {"drain-idle", APP_DURATION, "1s",
     "at stop, how long an idle connection may still bring a request, 0s to 5m", true, false,
     &drain_idle_us, 0, 300000000},
    {"cors-origins", APP_TEXT, "",
     "origins of pages that may call, such as https://app.example.com; a comma list, or *", true,
     false, &cors_origins, 0, 0},
    {"pages", APP_TEXT, "", "directory of static files to serve instead of the built-in ones", true,
     false, &pages_directory, 0, 0},
    {"access-log", APP_BOOL, "true", "one line a request", true, false, &gateway.options.access_log,
     0, 0},
};

/* A thread: its worker, and the letters that reach it. */
struct thread {
    struct loop_letter drain, drained, stop;
    struct worker *worker;
    pthread_t handle;
    bool started, stopped;
};

static struct worker workers[THREADS_MAX];
static struct thread thread_of[THREADS_MAX];
static unsigned drained_count;

static void on_thread_drained(struct loop_letter *letter)
{
    (void)letter;
    if (++drained_count == gateway.worker_count)
        app_drained(workers[0].loop);
}

/* On the thread's own loop: all its exchanges have ended. */
static void on_server_stopped(void *context)
{
    struct thread *thread = context;

    /* The loop goes on until all have drained: a question for /metrics that another thread still
     * answers comes through here. */
    thread->drained.deliver = on_thread_drained;
    loop_post(workers[0].loop, &thread->drained);
}

static void on_drain(struct loop_letter *letter)
{
    struct thread *thread = (struct thread *)letter; /* its first member */

    worker_drain(thread->worker, grace_us, on_server_stopped, thread);
}

static void drain(void *context)
{
    (void)context;
    redirect_stop(&redirect);
    for (unsigned i = 0; i < gateway.worker_count; i++) {
        thread_of[i].drain.deliver = on_drain;
        loop_post(workers[i].loop, &thread_of[i].drain);
    }
}

static void *run_thread(void *context)
{
    struct thread *thread = context;

    loop_run(thread->worker->loop);
    return NULL;
}

static void on_stop(struct loop_letter *letter)
{
    struct thread *thread = (struct thread *)((char *)letter - offsetof(struct thread, stop));

    loop_stop(thread->worker->loop);
}

/* All have drained, or the start has failed; or their time is over, and what they do ends now. */
static void join_threads(void)
{
    for (unsigned i = 1; i < gateway.worker_count; i++) {
        if (!thread_of[i].started)
            continue;
        thread_of[i].stop.deliver = on_stop;
        loop_post(workers[i].loop, &thread_of[i].stop);
        pthread_join(thread_of[i].handle, NULL);
    }
}

/* Sockets that systemd, or whoever keeps them over our restarts, has opened for us:
 * sd_listen_fds(3). Gives how many; they are 3, 4, … */
static unsigned inherited_sockets(void)
{
    const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    int64_t pid, number;

    if (!process || !count || !str_parse_int64(str_from(process), &pid) || pid != getpid() ||
        !str_parse_int64(str_from(count), &number) || number < 1 || number > THREADS_MAX)
        return 0;
    return (unsigned)number;
}

/* The one place that decides where we may listen. */
static bool check_exposure(struct err *err)
{
    struct exposure exposure = {
        .address = listen_address,
        .authenticates = gateway.options.authenticates,
        .is_encrypted = secure.server != NULL,
        .allow_insecure = allow_insecure,
    };
    char address[16];

    if (!inherited)
        return exposure_allow(&exposure, err);
    exposure.address = address;
    for (unsigned i = 0; i < inherited; i++) {
        snprintf(address, sizeof(address), "fd:%u", 3 + i);
        if (!exposure_allow(&exposure, err))
            return false;
    }
    return true;
}

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void configure(int argc, char **argv)
{
    const size_t own = sizeof(settings) / sizeof(settings[0]);
    struct app_setting all[sizeof(settings) / sizeof(settings[0]) + SECURE_SETTINGS +
                           APP_TRACE_SETTINGS + LIMIT_SETTINGS];

    memcpy(all, settings, sizeof(settings));
    secure_settings(all + own, &secure_values);
    app_trace_settings(all + own + SECURE_SETTINGS, &trace);
    limit_settings_list(all + own + SECURE_SETTINGS + APP_TRACE_SETTINGS, &limit_values);
    app_configure("dialplane-gateway",
                  "JSON over HTTP and WebSocket in front of Dialplane's services", all,
                  sizeof(all) / sizeof(all[0]), argc, argv);
    const char *why = exposure_auth_problem(auth);
    if (why) {
        fprintf(stderr, "dialplane-gateway: %s\n", why);
        exit(2);
    }
    gateway.options.authenticates = exposure_auth_is_on(auth);
}

static bool start_shared(struct err *err)
{
    if (!trace_endpoint_parse(trace.endpoint, trace_address, sizeof(trace_address), err) ||
        !secure_open(&secure, &secure_values, err))
        return false;
    gateway.secure = &secure;
    if (secure_values.hsts_seconds)
        snprintf(gateway.hsts, sizeof(gateway.hsts), "max-age=%lld",
                 (long long)secure_values.hsts_seconds);
    if (!check_exposure(err))
        return false;
    gateway.schema = schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, err);
    if (!gateway.schema)
        return false;
    gateway.router = router_new(gateway.schema, err);
    if (!gateway.router)
        return false;
    gateway.cors = cors_new(cors_origins, err);
    if (!gateway.cors)
        return false;
    gateway.limits = limits_new(&limit_values.rates, err);
    if (!gateway.limits)
        return false;
    gateway.options.body_memory_bytes = limit_values.body_memory_bytes;
    gateway.pages = pages_new(pages_directory, err);
    return gateway.pages && docs_add(gateway.pages, gateway.schema, err);
}

static bool start_workers(struct err *err)
{
    struct worker_options options = {
        .listen = listen_address,
        .reuse_port = gateway.worker_count > 1,
        .limits =
            {
                .connections = (uint32_t)connection_limit,
                .handshake_timeout_us = secure_values.handshake_timeout_us,
                .keep_alive_us = keep_alive_us,
                .drain_idle_us = drain_idle_us,
                .arena_bytes = (size_t)(2 * gateway.options.body_limit_bytes) + (1 << 20),
            },
        .addresses = {skillbase_address, campaign_address, analytics_address},
        .upstream = {.connections = (unsigned)upstream_connections,
                     .watch_health = true,
                     .authenticates = gateway.options.authenticates,
                     .tls = secure.upstream},
        .trace_address = trace_address,
        .trace_ratio = trace.ratio,
    };
    char address[128];

    limit_settings_apply(&limit_values, gateway.limits, &options.limits);
    for (unsigned i = 0; i < gateway.worker_count; i++) {
        workers[i].gateway = &gateway;
        workers[i].index = i;
        thread_of[i].worker = &workers[i];
        if (inherited) {
            snprintf(address, sizeof(address), "fd:%u", 3 + i % inherited);
            options.listen = address;
        }
        if (!worker_init(&workers[i], &options, err))
            return false;
        if (i == 0 && !inherited) { /* port 0: the others share the one that was found */
            const char *colon = strrchr(listen_address, ':');
            snprintf(address, sizeof(address), "%.*s:%d", colon ? (int)(colon - listen_address) : 0,
                     listen_address, http_server_port(workers[0].server));
            options.listen = address;
        }
    }
    if (!secure_watch(&secure, &secure_values, workers[0].loop, err))
        return false;
    if (secure_values.redirect_listen[0] &&
        !redirect_start(&redirect, workers[0].loop, secure_values.redirect_listen,
                        http_server_port(workers[0].server), &options.limits, err))
        return false;
    if (!limits_share(gateway.limits, workers[0].loop, limit_values.rates.redis_url, err))
        return false;
    for (unsigned i = 1; i < gateway.worker_count; i++) {
        if (pthread_create(&thread_of[i].handle, NULL, run_thread, &thread_of[i]) != 0)
            return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "a thread could not be started");
        thread_of[i].started = true;
    }
    return true;
}

static void stop_all(void)
{
    join_threads();
    secure_unwatch(&secure);
    redirect_free(&redirect);
    limits_unshare(gateway.limits); /* its timers live on the first thread's loop */
    for (unsigned i = 0; i < gateway.worker_count; i++)
        if (workers[i].gateway)
            worker_done(&workers[i]);
    secure_close(&secure);
    pages_free(gateway.pages);
    cors_free(gateway.cors);
    limits_free(gateway.limits);
    router_free(gateway.router);
    schema_free((struct schema *)(uintptr_t)gateway.schema);
}

int main(int argc, char **argv)
{
    struct err err = {0};

    configure(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    gateway.backends[0] = "skillbase";
    gateway.backends[1] = "campaign";
    gateway.backends[2] = "analytics";
    gateway.backend_count = 3;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!threads)
        threads = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : cores;
    gateway.worker_count = (unsigned)threads;
    gateway.workers = workers;

    inherited = inherited_sockets();
    if (!start_shared(&err) || !start_workers(&err)) {
        fprintf(stderr, "dialplane-gateway: %s\n", err.message);
        stop_all();
        return 1;
    }
    app_on_stop(workers[0].loop, grace_us + 5 * TIME_US_PER_SECOND, drain, NULL);
    if (!gateway.options.authenticates)
        log_event(LOG_LEVEL_WARN, "authentication_off",
                  log_text("consequence", "whoever reaches this port is asked nothing here"));
    log_event(LOG_LEVEL_INFO, "started", log_text("version", app_version),
              log_text("listen", inherited ? "inherited" : listen_address),
              log_int("port", http_server_port(workers[0].server)),
              log_text("scheme", secure.server ? "https" : "http"),
              log_int("threads", gateway.worker_count));
    app_notify("READY=1");
    loop_run(workers[0].loop);
    stop_all();
    log_event(LOG_LEVEL_INFO, "stopped", log_text("version", app_version));
    return 0;
}
