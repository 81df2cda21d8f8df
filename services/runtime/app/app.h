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
        APP_SIZE
    } kind;                   /* durations "250ms", "5s", "2m"; sizes "64KB", "8MB" */
    const char *default_text; /* NULL: none */
    const char *help;         /* one line, with unit and range */
    bool own;                 /* the variable carries the process's name */
    bool secret;              /* never shown or logged */
    void *ret_value;          /* const char * / int64_t (plain, µs, bytes) / bool */
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

/* Ends the loop on SIGTERM/SIGINT: calls drain once (which must end in app_drained()), at the
 * second signal or after limit_us stops hard. */
void app_on_stop(struct loop *loop, int64_t limit_us, void (*drain)(void *context), void *context);
void app_drained(struct loop *loop);

/* Prometheus text (0.0.4) on a small HTTP port of its own, and /healthz; evhttp, loopback unless
 * allow_insecure. collect runs on the loop. */
struct app_metrics_server;
struct app_metrics_server *app_metrics_start(struct loop *loop, const char *listen,
                                             bool allow_insecure,
                                             void (*collect)(struct buf *out, void *context),
                                             void *context, struct err *err);
void app_metrics_stop(struct app_metrics_server *server);

/* Writers of the exposition format. labels: "method=\"x\"" or NULL. */
void metrics_family(struct buf *out, const char *name, const char *type, const char *help);
void metrics_sample(struct buf *out, const char *name, const char *labels, double value);

extern const char app_version[]; /* "0.1.0+<commit>" */

#endif
