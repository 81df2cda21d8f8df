/* A process with one setting of each kind: prints them, and with --serve runs metrics and drains
 * like a real one. */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>

static const char *listen_on, *password;
static int64_t count, wait_us, size_bytes;
static bool verbose, serve, slow;

static const struct app_setting settings[] = {
    {.name = "listen",
     .kind = APP_TEXT,
     .own = true,
     .default_text = "127.0.0.1:0",
     .help = "where to listen",
     .ret_value = &listen_on},
    {.name = "password",
     .kind = APP_TEXT,
     .secret = true,
     .help = "a secret",
     .ret_value = &password},
    {.name = "count",
     .kind = APP_INT,
     .default_text = "5",
     .minimum = 1,
     .maximum = 10,
     .help = "how many, 1 to 10",
     .ret_value = &count},
    {.name = "wait",
     .kind = APP_DURATION,
     .default_text = "250ms",
     .minimum = 0,
     .maximum = 60 * TIME_US_PER_SECOND,
     .help = "how long, up to 1m",
     .ret_value = &wait_us},
    {.name = "size",
     .kind = APP_SIZE,
     .default_text = "64KB",
     .help = "how large",
     .ret_value = &size_bytes},
    {.name = "verbose",
     .kind = APP_BOOL,
     .default_text = "true",
     .help = "says more",
     .ret_value = &verbose},
    {.name = "serve",
     .kind = APP_BOOL,
     .default_text = "false",
     .help = "runs until stopped",
     .ret_value = &serve},
    {.name = "slow",
     .kind = APP_BOOL,
     .default_text = "false",
     .help = "never drains",
     .ret_value = &slow},
};

static void collect(struct buf *out, void *context)
{
    (void)context;
    metrics_family(out, "probe_total", "counter", "A figure.");
    metrics_sample(out, "probe_total", "kind=\"a\"", 42);
    metrics_sample(out, "probe_total", "kind=\"b\"", 0.5);
}

static void drain(void *context)
{
    if (!slow)
        app_drained(context);
}

int main(int argc, char **argv)
{
    app_configure("dialplane-probe", "Shows what its settings came to.", settings,
                  sizeof(settings) / sizeof(settings[0]), argc, argv);
    printf("listen=%s password=%s count=%lld wait=%lld size=%lld verbose=%d\n", listen_on,
           password ? "set" : "unset", (long long)count, (long long)wait_us, (long long)size_bytes,
           verbose);
    fflush(stdout);
    if (!serve)
        return 0;
    struct loop *loop = loop_new(NULL);
    struct err err = {0};
    struct app_metrics_server *metrics =
        app_metrics_start(loop, listen_on, false, collect, NULL, &err);
    if (!metrics) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    app_on_stop(loop, TIME_US_PER_SECOND, drain, loop);
    printf("serving\n");
    fflush(stdout);
    loop_run(loop);
    app_metrics_stop(metrics);
    loop_free(loop);
    return 0;
}
