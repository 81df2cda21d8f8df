#include "uploads/progress.h"

#include "campaign_sql.h"

#include <stdio.h>
#include <stdlib.h>

#define PERIOD_US TIME_US_PER_SECOND
#define ARENA_BYTES 8192

struct progress {
    struct campaign_service *service;
    char upload_id[UUID_TEXT_SIZE];
    int attempt;
    const struct upload_figures *figures;
    struct loop_timer *timer;
    struct arena *arena; /* of the statement under way; NULL: none is */
    bool is_stopped;
};

void figures_look(struct upload_figures *figures, const struct upload_work *work)
{
    figures->total = call_list_total(work->list);
    figures->error_count = call_list_error_count(work->list);
    figures->format = reader_format_name(reader_format(work->reader));
    figures->charset = reader_charset(work->reader);
    figures->sheet = reader_sheet(work->reader);
}

void param_interval_us(struct pg_params *params, int64_t us)
{
    char text[40];

    snprintf(text, sizeof(text), "%lld microseconds", (long long)us);
    pg_param_text(params, text);
}

static void on_reported(void *context, const struct pg_outcome *outcome)
{
    struct progress *progress = context;

    (void)outcome; /* pg has logged what failed, and the next report says more */
    arena_free(progress->arena);
    progress->arena = NULL;
    if (progress->is_stopped)
        free(progress);
}

static void on_tick(void *context)
{
    struct progress *progress = context;
    const struct upload_figures *figures = progress->figures;
    struct pg_params params = {0};

    if (progress->arena)
        return; /* the last one has not come back: the database is slow or away */
    params.arena = progress->arena = arena_new(ARENA_BYTES);
    if (!params.arena)
        return;
    pg_param_text(&params, progress->upload_id);
    pg_param_int64(&params, progress->attempt);
    pg_param_text(&params, figures->state);
    pg_param_int64(&params, figures->bytes);
    pg_param_int64(&params, figures->total);
    pg_param_int64(&params, figures->created);
    pg_param_int64(&params, figures->error_count);
    pg_param_text(&params, figures->format);
    pg_param_text(&params, figures->charset);
    pg_param_text(&params, figures->sheet);
    param_interval_us(&params, progress->service->upload_lease_us);
    pg_write(progress->service->pool, &pg_service, &sql_report_upload, &params, on_reported,
             progress);
}

struct progress *progress_start(struct campaign_service *service, const char *upload_id,
                                int attempt, const struct upload_figures *figures)
{
    struct progress *progress = calloc(1, sizeof(*progress));

    if (!progress)
        return NULL;
    progress->service = service;
    snprintf(progress->upload_id, sizeof(progress->upload_id), "%s", upload_id);
    progress->attempt = attempt;
    progress->figures = figures;
    progress->timer = loop_timer_repeat(service->loop, PERIOD_US, on_tick, progress);
    return progress;
}

void progress_stop(struct progress *progress)
{
    if (!progress)
        return;
    loop_timer_cancel(progress->timer);
    progress->timer = NULL;
    progress->is_stopped = true;
    if (!progress->arena)
        free(progress);
}

struct failure {
    struct arena *arena; /* this lives in it */
    void (*done)(void *context);
    void *context;
};

static void on_recorded(void *context, const struct pg_outcome *outcome)
{
    struct failure *failure = context;
    void (*done)(void *) = failure->done;
    void *done_context = failure->context;

    (void)outcome; /* pg has logged what failed */
    arena_free(failure->arena);
    if (done)
        done(done_context);
}

void upload_record_failure(struct campaign_service *service, const char *upload_id, int attempt,
                           const char *why, void (*done)(void *context), void *context)
{
    struct pg_params params = {.arena = arena_new(ARENA_BYTES)};
    struct failure *failure = params.arena ? ARENA_NEW(params.arena, struct failure) : NULL;

    if (!failure) {
        arena_free(params.arena);
        if (done)
            done(context);
        return;
    }
    *failure = (struct failure){params.arena, done, context};
    pg_param_text(&params, upload_id);
    pg_param_int64(&params, attempt);
    pg_param_text(&params, why);
    pg_write(service->pool, &pg_service, &sql_fail_upload, &params, on_recorded, failure);
}
