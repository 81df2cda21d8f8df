/* batch_check: the rules of a batch of events that the .proto cannot say. Pure. */
#ifndef ANALYTICS_DOMAIN_BATCH_CHECK_H
#define ANALYTICS_DOMAIN_BATCH_CHECK_H

#include "base/err.h"

#include "dialplane/v1/analytics.pb-c.h"

/* Events consecutive by seq; each with exactly one thing that happened; `started` is seq 1 and seq
 * 1 is `started`; `finished` comes last with a status that ends a call; a `status` does not;
 * nothing happened before 1970. Fields of any value are allowed: broken value rules have been
 * reported before. */
void batch_check(const Dialplane__V1__ReportCallEventsRequest *request,
                 struct violations *violations);

#endif
