/* One token: header and claims as JSON, signed (RFC 7515 §7.1). */
#include "auth/auth.h"
#include "base/uuid.h"
#include "token/token.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A comma list of roles or grants as a JSON list. NULL with err, which names the known ones. */
static json_t *read_words(const char *text, uint32_t (*bit_of)(struct str word), const char *kind,
                          const char *known, struct err *err)
{
    json_t *words = json_array();

    while (words && *text) {
        size_t length = strcspn(text, ",");
        if (!bit_of((struct str){text, length}) ||
            json_array_append_new(words, json_stringn(text, length)) != 0) {
            err_set(err, ERR_INVALID_ARGUMENT, NULL, "there is no %s \"%.*s\": %s", kind,
                    (int)length, text, known);
            json_decref(words);
            return NULL;
        }
        text += length + (text[length] == ',');
    }
    return words;
}

static json_t *read_roles(const char *text, struct err *err)
{
    return read_words(text, auth_role_bit, "role", "platform, admin, manager, viewer or agent",
                      err);
}

static json_t *read_grants(const char *text, struct err *err)
{
    return read_words(text, auth_grant_bit, "grant", "there is only phones", err);
}

static bool check(const struct issue *issue, struct err *err)
{
    bool platform = strstr(issue->roles, "platform") != NULL;
    json_t *roles = read_roles(issue->roles, err);
    struct uuid id;

    if (!roles)
        return false;
    json_decref(roles);
    if (platform && issue->company_id)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the role platform works across companies: leave the company out");
    if (!platform && !issue->company_id)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the role %s works in one company: name it with --company", issue->roles);
    return !issue->company_id || uuid_parse(str_from(issue->company_id), &id) ||
           err_set(err, ERR_INVALID_ARGUMENT, NULL, "the company \"%s\" is no UUID",
                   issue->company_id);
}

static json_t *make_claims(const struct issue *issue, struct err *err)
{
    json_t *roles = read_roles(issue->roles, err);
    json_int_t now = issue->now_us / TIME_US_PER_SECOND;
    json_t *claims;

    if (!roles)
        return NULL;
    json_t *grants = issue->grants ? read_grants(issue->grants, err) : NULL;
    if (issue->grants && !grants) {
        json_decref(roles);
        return NULL;
    }
    claims = json_pack("{s:s,s:s,s:s,s:o,s:I,s:I}", "iss", issue->issuer, "aud", issue->audience,
                       "sub", issue->subject, "roles", roles, "iat", now, "exp",
                       (json_int_t)(now + issue->lifetime_us / TIME_US_PER_SECOND));
    if (claims && issue->company_id)
        json_object_set_new(claims, "company_id", json_string(issue->company_id));
    if (claims && grants)
        json_object_set(claims, "grants", grants);
    json_decref(grants);
    return claims;
}

/* Appends the base64url of the object's JSON. */
static bool put_object(char *out, size_t out_size, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    size_t length = strlen(out);
    bool fits = text && length + (strlen(text) * 4 + 2) / 3 + 2 < out_size;

    if (fits)
        base64url_encode(text, strlen(text), out + length, out_size - length);
    free(text);
    return fits;
}

static bool sign(EVP_PKEY *key, char *out, size_t out_size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[64];
    size_t size = sizeof(signature), length = strlen(out);
    bool good = context && length + 2 + 88 < out_size &&
                EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, signature, &size, (unsigned char *)out, length) == 1;

    EVP_MD_CTX_free(context);
    if (!good)
        return false;
    out[length++] = '.';
    base64url_encode(signature, size, out + length, out_size - length);
    return true;
}

char *issue_token(EVP_PKEY *key, const struct issue *issue, struct err *err)
{
    char id[KEY_ID_SIZE], *token = calloc(1, 4096);

    if (!token || !check(issue, err) || !key_pair_id(key, id, err)) {
        free(token);
        return NULL;
    }
    json_t *header = json_pack("{s:s,s:s,s:s}", "alg", "EdDSA", "typ", "JWT", "kid", id);
    json_t *claims = make_claims(issue, err);
    bool good = header && claims && put_object(token, 4096, header) && strcat(token, ".") &&
                put_object(token, 4096, claims) && sign(key, token, 4096);
    json_decref(header);
    json_decref(claims);
    if (good)
        return token;
    if (!err_is_set(err))
        err_set(err, ERR_INTERNAL, NULL, "the token cannot be made");
    free(token);
    return NULL;
}
