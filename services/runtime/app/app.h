/* app: what every process is: settings from flags and DIALPLANE_* variables, start → ready → drain
 * → stop, /metrics. */
#ifndef DIALPLANE_APP_APP_H
#define DIALPLANE_APP_APP_H

#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One setting. "listen" is the flag --listen and the variable DIALPLANE_<PROCESS>_LISTEN when `own`
 * is set, else DIALPLANE_LISTEN. A flag beats the variable, the variable the default. */
struct app_setting {
    const char *name;
    enum {
        APP_TEXT,
        APP_INT,
        APP_BOOL,
        APP_DURATION,
        APP_SIZE,
        APP_RATIO
    } kind; /* durations "250ms", "5s", "2m"; sizes "64KB", "8MB"; a ratio from 0 to 1, "0.05" */
    const char *default_text; /* NULL: none */
    const char *help;         /* one line, with unit and range */
    bool own;                 /* the variable carries the process's name */
    bool secret;              /* never shown or logged */
    void *ret_value;          /* const char * / int64_t (plain, µs, bytes) / bool / double */
    int64_t minimum, maximum; /* numbers; both 0: no range */
};

/* Reads argv and the environment; prints --help (all settings with variable and default) or
 * --version and exits 0. A bad value: one clear line on stderr and exit 2. Values live as long as
 * the process. */
void app_configure(const char *process, const char *summary, const struct app_setting *settings,
                   size_t count, int argc, char **argv);

/* Reads one value as a setting of its kind does ("5s" of an APP_DURATION), with its range, into
 * ret_value; for programs whose settings come otherwise. False: `reason` says what it must be; the
 * caller says which setting. */
bool app_value_set(const struct app_setting *setting, const char *text, char *reason,
                   size_t reason_size);
/* Levenshtein's distance of two names of up to 63 characters, for "did you mean". */
size_t app_name_distance(const char *a, const char *b);

/* Settings every process has: log-level, log-format; applied by app_configure(). */

/* Settings of processes that record traces (app/trace.h). The variables of OpenTelemetry,
 * OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_TRACES_SAMPLER_ARG, are the defaults. */
struct app_trace_settings {
    const char *endpoint; /* NULL or empty: tracing is off */
    double ratio;
};
#define APP_TRACE_SETTINGS 2
void app_trace_settings(struct app_setting out[APP_TRACE_SETTINGS],
                        struct app_trace_settings *values);

/* Ends the loop on SIGTERM/SIGINT: calls drain once (which must end in app_drained()), at the
 * second signal or after limit_us stops hard. */
void app_on_stop(struct loop *loop, int64_t limit_us, void (*drain)(void *context), void *context);
void app_drained(struct loop *loop);

/* Tells the service manager, when there is one that asks (systemd's Type=notify): "READY=1",
 * "STOPPING=1". */
void app_notify(const char *state);

/* Prometheus text (0.0.4) on a small HTTP port of its own, and /healthz; evhttp, loopback unless
 * allow_insecure. collect runs on the loop. */
struct app_metrics_server;
struct app_metrics_server *app_metrics_start(struct loop *loop, const char *listen,
                                             bool allow_insecure,
                                             void (*collect)(struct buf *out, void *context),
                                             void *context, struct err *err);
/* The one that was bound; 0 without a server. */
int app_metrics_port(const struct app_metrics_server *server);
void app_metrics_stop(struct app_metrics_server *server);

/* Writers of the exposition format. labels: "method=\"x\"" or NULL. */
void metrics_family(struct buf *out, const char *name, const char *type, const char *help);
void metrics_sample(struct buf *out, const char *name, const char *labels, double value);

/* type "histogram": buckets[i] counts what is <= limits[i] and above the one before; the last of
 * limit_count + 1 buckets is for all above. */
void metrics_histogram(struct buf *out, const char *name, const char *labels, const double *limits,
                       size_t limit_count, const uint64_t *buckets, double sum);
/* A family with one sample without labels. */
void metrics_one(struct buf *out, const char *name, const char *type, const char *help,
                 double value);

/* Durations, in the buckets that all our histograms of time have:
 * 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500 ms, 1, 2, 5, 10, 30 s, more. */
#define DURATION_BUCKETS 16
extern const double duration_limits[DURATION_BUCKETS - 1]; /* seconds */
struct durations {
    uint64_t buckets[DURATION_BUCKETS];
    uint64_t total_us;
};
void durations_add(struct durations *durations, int64_t us);
void metrics_durations(struct buf *out, const char *name, const char *labels,
                       const struct durations *durations);

/* What every process shows of itself: version, CPU seconds, memory, file descriptors, start. */
void metrics_process(struct buf *out);

struct tracer_stats;
void metrics_tracer(struct buf *out, const struct tracer_stats *stats);

extern const char app_version[]; /* "0.1.0+<commit>" */

#endif
