#include "gateway/route/query_credentials.h"

#include "app/challenge.h"
#include "gateway/route/percent.h"

#include <string.h>

#define NAME_MAX_LENGTH 32 /* of those that are looked for */

/* In lower case, with "_" for "-". page_token and the like are none of these. */
static const char *const forbidden[] = {
    "token",     "access_token", "id_token", "refresh_token", "auth_token", "bearer_token",
    "api_token", "api_key",      "apikey",   "x_api_key",     "auth",       "authorization",
    "bearer",    "bearer_auth",  "jwt",      "secret",        "password",   "credentials",
};

static bool is_forbidden(struct str name)
{
    char plain[NAME_MAX_LENGTH];

    if (name.length >= sizeof(plain))
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        plain[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c == '-' ? '_' : c);
    }
    plain[name.length] = '\0';
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        if (strcmp(plain, forbidden[i]) == 0)
            return true;
    return false;
}

/* An API key or ticket of ours, or a signed JWT, whose header begins with "{\"" in base64url. */
static bool is_secret(struct str value)
{
    if (str_starts_with(value, STR_LITERAL("dpk_")) || str_starts_with(value, STR_LITERAL("dpt_")))
        return true;
    if (!str_starts_with(value, STR_LITERAL("eyJ")))
        return false;
    const char *first = memchr(value.data, '.', value.length);
    return first && memchr(first + 1, '.', (size_t)(value.data + value.length - first - 1));
}

static bool refuse(struct err *err)
{
    return err_set(err, ERR_INVALID_ARGUMENT, REASON_CREDENTIALS_IN_URL,
                   "An address is no place for a token or key, because it ends in logs and "
                   "histories: send the header Authorization: Bearer …, or the subprotocols "
                   "\"bearer, <token>\" of a WebSocket, or for a stream ?ticket= from POST "
                   "/api/analytics/ws-tickets. What was sent here should be replaced");
}

static bool drop(struct str query, struct str pair, struct arena *arena, struct str *ret_rest)
{
    size_t before = (size_t)(pair.data - query.data);
    size_t after = before + pair.length < query.length ? before + pair.length + 1 : query.length;
    char *rest = arena_alloc(arena, query.length + 1);

    if (!rest)
        return false;
    memcpy(rest, query.data, before);
    memcpy(rest + before, query.data + after, query.length - after);
    *ret_rest = (struct str){rest, before + query.length - after};
    return true;
}

static struct str decoded(struct str text, struct arena *arena)
{
    struct str result;

    return percent_decode(text, true, arena, &result) == PERCENT_OK ? result
                                                                    : (struct str){NULL, 0};
}

bool query_credentials(struct str query, struct arena *arena, struct str *ret_rest,
                       struct str *ret_ticket, struct err *err)
{
    struct str left = query;

    *ret_rest = query;
    *ret_ticket = (struct str){NULL, 0};
    while (left.length) {
        const char *ampersand = memchr(left.data, '&', left.length);
        struct str pair = {left.data, ampersand ? (size_t)(ampersand - left.data) : left.length};
        const char *equals = pair.length ? memchr(pair.data, '=', pair.length) : NULL;
        struct str name = {pair.data, equals ? (size_t)(equals - pair.data) : pair.length};
        struct str value = {NULL, 0};

        left = str_after(left, ampersand ? pair.length + 1 : left.length);
        name = decoded(name, arena);
        if (equals)
            value = decoded(str_after(pair, (size_t)(equals - pair.data) + 1), arena);
        if (str_equal_cstr(name, "ticket")) {
            if (ret_ticket->data)
                return err_set(err, ERR_INVALID_ARGUMENT, REASON_CREDENTIALS_IN_URL,
                               "There are two tickets in the address");
            *ret_ticket = value.data ? value : STR_LITERAL("");
            if (!drop(query, pair, arena, ret_rest))
                return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                               "The query is too large");
        } else if (is_forbidden(name) || is_secret(value)) {
            return refuse(err);
        }
    }
    return true;
}
