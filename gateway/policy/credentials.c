#include "gateway/policy/credentials.h"

#include <string.h>

static bool is_visible(struct str text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    return true;
}

static bool malformed(struct err *err, const char *why)
{
    return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_MALFORMED", "%s", why);
}

/* "bearer, <token>": exactly these two (RFC 6455 §1.9 leaves their meaning to us). */
static bool from_protocols(struct str list, struct str *ret_token)
{
    const char *comma = memchr(list.data, ',', list.length);

    if (!comma)
        return false;
    struct str first = str_trim((struct str){list.data, (size_t)(comma - list.data)});
    *ret_token = str_trim((struct str){comma + 1, (size_t)(list.data + list.length - (comma + 1))});
    return str_equal_ignore_case(first, STR_LITERAL("bearer")) && ret_token->length &&
           !memchr(ret_token->data, ',', ret_token->length);
}

static bool keep(struct str prefix, struct str text, struct arena *arena, const char **ret_text,
                 struct err *err)
{
    if (prefix.length + text.length > CREDENTIALS_MAX)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_TOO_LARGE",
                       "the authorization has more than %d bytes", CREDENTIALS_MAX);
    if (!is_visible(text))
        return malformed(err, "the authorization has characters that no token has");
    char *copy = arena_alloc(arena, prefix.length + text.length + 1);
    if (!copy)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "out of memory");
    memcpy(copy, prefix.data, prefix.length);
    memcpy(copy + prefix.length, text.data, text.length);
    copy[prefix.length + text.length] = '\0';
    *ret_text = copy;
    return true;
}

bool credentials_read(struct str authorization, struct str websocket_protocols, struct arena *arena,
                      const char **ret_authorization, struct str *ret_protocol, struct err *err)
{
    struct str token;

    *ret_authorization = NULL;
    *ret_protocol = (struct str){NULL, 0};
    if (authorization.length && websocket_protocols.length &&
        from_protocols(websocket_protocols, &token))
        return malformed(err, "there are two authorizations: a header, and one in "
                              "Sec-WebSocket-Protocol");
    if (authorization.length)
        return keep(STR_LITERAL(""), authorization, arena, ret_authorization, err);
    if (!websocket_protocols.length || !from_protocols(websocket_protocols, &token))
        return true;
    *ret_protocol = STR_LITERAL("bearer");
    return keep(STR_LITERAL("Bearer "), token, arena, ret_authorization, err);
}

bool credentials_is_ticket(struct str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return text.length > 0 && text.length <= 64;
}
