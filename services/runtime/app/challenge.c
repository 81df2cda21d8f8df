#include "app/challenge.h"

#include <stdio.h>
#include <string.h>

static const char *error_word(const struct err *err)
{
    if (err->code == ERR_UNAUTHENTICATED)
        return "invalid_token";
    if (err->code == ERR_PERMISSION_DENIED && strcmp(err->reason, "ROLE_NOT_ALLOWED") == 0)
        return "insufficient_scope";
    if (err->code == ERR_INVALID_ARGUMENT && strcmp(err->reason, REASON_CREDENTIALS_IN_URL) == 0)
        return "invalid_request";
    return NULL;
}

/* %x20-21 / %x23-5B / %x5D-7E is all that a description may be made of. */
static void put_description(const char *message, char *out, size_t out_size)
{
    size_t length = 0;

    for (; *message && length + 1 < out_size; message++) {
        char byte = *message == '"' || *message == '\\' ? '\'' : *message;
        if (byte >= ' ' && byte <= '~')
            out[length++] = byte;
    }
    out[length] = '\0';
}

bool challenge_format(const struct err *err, char out[CHALLENGE_SIZE])
{
    static const char realm[] = "Bearer realm=\"dialplane\"";
    const char *word = error_word(err);
    char description[CHALLENGE_SIZE - 100];

    if (!word)
        return false;
    if (strcmp(err->reason, REASON_TOKEN_MISSING) == 0) {
        memcpy(out, realm, sizeof(realm));
        return true;
    }
    put_description(err->message, description, sizeof(description));
    snprintf(out, CHALLENGE_SIZE, "%s, error=\"%s\", error_description=\"%s\"", realm, word,
             description);
    return true;
}
