/* claims: ClaimTasks calls that wait for a task. */
#ifndef DIALPLANE_CAMPAIGN_CLAIMS_H
#define DIALPLANE_CAMPAIGN_CLAIMS_H

#include <stddef.h>

struct campaign_service;
struct claim_queue;

/* At most `limit` calls wait; more are refused RESOURCE_EXHAUSTED. NULL when memory is short. */
struct claim_queue *claims_new(struct campaign_service *service, size_t limit);
void claims_free(struct claim_queue *queue);
/* A hint that there may be tasks: those who wait longest ask at once. */
void claims_wake(struct claim_queue *queue);
/* The process is to stop: answers everyone who waits, with nothing, and makes nobody wait any more.
 */
void claims_stop(struct claim_queue *queue);
size_t claims_waiting(const struct claim_queue *queue);

#endif
