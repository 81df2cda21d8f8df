/* scopes: live figures of companies, campaigns and skillbases. What is watched is computed once a
 * second on each instance, however many watch, from tables that all instances share; a watcher that
 * has not taken the last message yet is passed over and gets the newest figures when it has.
 * Everything runs on the loop's thread. */
#ifndef ANALYTICS_LIVE_SCOPES_H
#define ANALYTICS_LIVE_SCOPES_H

#include "loop/loop.h"
#include "pg/pg.h"
#include "rpc/rpc.h"

#include <stdint.h>

struct scopes;

/* As get_live_figures.sql has them. */
enum scope_kind { SCOPE_COMPANY = 1, SCOPE_CAMPAIGN, SCOPE_SKILLBASE };

struct scopes_options {
    uint32_t watchers; /* most in all */
    uint32_t scopes;   /* most watched at once */
};

/* All are borrowed. NULL when memory is short. */
struct scopes *scopes_new(struct loop *loop, struct pg_pool *pool,
                          const struct scopes_options *options);
/* What is still being read for it may come back later: the pool is freed after this. */
void scopes_free(struct scopes *scopes);

/* Streams the figures to `rpc` until it leaves or the scope is deleted. */
void scopes_watch(struct scopes *scopes, struct rpc_call *rpc, enum scope_kind kind,
                  const char *id);

struct scopes_stats {
    uint32_t watchers, scopes;
    uint64_t computed; /* since start */
    uint64_t late;     /* seconds in which the last computation still ran, or failed */
};
void scopes_stats(const struct scopes *scopes, struct scopes_stats *ret_stats);

#endif
