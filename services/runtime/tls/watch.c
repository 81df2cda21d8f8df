/* A file that is being replaced is seen half-way: a new certificate beside the old key. That is
 * refused like any other mistake, and the next look finds the rest. */
#include "tls/tls.h"

#include "app/app.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_US (2 * TIME_US_PER_SECOND)
#define DAY_US (INT64_C(86400) * TIME_US_PER_SECOND)
#define FILES_MAX (2 * TLS_PAIRS_MAX + 1)

struct stamp {
    struct timespec changed;
    off_t size;
    ino_t inode;
};

struct tls_watch {
    struct loop *loop;
    struct loop_timer *timer;
    const char *label;
    char *certificates, *keys, *ca;
    struct tls_paths paths;
    struct stamp stamps[FILES_MAX];
    bool (*use)(const struct tls_material *material, void *context, struct err *err);
    void *context;
    /* Of what is in use. */
    struct {
        char name[TLS_NAME_SIZE];
        int64_t expires_us;
    } pairs[TLS_PAIRS_MAX];
    unsigned pair_count;
    uint64_t reloads, refused;
};

/* Of every file of the three lists; what cannot be looked at is all zeros. */
static void take_stamps(const struct tls_watch *watch, struct stamp out[FILES_MAX])
{
    const char *const lists[] = {watch->certificates, watch->keys, watch->ca};
    unsigned count = 0;

    memset(out, 0, FILES_MAX * sizeof(*out));
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const char *at = lists[i];
        while (at && *at && count < FILES_MAX) {
            size_t length = strcspn(at, ",");
            struct str name = str_trim((struct str){at, length});
            struct stat now;
            char path[1024];
            snprintf(path, sizeof(path), "%.*s", (int)name.length, name.data);
            if (stat(path, &now) == 0) {
                out[count].changed = now.st_mtim;
                out[count].size = now.st_size;
                out[count].inode = now.st_ino;
            }
            count++;
            at += length + (at[length] == ',');
        }
    }
}

static int64_t wall_us(const struct tls_watch *watch)
{
    const struct clock *clock = loop_clock(watch->loop);
    return clock->wall_us(clock);
}

static void remember(struct tls_watch *watch, const struct tls_material *material)
{
    watch->pair_count = material->pair_count;
    for (unsigned i = 0; i < material->pair_count; i++) {
        memcpy(watch->pairs[i].name, material->pairs[i].name, TLS_NAME_SIZE);
        watch->pairs[i].expires_us = material->pairs[i].expires_us;
        log_event(LOG_LEVEL_INFO, "tls_certificate_loaded", log_text("use", watch->label),
                  log_text("name", material->pairs[i].name),
                  log_int("days_left", (material->pairs[i].expires_us - wall_us(watch)) / DAY_US));
    }
}

static bool none_expired(const struct tls_watch *watch, const struct tls_material *material,
                         struct err *err)
{
    for (unsigned i = 0; i < material->pair_count; i++)
        if (material->pairs[i].expires_us <= wall_us(watch))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the certificate for %s has expired",
                           material->pairs[i].name);
    return true;
}

static bool load(struct tls_watch *watch, bool is_first, struct err *err)
{
    struct tls_material material;
    struct err expired = {0};

    if (!tls_material_load(&watch->paths, &material, err))
        return false;
    bool good = none_expired(watch, &material, is_first ? &expired : err) || is_first;
    /* At start there is nothing better to fall back on. */
    if (err_is_set(&expired))
        log_event(LOG_LEVEL_ERROR, "tls_certificate_expired", log_text("use", watch->label),
                  log_text("reason", expired.message));
    good = good && watch->use(&material, watch->context, err);
    if (good)
        remember(watch, &material);
    tls_material_done(&material);
    return good;
}

static void reload(struct tls_watch *watch)
{
    struct err err = {0};

    if (load(watch, false, &err)) {
        watch->reloads++;
        return;
    }
    watch->refused++;
    log_event(LOG_LEVEL_ERROR, "tls_reload_refused", log_text("use", watch->label),
              log_text("reason", err.message),
              log_text("consequence", "the certificates in use stay"));
}

static void look(void *context)
{
    struct tls_watch *watch = context;
    struct stamp now[FILES_MAX];

    take_stamps(watch, now);
    if (memcmp(now, watch->stamps, sizeof(now)) == 0)
        return;
    memcpy(watch->stamps, now, sizeof(now));
    reload(watch);
}

static void on_hangup(void *context)
{
    struct tls_watch *watch = context;

    take_stamps(watch, watch->stamps);
    reload(watch);
}

static char *copy(const char *text)
{
    return strdup(text ? text : "");
}

struct tls_watch *tls_watch_new(struct loop *loop, const char *label, const struct tls_paths *paths,
                                bool (*use)(const struct tls_material *material, void *context,
                                            struct err *err),
                                void *context, struct err *err)
{
    struct tls_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        goto no_memory;
    watch->loop = loop;
    watch->label = label;
    watch->use = use;
    watch->context = context;
    watch->certificates = copy(paths->certificates);
    watch->keys = copy(paths->keys);
    watch->ca = copy(paths->ca);
    if (!watch->certificates || !watch->keys || !watch->ca)
        goto no_memory;
    watch->paths = (struct tls_paths){watch->certificates, watch->keys, watch->ca};
    take_stamps(watch, watch->stamps); /* before reading: a later change is seen as one */
    if (!load(watch, true, err)) {
        tls_watch_free(watch);
        return NULL;
    }
    watch->timer = loop_timer_repeat(loop, LOOK_US, look, watch);
    if (!watch->timer || !loop_on_signal(loop, SIGHUP, on_hangup, watch))
        goto no_memory;
    return watch;

no_memory:
    tls_watch_free(watch);
    err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "not enough memory to watch the certificates");
    return NULL;
}

void tls_watch_free(struct tls_watch *watch)
{
    if (!watch)
        return;
    loop_timer_cancel(watch->timer);
    free(watch->certificates);
    free(watch->keys);
    free(watch->ca);
    free(watch);
}

void tls_metrics(struct buf *out, struct tls_watch *const *watches, unsigned count)
{
    char labels[TLS_NAME_SIZE + 64];

    metrics_family(out, "dialplane_tls_certificate_days_left", "gauge",
                   "Until a certificate in use expires, in days.");
    for (unsigned w = 0; w < count; w++) {
        for (unsigned i = 0; watches[w] && i < watches[w]->pair_count; i++) {
            snprintf(labels, sizeof(labels), "use=\"%s\",certificate=\"%s\",number=\"%u\"",
                     watches[w]->label, watches[w]->pairs[i].name, i + 1);
            metrics_sample(out, "dialplane_tls_certificate_days_left", labels,
                           (double)(watches[w]->pairs[i].expires_us - wall_us(watches[w])) /
                               (double)DAY_US);
        }
    }
    metrics_family(out, "dialplane_tls_reloads_total", "counter",
                   "Changed certificate files taken into use, and refused.");
    for (unsigned w = 0; w < count; w++) {
        if (!watches[w])
            continue;
        snprintf(labels, sizeof(labels), "use=\"%s\",result=\"loaded\"", watches[w]->label);
        metrics_sample(out, "dialplane_tls_reloads_total", labels, (double)watches[w]->reloads);
        snprintf(labels, sizeof(labels), "use=\"%s\",result=\"refused\"", watches[w]->label);
        metrics_sample(out, "dialplane_tls_reloads_total", labels, (double)watches[w]->refused);
    }
}
