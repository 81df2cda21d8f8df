/* tasks: what the executable does instead of serving: --verify-rollups, --re-rate and
 * --reencrypt. They write
 * what they find to standard output, for people. */
#ifndef DIALPLANE_ANALYTICS_TASKS_H
#define DIALPLANE_ANALYTICS_TASKS_H

#include "domain/prices.h"

#include "loop/loop.h"
#include "pg/pg.h"
#include "vault/vault.h"

/* Recounts all calls and compares, a stretch of time after the other; says on standard error how far
 * it is. Exit status 0: all agrees; 1: differences, listed up to a limit;
 * 2: it could not be done. */
void task_verify_rollups(struct loop *loop, struct pg_pool *pool,
                         void (*done)(void *context, int status), void *context);

struct re_rate_options {
    const char *company;   /* UUID */
    const char *from, *to; /* first and last day, UTC, YYYY-MM-DD; calls that began then */
    struct prices prices;  /* for calls that no price list is in force for */
};
/* Checks what the command line gave; false with err. */
bool re_rate_check(const struct re_rate_options *options, struct err *err);
/* Computes the costs of a period again, some thousand calls a transaction, figures included; says
 * how far it is. May be broken off and repeated at any time. Exit status 0, or 2 when it could not
 * go on. The options are borrowed until then. */
void task_re_rate(struct loop *loop, struct pg_pool *pool, const struct re_rate_options *options,
                  void (*done)(void *context, int status), void *context);

/* Stores all events as they would be stored now: encrypted with the first key. Some hundred a
 * transaction; says how far it is. May be broken off and repeated at any time, and run beside the
 * services. Exit status 0, or 2 when it could not go on. */
void task_reencrypt(struct pg_pool *pool, const struct vault *vault,
                    void (*done)(void *context, int status), void *context);

#endif
