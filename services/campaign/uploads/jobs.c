/* One job: take (its record says who and until when) ─▶ intake, fed chunk by chunk ─▶ settle. It
 * ends in one of three ways: completed; failed, when it is the file's fault; and left, when the
 * database was away or somebody else has taken it: then its lease runs out, and it is begun again.
 */
#include "uploads/jobs.h"

#include "campaign_sql.h"
#include "claims.h"
#include "contact_vault.h"
#include "uploads/how.h"
#include "uploads/intake.h"
#include "uploads/progress.h"
#include "uploads/settle.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/queue.h>

#define PERIOD_US TIME_US_PER_SECOND
#define ATTEMPTS_MOST 3
#define ARENA_BYTES ((size_t)256 * 1024)

struct jobs {
    struct campaign_service *service;
    struct loop_timer *timer;
    unsigned running, most;
    struct arena *taking, *sweeping; /* of the statement under way; NULL: none is */
    bool is_stopped;
    bool look_again; /* woken while it was looking */
    LIST_HEAD(, job) list;
};

struct job {
    LIST_ENTRY(job) link;
    struct jobs *jobs;
    struct campaign_service *service;
    struct arena *arena; /* of its texts */
    char *campaign_id, *upload_id, *fingerprint;
    struct str settings;
    Dialplane__V1__UploadCallListRequest *request;
    struct how how;
    int attempt;
    int64_t number;      /* of the next chunk */
    struct arena *chunk; /* of the read under way */
    struct upload_figures figures;
    struct progress *progress;
    struct intake *intake;
    bool is_settling;
};

static void take(struct jobs *jobs);

static void job_end(struct job *job)
{
    struct jobs *jobs = job->jobs;

    LIST_REMOVE(job, link);
    progress_stop(job->progress);
    intake_close(job->intake);
    arena_free(job->chunk);
    arena_free(job->arena);
    free(job);
    jobs->running--;
    take(jobs);
}

/* Whether another attempt may come to another end. */
static bool may_pass(enum err_code code)
{
    return code == ERR_UNAVAILABLE || code == ERR_CANCELLED || code == ERR_DEADLINE_EXCEEDED ||
           code == ERR_ABORTED || code == ERR_INTERNAL;
}

static void on_failed(void *context, const struct err *err)
{
    struct job *job = context;

    log_event(LOG_LEVEL_WARN, "upload_failed", log_text("upload_id", job->upload_id),
              log_text("code", err_code_name(err->code)), log_int("attempt", job->attempt));
    if (!may_pass(err->code))
        upload_record_failure(job->service, job->upload_id, job->attempt, err->message, NULL, NULL);
    job_end(job);
}

/* ---- One job ---- */

static void on_ready(void *context);
static void on_chunk(void *context, const struct pg_outcome *outcome);
static void on_staged(void *context);
static void on_settled(void *context, const struct settle_result *result);

static const struct intake_handler intake_handler = {on_ready, on_staged, on_failed};
static const struct settle_handler settle_handler = {on_settled, on_failed};

static void fail_short(struct job *job)
{
    struct err err = {0};

    err_set(&err, ERR_UNAVAILABLE, NULL, "memory is short");
    on_failed(job, &err);
}

static void on_ready(void *context)
{
    struct job *job = context;
    struct pg_params params = {.arena = arena_new(4096)};

    figures_look(&job->figures, intake_work(job->intake));
    job->chunk = params.arena;
    if (!params.arena) {
        fail_short(job);
        return;
    }
    pg_param_text(&params, job->upload_id);
    pg_param_int64(&params, job->number++);
    pg_read(job->service->pool, &pg_service, &sql_get_upload_chunk, &params, on_chunk, job);
}

/* `number` has moved on to the next one already. */
static void take_chunk(struct job *job, struct str stored)
{
    struct vault_place place;
    struct uuid upload;
    struct err err = {0};
    struct buf data;

    buf_init(&data, 0);
    uuid_parse(str_from(job->upload_id), &upload);
    upload_chunk_place(&place, &upload, job->number - 1);
    bool ok = vault_open(job->service->vault, &place, stored, &data, &err);

    if (ok)
        job->figures.bytes += (int64_t)data.length;
    ok = ok && (intake_put(job->intake, buf_str(&data)) ||
                err_set(&err, ERR_UNAVAILABLE, NULL, "memory is short"));
    buf_done(&data);
    if (!ok && err_is_set(&err))
        on_failed(job, &err);
}

static void on_chunk(void *context, const struct pg_outcome *outcome)
{
    struct job *job = context;

    arena_free(job->chunk);
    job->chunk = NULL;
    if (!outcome->result) {
        on_failed(job, &outcome->err);
    } else if (pg_rows(outcome->result) == 0) {
        intake_end(job->intake);
    } else {
        take_chunk(job, pg_str(outcome->result, 0, 0));
    }
}

static void on_staged(void *context)
{
    struct job *job = context;
    const struct settle_job settle = {
        .service = job->service,
        .intake = job->intake,
        .campaign_id = job->campaign_id,
        .upload_id = job->upload_id,
        .fingerprint = job->fingerprint,
        .attempt = job->attempt,
        .on_duplicate = job->request->on_duplicate,
        .bytes = job->figures.bytes,
        .figures = &job->figures,
    };

    figures_look(&job->figures, intake_work(job->intake));
    job->is_settling = true;
    if (!settle_start(&settle, &settle_handler, job))
        fail_short(job);
}

