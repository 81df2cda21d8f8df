/* Roles by their words. */
#include "auth/auth.h"

#include <stdio.h>

static const struct {
    enum schema_role role;
    const char *word;
} roles[] = {
    {SCHEMA_ROLE_PLATFORM, "platform"}, {SCHEMA_ROLE_ADMIN, "admin"},
    {SCHEMA_ROLE_MANAGER, "manager"},   {SCHEMA_ROLE_VIEWER, "viewer"},
    {SCHEMA_ROLE_AGENT, "agent"},
};
#define ROLE_COUNT (sizeof(roles) / sizeof(roles[0]))

uint32_t auth_role_bit(struct str word)
{
    for (size_t i = 0; i < ROLE_COUNT; i++)
        if (str_equal_cstr(word, roles[i].word))
            return UINT32_C(1) << roles[i].role;
    return 0;
}

uint32_t auth_grant_bit(struct str word)
{
    return str_equal_cstr(word, "phones") ? AUTH_GRANT_PHONES : 0;
}

bool auth_sees_phones(const struct principal *principal)
{
    return principal->roles != UINT32_C(1) << SCHEMA_ROLE_VIEWER ||
           (principal->grants & AUTH_GRANT_PHONES);
}

void auth_roles_text(uint32_t set, char *out, size_t out_size)
{
    size_t length = 0;

    out[0] = '\0';
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (!(set & UINT32_C(1) << roles[i].role))
            continue;
        int added =
            snprintf(out + length, out_size - length, "%s%s", length ? ", " : "", roles[i].word);
        if (added < 0 || (size_t)added >= out_size - length)
            return;
        length += (size_t)added;
    }
}
