/* database_metrics: figures of /metrics that are read from the database. A scrape shows what was
 * read last and, when that is some seconds old, has it read again for the next one: nobody waits,
 * and nothing is read when nobody scrapes. All instances of a service show the same: take the max,
 * not the sum. */
#ifndef DIALPLANE_SERVICE_DATABASE_METRICS_H
#define DIALPLANE_SERVICE_DATABASE_METRICS_H

#include "base/buf.h"
#include "loop/loop.h"
#include "pg/pg.h"

#include <stdint.h>

struct database_metrics;

/* statement has one parameter, `parameter`. write puts its rows as text; rows may be none. The
 * first reading begins at once. NULL: memory is short. */
struct database_metrics *database_metrics_new(struct loop *loop, struct pg_pool *pool,
                                              const struct pg_statement *statement,
                                              int64_t parameter,
                                              void (*write)(const struct pg_result *rows,
                                                            struct arena *arena, struct buf *out));
/* A reading under way may come back later: the pool is freed after this. NULL is allowed. */
void database_metrics_free(struct database_metrics *metrics);
/* Nothing is appended when the last reading failed: an old figure would look like a new one. */
void database_metrics_collect(struct database_metrics *metrics, struct buf *out);

#endif
