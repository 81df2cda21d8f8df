/* progress: while an upload is worked on, its record says each second how far it is, and that
 * somebody is still at it (its lease); and how it is said to have failed. */
#ifndef DIALPLANE_CAMPAIGN_UPLOADS_PROGRESS_H
#define DIALPLANE_CAMPAIGN_UPLOADS_PROGRESS_H

#include "campaign.h"
#include "upload_workers.h"

/* What is known so far; texts are borrowed, NULL: not known. */
struct upload_figures {
    const char *state; /* "receiving" or "processing" */
    int64_t bytes, total, created, error_count;
    const char *format, *charset, *sheet;
};

/* What the worker has found so far; only between two pieces. */
void figures_look(struct upload_figures *figures, const struct upload_work *work);

struct progress;
/* `figures` stays valid until progress_stop(). NULL: memory is short. */
struct progress *progress_start(struct campaign_service *service, const char *upload_id,
                                int attempt, const struct upload_figures *figures);
/* NULL is allowed. */
void progress_stop(struct progress *progress);

/* The record says that it has failed and why, unless it has ended already or is somebody else's;
 * then done (may be NULL) is called. If it cannot be written, the lease runs out. */
void upload_record_failure(struct campaign_service *service, const char *upload_id, int attempt,
                           const char *why, void (*done)(void *context), void *context);

/* For ::interval. */
void param_interval_us(struct pg_params *params, int64_t us);

#endif
