/* A token that may be anything, once as it is, and once as header and claims that are rightly
 * signed with a shared secret, so that what comes after the signature is reached as well:
 * "HEADER\nCLAIMS".
 */
#include "auth/internal.h"

#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

static const char keys_text[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"k\",\"k\":"
                                "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},"
                                "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"e\","
                                "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static void try(const struct key_set *keys, struct str text)
{
    static const struct auth_options options = {.issuer = "i", .audience = "a"};
    struct arena *arena = arena_new(65536);
    struct token token;
    struct err err = {0};

    if (!arena)
        return;
    if (token_verify(keys, &options, text, arena, &token, &err)) {
        const struct principal *who = &token.principal;
        if (!who->subject[0] || !who->roles || !token.expires_us ||
            (!who->company_id) != who->is_platform)
            abort();
        token_is_current(&token, INT64_C(1700000000000000), 0, &err);
    } else if (!err.message[0]) {
        abort();
    }
    arena_free(arena);
}

static void try_signed(const struct key_set *keys, const char *data, size_t size)
{
    const char *line = memchr(data, '\n', size);
    char text[2 * TOKEN_MAX];
    unsigned char mac[32];
    unsigned mac_size = 0;

    if (!line || size > TOKEN_MAX)
        return;
    size_t first = (size_t)(line - data);
    size_t length = base64url_encode(data, first, text, sizeof(text));
    text[length++] = '.';
    length += base64url_encode(line + 1, size - first - 1, text + length, sizeof(text) - length);
    HMAC(EVP_sha256(), keys->keys[0].secret, (int)keys->keys[0].secret_size,
         (const unsigned char *)text, length, mac, &mac_size);
    text[length++] = '.';
    length += base64url_encode(mac, mac_size, text + length, sizeof(text) - length);
    try(keys, (struct str){text, length});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct key_set keys;
    struct err err = {0};

    if (!keys.count && !key_set_parse(keys_text, strlen(keys_text), true, &keys, &err))
        abort();
    try(&keys, (struct str){(const char *)data, size});
    try_signed(&keys, (const char *)data, size);
    return 0;
}
