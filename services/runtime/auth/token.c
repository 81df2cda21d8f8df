/* A compact JWS with JWT claims (RFC 7515 §7.1, RFC 7519), verified as RFC 8725 advises: the key
 * decides the algorithm, `crit` is refused, duplicate members are refused, and nothing of the
 * payload is looked at before its signature has been found good. */
#include "auth/internal.h"

#include "base/uuid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SUBJECT_MAX 255
#define SIGNATURE_MAX 1024 /* bytes: RSA up to 8192 bits */
/* Beyond this a NumericDate is nonsense, and would overflow as microseconds. */
#define SECONDS_MAX 253402300799.0 /* 9999-12-31T23:59:59Z */

static bool malformed(struct err *err, const char *why)
{
    return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_MALFORMED", "the token is malformed: %s", why);
}

static bool bad_claim(struct err *err, const char *why)
{
    return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_BAD_CLAIMS", "the token is signed, but %s",
                   why);
}

struct parts {
    struct str header, payload, signature; /* base64url */
    struct str signed_text;
};

static bool split(struct str token, struct parts *ret_parts)
{
    const char *end = token.data + token.length;
    const char *first = memchr(token.data, '.', token.length);
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;

    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    *ret_parts = (struct parts){
        .header = {token.data, (size_t)(first - token.data)},
        .payload = {first + 1, (size_t)(second - first - 1)},
        .signature = {second + 1, (size_t)(end - second - 1)},
        .signed_text = {token.data, (size_t)(second - token.data)},
    };
    return ret_parts->header.length && ret_parts->payload.length && ret_parts->signature.length;
}

/* A base64url part as a JSON object; NULL: it is none. */
static json_t *read_object(struct str part)
{
    char text[TOKEN_MAX];
    json_error_t error;
    long size = base64url_decode(part, text, sizeof(text));
    json_t *json = size > 0 ? json_loadb(text, (size_t)size, JSON_REJECT_DUPLICATES, &error) : NULL;

    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static const char *algorithm_names[] = {"", "RS256", "ES256", "EdDSA", "HS256"};

/* The key of the header's kid. What the header says of the algorithm must be what the key is for.
 */
static const struct key *choose_key(const struct key_set *keys, struct str part, struct err *err)
{
    json_t *header = read_object(part);
    const json_t *id = json_object_get(header, "kid");
    const char *algorithm = json_string_value(json_object_get(header, "alg"));
    const struct key *key = NULL;

    if (!header)
        malformed(err, "its header is no JSON object");
    else if (!algorithm)
        malformed(err, "its header names no alg");
    else if (json_object_get(header, "crit"))
        malformed(err, "its header has crit, of which nothing is understood");
    else if (!json_is_string(id))
        malformed(err, "its header names no kid");
    else if (!(key =
                   key_set_find(keys, (struct str){json_string_value(id), json_string_length(id)})))
        err_set(err, ERR_UNAUTHENTICATED, "TOKEN_UNKNOWN_KEY",
                "the token is signed with a key that is not known here");
    else if (strcmp(algorithm, algorithm_names[key->algorithm]) != 0) {
        err_set(err, ERR_UNAUTHENTICATED, "TOKEN_BAD_SIGNATURE",
                "the token's alg is not that of its key");
        key = NULL;
    }
    json_decref(header);
    return key;
}

/* NumericDate: seconds, perhaps with a fraction. */
static bool read_time(const json_t *claims, const char *name, int64_t *ret_us, struct err *err)
{
    const json_t *value = json_object_get(claims, name);
    char why[48];

    *ret_us = 0;
    if (!value)
        return true;
    double seconds = json_number_value(value);
    if (json_is_number(value) && isfinite(seconds) && seconds > 0 && seconds <= SECONDS_MAX) {
        *ret_us = (int64_t)(seconds * (double)TIME_US_PER_SECOND);
        return true;
    }
    snprintf(why, sizeof(why), "its %s is no time in seconds", name);
    return bad_claim(err, why);
}

static bool has_audience(const json_t *claim, const char *audience)
{
    size_t index;
    const json_t *one;

    if (json_is_string(claim))
        return strcmp(json_string_value(claim), audience) == 0;
    json_array_foreach(claim, index, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), audience) == 0)
            return true;
    }
    return false;
}

static bool check_parties(const json_t *claims, const struct auth_options *options, struct err *err)
{
    const char *issuer = json_string_value(json_object_get(claims, "iss"));

    if (!issuer || strcmp(issuer, options->issuer) != 0)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_WRONG_ISSUER",
                       "the token was not issued by %s", options->issuer);
    if (!has_audience(json_object_get(claims, "aud"), options->audience))
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_WRONG_AUDIENCE",
                       "the token is not meant for %s", options->audience);
    return true;
}

static bool read_subject(const json_t *claims, struct arena *arena, struct principal *principal,
                         struct err *err)
{
    const json_t *value = json_object_get(claims, "sub");
    size_t length = json_is_string(value) ? json_string_length(value) : 0;

