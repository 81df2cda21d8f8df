/* tasks: what the executable does instead of serving: --reencrypt. It writes what it finds to
 * standard output, for people. */
#ifndef DIALPLANE_CAMPAIGN_TASKS_H
#define DIALPLANE_CAMPAIGN_TASKS_H

#include "pg/pg.h"
#include "vault/vault.h"

/* Stores contact_data and the content of rejected rows as they would be stored now: encrypted with
 * the first key, in one layer. Some hundred rows a transaction; says how far it is. May be broken
 * off and repeated at any time, and run beside the services. Exit status 0, or 2 when it could not
 * go on. Files that wait to be worked through stay as they are: they are gone soon. */
void task_reencrypt(struct pg_pool *pool, const struct vault *vault,
                    void (*done)(void *context, int status), void *context);

#endif
