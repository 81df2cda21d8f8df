/* jobs: uploads whose file is safe in the database are worked through, oldest first, a few at a
 * time, by whichever service comes first; and those of a service that has died are begun again or
 * said to have failed. */
#ifndef DIALPLANE_CAMPAIGN_UPLOADS_JOBS_H
#define DIALPLANE_CAMPAIGN_UPLOADS_JOBS_H

#include "campaign.h"

struct jobs;
/* most: at once. NULL: memory is short. */
struct jobs *jobs_start(struct campaign_service *service, unsigned most);
/* Takes no more; those under way end with the pool, and are begun again by the next service. */
void jobs_stop(struct jobs *jobs);
/* There may be one: look now, not at the next tick. */
void jobs_wake(struct jobs *jobs);

#endif
