/* api_key_rows: rows of api_keys as messages. */
#ifndef DIALPLANE_SKILLBASE_API_KEY_ROWS_H
#define DIALPLANE_SKILLBASE_API_KEY_ROWS_H

#include "pg/pg.h"
#include "rpc/rpc.h"

#include "dialplane/v1/api_key.pb-c.h"

/* Columns as get_api_key.sql has them. */
enum api_key_column {
    API_KEY_ID,
    API_KEY_COMPANY_ID,
    API_KEY_NAME,
    API_KEY_ROLES,
    API_KEY_EXPIRES_AT,
    API_KEY_PREFIX,
    API_KEY_LAST_USED_AT,
    API_KEY_CREATED_BY,
    API_KEY_CREATED_AT,
    API_KEY_GRANTS,
    API_KEY_COLUMNS, /* first column after them */
};

/* In the arena; `key` is not set. NULL: arena exhausted. */
Dialplane__V1__ApiKey *api_key_from_row(struct arena *arena, const struct pg_result *result,
                                        int row);
/* A set of roles (bit 1 << enum Role) of what a request names; unknown numbers are left out. */
uint32_t api_key_roles(const Dialplane__V1__ApiKey *key);
/* The same of grants (enum auth_grant). */
uint32_t api_key_grants(const Dialplane__V1__ApiKey *key);

#endif
