/* deposit: a file that is to be worked through later goes into the database as it comes, in one
 * transaction with the word that it is whole: what has been answered is safe, what breaks off
 * leaves nothing. */
#ifndef DIALPLANE_CAMPAIGN_UPLOADS_DEPOSIT_H
#define DIALPLANE_CAMPAIGN_UPLOADS_DEPOSIT_H

#include "campaign.h"

struct deposit;

struct deposit_handler {
    void (*on_ready)(void *context); /* deposit_put() or deposit_end(), now or later */
    void (*on_queued)(void *context);
    void (*on_failed)(void *context, const struct err *err); /* close it */
};

/* As intake_open(). asker likewise, never NULL; upload_id is copied. */
struct deposit *deposit_open(struct campaign_service *service, const char *upload_id,
                             const struct pg_owner *asker, const struct deposit_handler *handler,
                             void *context);
void deposit_close(struct deposit *deposit);
/* Once before on_ready, else after each. False: memory is short. */
bool deposit_put(struct deposit *deposit, struct str piece);
/* fingerprint: copied. */
void deposit_end(struct deposit *deposit, int64_t bytes, const char *fingerprint);

#endif
