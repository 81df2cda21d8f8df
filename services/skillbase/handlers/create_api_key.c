/* Makes a key. The secret half exists here, for the length of the call, and in the answer. */
#include "api_key_rows.h"
#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "auth/secret.h"
#include "service/credentials.h"

#include <openssl/crypto.h>
#include <stdio.h>

#define KEYS_MAX 1000 /* of a company */
#define PLATFORM_BIT (UINT32_C(1) << SCHEMA_ROLE_PLATFORM)

struct making {
    struct rpc_call *call;
    const char *company_id;
    struct new_key key;
};

void check_create_api_key(const void *request_, struct violations *violations)
{
    const Dialplane__V1__CreateApiKeyRequest *request = request_;
    uint32_t roles = request->api_key ? api_key_roles(request->api_key) : 0;
    char field[48];

    for (size_t i = 0; request->api_key && i < request->api_key->n_roles; i++) {
        snprintf(field, sizeof(field), "api_key.roles[%zu]", i);
        if (!request->api_key->roles[i])
            violations_add(violations, field,
                           "must be one of platform, admin, manager, viewer, agent");
    }
    for (size_t i = 0; request->api_key && i < request->api_key->n_grants; i++) {
        snprintf(field, sizeof(field), "api_key.grants[%zu]", i);
        if (!request->api_key->grants[i])
            violations_add(violations, field, "must be phones");
    }
    if (roles & PLATFORM_BIT && roles != PLATFORM_BIT)
        violations_add(violations, "api_key.roles",
                       "platform works across companies: it cannot be given together with others");
}

/* What may not be given is refused by name: 403, not 400, because another might give it. Of grants
 * there is nothing to ask: who may call this sees phone numbers by his role (auth_sees_phones()).
 */
static bool may_give(struct rpc_call *call, uint32_t roles)
{
    const struct principal *maker = rpc_call_principal(call);

    if (maker->is_platform || !(roles & PLATFORM_BIT))
        return true;
    rpc_fail_code(call, ERR_PERMISSION_DENIED, "ROLE_NOT_YOURS",
                  "only the platform's administrators make keys with the role platform");
    return false;
}

/* A key that has already expired is a mistake of the clock or of the year. A key made by a key ends
 * with it at the latest: nobody prolongs what was given for a time. */
static bool find_end(struct rpc_call *call, const Dialplane__V1__ApiKey *key, int64_t *ret_us)
{
    const struct skillbase_service *service = rpc_call_context(call);
    const struct principal *maker = rpc_call_principal(call);
    const struct clock *clock = loop_clock(service->loop);
    int64_t most = maker->key_prefix ? maker->expires_us : 0;

    *ret_us = key->expires_at ? timestamp_to_us(key->expires_at) : most;
    if (key->expires_at && *ret_us <= clock->wall_us(clock))
        fail_field(call, "api_key.expires_at", "must be in the future");
    else if (most && *ret_us > most)
        fail_field(call, "api_key.expires_at",
                   "cannot be later than the end of the API key that asks for it");
    else
        return true;
    return false;
}

static void on_made(void *context, const struct pg_outcome *outcome);

void create_api_key(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__CreateApiKeyRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct making *making = ARENA_NEW(rpc_call_arena(call), struct making);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    const char *words[ROLE_WORDS_MAX], *granted[GRANT_WORDS_MAX];
    uint32_t roles = api_key_roles(request->api_key);
    int64_t expires_us;

    if (!making) {
        fail_memory(call);
        return;
    }
    if (!may_give(call, roles) || !find_end(call, request->api_key, &expires_us))
        return;
    struct uuid id = uuid_v7(loop_clock(service->loop), &service->entropy);

    making->call = call;
    making->company_id = request->company_id;
    key_make(&service->entropy, &making->key);
    param_scope(&params, call);
    pg_param_uuid(&params, &id);
    pg_param_text(&params, request->company_id);
    pg_param_text(&params, request->api_key->name);
    pg_param_text_array(&params, words, role_words(roles, words));
    pg_param_text(&params, making->key.prefix);
    pg_param_bytes(&params, (struct str){(const char *)making->key.hash, AUTH_HASH_SIZE});
    if (expires_us)
        pg_param_time_us(&params, expires_us);
    else
        pg_param_null(&params);
    pg_param_text(&params, rpc_call_principal(call)->subject);
    pg_param_int64(&params, KEYS_MAX);
    pg_param_text_array(&params, granted, grant_words(api_key_grants(request->api_key), granted));
    pg_write(service->pool, rpc_call_owner(call), &sql_create_api_key, &params, on_made, making);
}

static void reply_key(struct making *making, const struct pg_result *rows)
{
    Dialplane__V1__ApiKey *key = api_key_from_row(rpc_call_arena(making->call), rows, 0);

    if (!key) {
        fail_memory(making->call);
        return;
    }
    key->_key_case = DIALPLANE__V1__API_KEY___KEY_KEY;
    key->key = making->key.text;
    rpc_reply(making->call, &key->base);
}

static void on_made(void *context, const struct pg_outcome *outcome)
{
    struct making *making = context;

    if (!outcome->result)
        rpc_fail(making->call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(making->call, "company", making->company_id);
    else if (pg_is_null(outcome->result, 0, API_KEY_ID))
        rpc_fail_code(making->call, ERR_FAILED_PRECONDITION, "TOO_MANY_API_KEYS",
                      "the company has %d API keys already: revoke what is not used", KEYS_MAX);
    else
        reply_key(making, outcome->result);
    OPENSSL_cleanse(making->key.text, sizeof(making->key.text));
}
