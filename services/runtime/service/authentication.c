/* Who may call: the keys of tokens from a file or a URL, and what only the database knows. */
#include "service/internal.h"

#include "app/exposure.h"
#include "auth/key_fetch.h"
#include "base/log.h"

#include <time.h>

#define TICK_US TIME_US_PER_SECOND
#define KEY_SET_BYTES ((size_t)256 * 1024)

static void on_tick(void *context)
{
    struct running *running = context;

    auth_tick(running->auth);
}

static void on_fetched(void *context, struct str text, const struct err *err)
{
    struct running *running = context;

    auth_keys_fetched(running->auth, text, err);
}

static void fetch(void *context)
{
    struct running *running = context;

    key_fetch_start(running->key_fetch);
}

static void pause_us(int64_t us)
{
    const struct timespec time = {us / TIME_US_PER_SECOND, us % TIME_US_PER_SECOND * 1000};

    nanosleep(&time, NULL);
}

/* At start, before the loop runs: without keys nobody could be let in, so a service waits for them
 * a while, and then says what is wrong instead of pretending to serve. */
static bool fetch_first(const struct service_settings *settings, struct buf *text, struct err *err)
{
    const struct clock *clock = clock_system();
    int64_t until = clock->monotonic_us(clock) + settings->auth_keys_wait_us;

    while (!key_fetch_now(settings->auth_keys, settings->auth_keys_ca, text, err)) {
        if (clock->monotonic_us(clock) >= until)
            return false;
        log_event(LOG_LEVEL_WARN, "key_set_awaited", log_text("reason", err->message));
        buf_reset(text);
        pause_us(TIME_US_PER_SECOND);
    }
    return true;
}

static bool open_keys(struct running *running, struct auth_options *options, struct buf *text,
                      struct err *err)
{
    const struct service_settings *settings = &running->settings;

    if (!key_fetch_is_url(settings->auth_keys)) {
        options->key_set_path = settings->auth_keys;
        return true;
    }
    if (!fetch_first(settings, text, err))
        return false;
    options->key_set_text = buf_str(text);
    running->key_fetch = key_fetch_new(running->loop, settings->auth_keys, settings->auth_keys_ca,
                                       on_fetched, running);
    return running->key_fetch || err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

bool service_auth_open(struct running *running, struct err *err)
{
    const struct service_settings *settings = &running->settings;
    const struct auth_key_source source = {.context = running, .fetch = fetch};
    struct buf text;

    if (!exposure_auth_is_on(settings->auth)) {
        log_event(LOG_LEVEL_WARN, "authentication_off",
                  log_text("consequence", "whoever reaches this port is the platform's "
                                          "administrator and may do everything"));
        return true;
    }
    buf_init(&text, KEY_SET_BYTES);
    running->credentials = credentials_new(running->loop, running->pool);
    struct auth_options options = {
        .source_refresh_us = settings->auth_keys_refresh_us,
        .source_retry_us = settings->auth_keys_retry_us,
        .issuer = settings->auth_issuer,
        .audience = settings->auth_audience,
        .leeway_us = settings->auth_leeway_us,
        .allow_hs256 = settings->auth_hs256,
        .cache_slots = (unsigned)settings->auth_cache,
        .recheck_us = settings->auth_recheck_us,
    };
    if (!running->credentials)
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    else if (open_keys(running, &options, &text, err)) {
        const struct auth_store store = credentials_store(running->credentials);
        options.store = &store;
        options.source = running->key_fetch ? &source : NULL;
        running->auth = auth_new(loop_clock(running->loop), &options, err);
    }
    buf_done(&text);
    if (running->auth)
        running->auth_timer = loop_timer_repeat(running->loop, TICK_US, on_tick, running);
    return running->auth != NULL;
}

void service_auth_pause(struct running *running)
{
    loop_timer_cancel(running->auth_timer);
    running->auth_timer = NULL;
}

void service_auth_close(struct running *running)
{
    key_fetch_free(running->key_fetch);
    auth_free(running->auth);
    credentials_free(running->credentials);
}

static void collect_keys(struct buf *out, const struct auth_stats *stats)
{
    metrics_one(out, "dialplane_auth_keys", "gauge", "Keys that tokens are verified with.",
                stats->keys);
    metrics_one(out, "dialplane_auth_key_reloads_total", "counter",
                "Times that the set of keys was read anew.", (double)stats->key_reloads);
    metrics_one(out, "dialplane_auth_key_reload_failures_total", "counter",
                "Times that it could not be read or fetched: the last good one stays in force.",
                (double)stats->key_reload_failures);
}

void service_auth_collect(struct buf *out, const struct running *running)
{
    struct auth_stats stats;

    if (!running->auth)
        return;
    auth_stats(running->auth, &stats);
    metrics_one(out, "dialplane_auth_verified_total", "counter",
                "Tokens whose signature was computed and found good.", (double)stats.verified);
    metrics_one(out, "dialplane_auth_remembered_total", "counter",
                "Tokens that had been verified before.", (double)stats.remembered);
    metrics_one(out, "dialplane_auth_refused_total", "counter",
                "Callers that were not let in: nothing shown, or nothing good.",
                (double)stats.refused);
    metrics_one(out, "dialplane_auth_lookups_total", "counter",
                "Questions to the database about API keys and companies.", (double)stats.lookups);
    metrics_one(out, "dialplane_auth_lookup_failures_total", "counter",
                "Those that it did not answer: their callers got 503.",
                (double)stats.lookup_failures);
    metrics_one(out, "dialplane_auth_recalled_total", "counter",
                "Callers whose API key or company had been looked up less than --auth-recheck ago.",
                (double)stats.recalled);
    metrics_one(out, "dialplane_auth_known", "gauge", "API keys and companies that are remembered.",
                stats.known);
    collect_keys(out, &stats);
}
