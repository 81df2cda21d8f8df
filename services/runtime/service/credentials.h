/* credentials: what auth asks the database: companies, API keys and tickets. All services share it,
 * and each asks for itself. */
#ifndef DIALPLANE_SERVICE_CREDENTIALS_H
#define DIALPLANE_SERVICE_CREDENTIALS_H

#include "auth/auth.h"
#include "loop/loop.h"
#include "pg/pg.h"

struct credentials;
/* The pool must outlive it. NULL: short of memory. */
struct credentials *credentials_new(struct loop *loop, struct pg_pool *pool);
/* After the pool's last callback. */
void credentials_free(struct credentials *credentials);
struct auth_store credentials_store(struct credentials *credentials);

/* Roles as the words of a text[] parameter, and back. */
#define ROLE_WORDS_MAX 8
size_t role_words(uint32_t roles, const char *words[ROLE_WORDS_MAX]);
uint32_t roles_from_column(const struct pg_result *result, int row, int column);
/* The same of grants (enum auth_grant). */
#define GRANT_WORDS_MAX 1
size_t grant_words(uint32_t grants, const char *words[GRANT_WORDS_MAX]);
uint32_t grants_from_column(const struct pg_result *result, int row, int column);

#endif
