#include "api_key_rows.h"

#include "service/credentials.h"
#include "service/handler.h"

/* ApiKeyRole has the numbers of Role. */
_Static_assert((int)DIALPLANE__V1__API_KEY_ROLE__API_KEY_ROLE_PLATFORM == SCHEMA_ROLE_PLATFORM &&
                   (int)DIALPLANE__V1__API_KEY_ROLE__API_KEY_ROLE_ADMIN == SCHEMA_ROLE_ADMIN &&
                   (int)DIALPLANE__V1__API_KEY_ROLE__API_KEY_ROLE_MANAGER == SCHEMA_ROLE_MANAGER &&
                   (int)DIALPLANE__V1__API_KEY_ROLE__API_KEY_ROLE_VIEWER == SCHEMA_ROLE_VIEWER &&
                   (int)DIALPLANE__V1__API_KEY_ROLE__API_KEY_ROLE_AGENT == SCHEMA_ROLE_AGENT,
               "the same roles");

static bool put_roles(struct arena *arena, uint32_t roles, Dialplane__V1__ApiKey *key)
{
    key->roles = ARENA_ARRAY(arena, Dialplane__V1__ApiKeyRole, 8);
    for (unsigned role = 1; key->roles && role < 8; role++)
        if (roles & UINT32_C(1) << role)
            key->roles[key->n_roles++] = (Dialplane__V1__ApiKeyRole)role;
    return key->roles;
}

Dialplane__V1__ApiKey *api_key_from_row(struct arena *arena, const struct pg_result *result,
                                        int row)
{
    Dialplane__V1__ApiKey *key = ARENA_NEW(arena, Dialplane__V1__ApiKey);

    if (!key)
        return NULL;
    dialplane__v1__api_key__init(key);
    key->id = pg_text(result, row, API_KEY_ID, arena);
    key->company_id = pg_text(result, row, API_KEY_COMPANY_ID, arena);
    key->name = pg_text(result, row, API_KEY_NAME, arena);
    put_roles(arena, roles_from_column(result, row, API_KEY_ROLES), key);
    key->expires_at = timestamp_from_column(arena, result, row, API_KEY_EXPIRES_AT);
    key->prefix = pg_text(result, row, API_KEY_PREFIX, arena);
    key->last_used_at = timestamp_from_column(arena, result, row, API_KEY_LAST_USED_AT);
    key->created_by = pg_text(result, row, API_KEY_CREATED_BY, arena);
    key->created_at = timestamp_from_column(arena, result, row, API_KEY_CREATED_AT);
    return arena_is_exhausted(arena) ? NULL : key;
}

uint32_t api_key_roles(const Dialplane__V1__ApiKey *key)
{
    uint32_t roles = 0;

    for (size_t i = 0; i < key->n_roles; i++)
        if (key->roles[i] > 0 && key->roles[i] < 8)
            roles |= UINT32_C(1) << key->roles[i];
    return roles;
}