    if (!length || length > SUBJECT_MAX || strlen(json_string_value(value)) != length)
        return bad_claim(err, "its sub is no text of 1 to 255 characters");
    principal->subject = arena_strndup(arena, json_string_value(value), length);
    return principal->subject ||
           err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "out of memory");
}

/* "roles": ["manager"], or "role": "manager". A role that is not known is an error, not a role
 * less: a token that was meant for something else must not half work. */
static bool read_roles(const json_t *claims, struct principal *principal, struct err *err)
{
    const json_t *list = json_object_get(claims, "roles"),
                 *single = json_object_get(claims, "role");
    size_t index;
    const json_t *one;

    if (list && single)
        return bad_claim(err, "it has role and roles");
    if (json_is_string(single))
        principal->roles =
            auth_role_bit((struct str){json_string_value(single), json_string_length(single)});
    json_array_foreach(list, index, one)
    {
        uint32_t bit =
            json_is_string(one)
                ? auth_role_bit((struct str){json_string_value(one), json_string_length(one)})
                : 0;
        if (!bit)
            return bad_claim(err,
                             "one of its roles is none of platform, admin, manager, viewer, agent");
        principal->roles |= bit;
    }
    return principal->roles ||
           bad_claim(err, "it has no role: one of platform, admin, manager, viewer, agent");
}

/* "grants": ["phones"]. One that is not known is an error, as with roles. */
static bool read_grants(const json_t *claims, struct principal *principal, struct err *err)
{
    const json_t *list = json_object_get(claims, "grants");
    size_t index;
    const json_t *one;

    if (list && !json_is_array(list))
        return bad_claim(err, "its grants are no list");
    json_array_foreach(list, index, one)
    {
        uint32_t bit =
            json_is_string(one)
                ? auth_grant_bit((struct str){json_string_value(one), json_string_length(one)})
                : 0;
        if (!bit)
            return bad_claim(err, "one of its grants is none: there is only phones");
        principal->grants |= bit;
    }
    return true;
}

static bool read_company(const json_t *claims, struct arena *arena, struct principal *principal,
                         struct err *err)
{
    const json_t *value = json_object_get(claims, "company_id");
    struct uuid id;

    principal->is_platform = principal->roles & UINT32_C(1) << SCHEMA_ROLE_PLATFORM;
    if (principal->is_platform && value)
        return bad_claim(err, "the role platform works across companies: it has no company_id");
    if (principal->is_platform)
        return true;
    if (!json_is_string(value) ||
        !uuid_parse((struct str){json_string_value(value), json_string_length(value)}, &id))
        return bad_claim(err, "its company_id is no UUID");
    char *text = arena_alloc(arena, UUID_TEXT_SIZE);
    if (!text)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "out of memory");
    uuid_format(&id, text);
    principal->company_id = text;
    return true;
}

static bool read_claims(const json_t *claims, const struct auth_options *options,
                        struct arena *arena, struct token *token, struct err *err)
{
    if (!read_time(claims, "exp", &token->expires_us, err) ||
        !read_time(claims, "nbf", &token->not_before_us, err))
        return false;
    if (!token->expires_us)
        return bad_claim(err, "it has no exp: it would never end");
    token->principal.expires_us = token->expires_us + options->leeway_us;
    return check_parties(claims, options, err) &&
           read_subject(claims, arena, &token->principal, err) &&
           read_roles(claims, &token->principal, err) &&
           read_grants(claims, &token->principal, err) &&
           read_company(claims, arena, &token->principal, err);
}

bool token_verify(const struct key_set *keys, const struct auth_options *options, struct str token,
                  struct arena *arena, struct token *ret_token, struct err *err)
{
    unsigned char signature[SIGNATURE_MAX];
    struct parts parts;

    memset(ret_token, 0, sizeof(*ret_token));
    if (token.length > TOKEN_MAX)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_TOO_LARGE",
                       "the token has more than %d bytes", TOKEN_MAX);
    if (!split(token, &parts))
        return malformed(err, "it has not the three parts of a signed JWT");
    const struct key *key = choose_key(keys, parts.header, err);
    if (!key)
        return false;
    long size = base64url_decode(parts.signature, signature, sizeof(signature));
    if (size <= 0)
        return malformed(err, "its signature is no base64url");
    if (!signature_is_good(key, parts.signed_text,
                           (struct str){(const char *)signature, (size_t)size}))
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_BAD_SIGNATURE",
                       "the token's signature is wrong");
    json_t *claims = read_object(parts.payload);
    if (!claims)
        return malformed(err, "its claims are no JSON object");
    bool good = read_claims(claims, options, arena, ret_token, err);
    json_decref(claims);
    return good;
}

bool token_is_current(const struct token *token, int64_t now_us, int64_t leeway_us, struct err *err)
{
    if (now_us >= token->expires_us + leeway_us)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_EXPIRED", "the token has expired");
    if (token->not_before_us && now_us < token->not_before_us - leeway_us)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_NOT_YET_VALID",
                       "the token is not valid yet");
    return true;
}
