/* The end of a process: the first signal drains, the second one, or the limit, ends it at once. One
 * stop per process. */
#include "app/app.h"

#include "base/log.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    struct loop *loop;
    int64_t limit_us;
    void (*drain)(void *context);
    void *context;
    bool draining;
    struct loop_timer *limit_timer;
} stop;

static void end_now(const char *why)
{
    log_event(LOG_LEVEL_ERROR, "stop_forced", log_text("why", why));
    /* Handlers may be in any state: nothing is taken down, the kernel does it. */
    _exit(1);
}

static void on_limit(void *context)
{
    (void)context;
    end_now("draining took longer than its limit");
}

static void on_signal(void *context)
{
    (void)context;
    if (stop.draining)
        end_now("second signal");
    stop.draining = true;
    app_notify("STOPPING=1");
    log_event(LOG_LEVEL_INFO, "draining", log_int("limit_us", stop.limit_us));
    stop.limit_timer = loop_timer_start(stop.loop, stop.limit_us, on_limit, NULL);
    stop.drain(stop.context);
}

void app_on_stop(struct loop *loop, int64_t limit_us, void (*drain)(void *context), void *context)
{
    stop.loop = loop;
    stop.limit_us = limit_us;
    stop.drain = drain;
    stop.context = context;
    /* Writing to a peer that has gone is an error code, not a signal. */
    signal(SIGPIPE, SIG_IGN);
    if (!loop_on_signal(loop, SIGTERM, on_signal, NULL) ||
        !loop_on_signal(loop, SIGINT, on_signal, NULL)) {
        log_event(LOG_LEVEL_ERROR, "no_signal_handlers", log_text("why", "libevent refused them"));
        exit(1);
    }
}

void app_drained(struct loop *loop)
{
    loop_timer_cancel(stop.limit_timer);
    stop.limit_timer = NULL;
    log_event(LOG_LEVEL_INFO, "drained", log_text("version", app_version));
    loop_stop(loop);
}
