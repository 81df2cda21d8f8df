/* intake: a file that comes in pieces becomes rows in the temporary table call_list_rows of an open
 * transaction, in constant memory:
 *
 *   session ─▶ BEGIN ─▶ table ─▶ COPY ─▶ on_ready
 *   ┌▶ intake_put(piece) ─▶ worker thread (rows, phones) ─▶ COPY data ─▶ drained ─▶ on_ready ─┐
 *   └─────────────────────────────────────────────────────────────────────────────────────────┘
 *   intake_end() ─▶ the worker's rest ─▶ end of COPY ─▶ on_staged: the transaction is the owner's
 *
 * One thing is under way at any time. Whoever closes it without COMMIT has rolled back. */
#ifndef DIALPLANE_CAMPAIGN_UPLOADS_INTAKE_H
#define DIALPLANE_CAMPAIGN_UPLOADS_INTAKE_H

#include "campaign.h"
#include "upload_workers.h"

struct intake;

struct intake_handler {
    void (*on_ready)(void *context); /* intake_put() or intake_end(), now or later */
    void (*on_staged)(void *context);
    /* The database is away, or the file is refused (INVALID_ARGUMENT, RESOURCE_EXHAUSTED). Close
     * it.
     */
    void (*on_failed)(void *context, const struct err *err);
};

/* NULL with err: an option is wrong (violations in `arena`), or memory is short. asker: its
 * deadline is for the whole upload (none: as long as an upload may take), and the statements stand
 * below its span; NULL: a job of our own. Callbacks never come from inside this call. */
struct intake *intake_open(struct campaign_service *service, const struct upload_options *options,
                           const struct pg_owner *asker, const struct intake_handler *handler,
                           void *context, struct arena *arena, struct err *err);
/* No handler is called any more. What is under way ends by itself, then the session is closed,
 * which rolls back what is not committed. NULL is allowed. */
void intake_close(struct intake *intake);

/* A piece of the file, at most 1 MiB, copied; once before on_ready, else after each. False: memory
 * is short. */
bool intake_put(struct intake *intake, struct str piece);
void intake_end(struct intake *intake);

/* What is known of the file: between on_ready and intake_put(), and from on_staged on. */
const struct upload_work *intake_work(const struct intake *intake);
/* From on_staged on. */
struct pg_session *intake_session(struct intake *intake);

#endif
