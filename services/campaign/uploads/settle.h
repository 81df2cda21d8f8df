/* settle: the rows that intake has staged become tasks, with the counters, in the same transaction:
 *
 *   open ─▶ sort out duplicates ─▶ insert, stretch by stretch ─▶ (update) ─▶ close ─▶ COMMIT
 *                └─ on_duplicate=error: what is wrong is kept, nothing else ─▶ COMMIT ─▶ on_failed
 */
#ifndef DIALPLANE_CAMPAIGN_UPLOADS_SETTLE_H
#define DIALPLANE_CAMPAIGN_UPLOADS_SETTLE_H

#include "uploads/intake.h"
#include "uploads/progress.h"

struct settle;

struct settle_job {
    struct campaign_service *service;
    struct intake *intake; /* from its on_staged on; the owner's, and left alone until the end */
    const char *campaign_id, *upload_id, *fingerprint;
    const char *company_scope; /* of who asks; NULL: any */
    int attempt;
    Dialplane__V1__OnDuplicate on_duplicate;
    int64_t bytes;
    struct upload_figures *figures; /* `created` grows meanwhile */
};

struct settle_result {
    int64_t created, updated, duplicates;
};

struct settle_handler {
    void (*on_settled)(void *context, const struct settle_result *result);
    /* Nothing of it is in the campaign. The violations of err are good during the call. */
    void (*on_failed)(void *context, const struct err *err);
};

/* Texts of the job stay valid to the end. Ends with one call of the handler, never from inside;
 * NULL: memory is short. */
struct settle *settle_start(const struct settle_job *job, const struct settle_handler *handler,
                            void *context);

/* "skip", "update", "error". */
const char *on_duplicate_word(Dialplane__V1__OnDuplicate on_duplicate);

/* The failures that beginning and ending an upload share. */
void err_set_ended(struct err *err);
void err_set_no_campaign(struct err *err, const char *campaign_id);

#endif
