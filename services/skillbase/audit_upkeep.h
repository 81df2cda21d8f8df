/* audit_upkeep: entries of the audit log go when their time is over (--keep-audit-days). Any number
 * of instances may do it at the same time. */
#ifndef DIALPLANE_SKILLBASE_AUDIT_UPKEEP_H
#define DIALPLANE_SKILLBASE_AUDIT_UPKEEP_H

#include "loop/loop.h"
#include "pg/pg.h"

#include <stdint.h>

struct audit_upkeep;

/* keep_days: at least 31. NULL when memory is short. */
struct audit_upkeep *audit_upkeep_start(struct loop *loop, struct pg_pool *pool, int64_t keep_days);
/* Nothing is started any more. The memory goes now, or with the end of the statement under way.
 * NULL is allowed. */
void audit_upkeep_stop(struct audit_upkeep *upkeep);

#endif
