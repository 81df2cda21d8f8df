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

/* Grants are bits, and the proto's are numbers: each has its line here. */
static const struct {
    uint32_t bit;
    Dialplane__V1__ApiKeyGrant grant;
} known_grants[] = {
    {AUTH_GRANT_PHONES, DIALPLANE__V1__API_KEY_GRANT__API_KEY_GRANT_PHONES},
};
#define GRANT_COUNT (sizeof(known_grants) / sizeof(known_grants[0]))

static bool put_grants(struct arena *arena, uint32_t grants, Dialplane__V1__ApiKey *key)
{
    key->grants = ARENA_ARRAY(arena, Dialplane__V1__ApiKeyGrant, GRANT_COUNT);
    for (size_t i = 0; key->grants && i < GRANT_COUNT; i++)
        if (grants & known_grants[i].bit)
            key->grants[key->n_grants++] = known_grants[i].grant;
    return key->grants;
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
    put_grants(arena, grants_from_column(result, row, API_KEY_GRANTS), key);
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

uint32_t api_key_grants(const Dialplane__V1__ApiKey *key)
{
    uint32_t grants = 0;

    for (size_t i = 0; i < key->n_grants; i++)
        for (size_t k = 0; k < GRANT_COUNT; k++)
            if (key->grants[i] == known_grants[k].grant)
                grants |= known_grants[k].bit;
    return grants;
}