static void on_settled(void *context, const struct settle_result *result)
{
    struct job *job = context;

    (void)result; /* the record has it */
    claims_wake(job->service->claims);
    job_end(job);
}

/* ---- The queue ---- */

static struct job *job_new(struct jobs *jobs, const struct pg_result *row)
{
    enum {
        COLUMN_UPLOAD,
        COLUMN_CAMPAIGN,
        COLUMN_ATTEMPT,
        COLUMN_RULE,
        COLUMN_HOW,
        COLUMN_MARK,
        COLUMN_FILE,
        COLUMN_REGION,
    };
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->jobs = jobs;
    job->service = jobs->service;
    job->arena = arena_new(ARENA_BYTES);
    if (!job->arena) {
        free(job);
        return NULL;
    }
    struct str settings = pg_str(row, 0, COLUMN_HOW);

    job->attempt = (int)pg_int64(row, 0, COLUMN_ATTEMPT);
    job->upload_id = pg_text(row, 0, COLUMN_UPLOAD, job->arena);
    job->campaign_id = pg_text(row, 0, COLUMN_CAMPAIGN, job->arena);
    job->fingerprint = pg_text(row, 0, COLUMN_MARK, job->arena);
    job->request = how_unpack(settings, job->arena);
    if (job->request)
        how_read(job->request, job->service, pg_text(row, 0, COLUMN_REGION, job->arena), &job->how);
    job->how.options.campaign_id = job->campaign_id;
    job->how.options.upload_id = job->upload_id;
    job->figures.state = "processing";
    job->progress = progress_start(job->service, job->upload_id, job->attempt, &job->figures);
    if (!job->request || !job->progress || arena_is_exhausted(job->arena)) {
        progress_stop(job->progress);
        arena_free(job->arena);
        free(job);
        return NULL;
    }
    return job;
}

static void on_taken(void *context, const struct pg_outcome *outcome)
{
    struct jobs *jobs = context;
    struct err err = {0};

    arena_free(jobs->taking);
    jobs->taking = NULL;
    if (!outcome->result)
        return; /* the next tick asks again */
    if (pg_rows(outcome->result) == 0) {
        if (jobs->look_again)
            take(jobs);
        return;
    }
    struct job *job = job_new(jobs, outcome->result);

    if (!job)
        return; /* its lease runs out */
    jobs->running++;
    LIST_INSERT_HEAD(&jobs->list, job, link);
    job->intake = intake_open(job->service, &job->how.options, &pg_service, &intake_handler, job,
                              job->arena, &err);
    if (!job->intake)
        on_failed(job, &err);
    else
        take(jobs); /* there may be more */
}

static void take(struct jobs *jobs)
{
    struct pg_params params = {0};

    jobs->look_again = jobs->taking != NULL;
    if (jobs->is_stopped || jobs->taking || jobs->running >= jobs->most)
        return;
    params.arena = jobs->taking = arena_new(4096);
    if (!params.arena)
        return;
    param_interval_us(&params, jobs->service->upload_lease_us);
    pg_write(jobs->service->pool, &pg_service, &sql_take_upload, &params, on_taken, jobs);
}

static void on_swept(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_FAILED, COLUMN_AGAIN };
    struct jobs *jobs = context;

    arena_free(jobs->sweeping);
    jobs->sweeping = NULL;
    if (!outcome->result)
        return;
    int64_t failed = pg_int64(outcome->result, 0, COLUMN_FAILED);
    int64_t again = pg_int64(outcome->result, 0, COLUMN_AGAIN);

    if (failed || again)
        log_event(LOG_LEVEL_WARN, "uploads_lost", log_int("failed", failed),
                  log_int("begun_again", again));
    take(jobs);
}

static void on_tick(void *context)
{
    struct jobs *jobs = context;
    struct pg_params params = {0};

    if (jobs->sweeping)
        return;
    params.arena = jobs->sweeping = arena_new(4096);
    if (!params.arena)
        return;
    pg_param_int64(&params, ATTEMPTS_MOST);
    pg_write(jobs->service->pool, &pg_service, &sql_sweep_uploads, &params, on_swept, jobs);
}

struct jobs *jobs_start(struct campaign_service *service, unsigned most)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));

    if (!jobs)
        return NULL;
    jobs->service = service;
    jobs->most = most;
    jobs->timer = loop_timer_repeat(service->loop, PERIOD_US, on_tick, jobs);
    return jobs;
}

void jobs_stop(struct jobs *jobs)
{
    jobs->is_stopped = true;
    loop_timer_cancel(jobs->timer);
    jobs->timer = NULL;
    struct job *next;

    /* What waits for the database ends with the pool. */
    for (struct job *job = LIST_FIRST(&jobs->list); job; job = next) {
        next = LIST_NEXT(job, link);
        if (!job->chunk && !job->is_settling)
            job_end(job);
    }
}

void jobs_wake(struct jobs *jobs)
{
    take(jobs);
}
