/* Keys as they are given, and the three that each of them becomes: one to seal, one to make nonces,
 * one for hashes (HMAC as a key derivation function, NIST SP 800-108 §5.1 with one block). */
#include "vault/internal.h"

#include <ctype.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <string.h>

static bool is_id(struct str id)
{
    if (!id.length || id.length > VAULT_KEY_ID_MAX)
        return false;
    for (size_t i = 0; i < id.length; i++)
        if (!isalnum((unsigned char)id.data[i]) && !strchr("-_.", id.data[i]))
            return false;
    return true;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool read_hex(struct str text, unsigned char out[KEY_BYTES])
{
    if (text.length != 2 * KEY_BYTES)
        return false;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        int high = hex_value(text.data[2 * i]), low = hex_value(text.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* 43 characters, perhaps with the "=" behind them; both alphabets of RFC 4648. */
static bool read_base64(struct str text, unsigned char out[KEY_BYTES])
{
    char url[44];

    if (text.length == 44 && text.data[43] == '=')
        text.length--;
    if (text.length != 43)
        return false;
    for (size_t i = 0; i < text.length; i++)
        url[i] = text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : text.data[i];
    bool ok = base64url_decode((struct str){url, text.length}, out, KEY_BYTES) == KEY_BYTES;

    OPENSSL_cleanse(url, sizeof(url));
    return ok;
}

bool keys_hmac(EVP_MAC *mac, const unsigned char key[KEY_BYTES], struct str text,
               unsigned char out[KEY_BYTES])
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    size_t length = 0;
    bool ok = context && EVP_MAC_init(context, key, KEY_BYTES, params) &&
              EVP_MAC_update(context, (const unsigned char *)text.data, text.length) &&
              EVP_MAC_final(context, out, &length, KEY_BYTES) && length == KEY_BYTES;

    EVP_MAC_CTX_free(context);
    return ok;
}

static bool derive(struct vault *vault, struct data_key *key, const unsigned char given[KEY_BYTES])
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end()};
    unsigned char nonce[KEY_BYTES];

    key->nonce = EVP_MAC_CTX_new(vault->mac);
    bool ok = key->nonce &&
              keys_hmac(vault->mac, given, STR_LITERAL("dialplane seal 1"), key->seal) &&
              keys_hmac(vault->mac, given, STR_LITERAL("dialplane hash 1"), key->hash) &&
              keys_hmac(vault->mac, given, STR_LITERAL("dialplane nonce 1"), nonce) &&
              EVP_MAC_init(key->nonce, nonce, sizeof(nonce), params);

    OPENSSL_cleanse(nonce, sizeof(nonce));
    return ok;
}

/* "ID:KEY" */
static bool read_key(struct vault *vault, struct str text, struct err *err)
{
    const char *colon = memchr(text.data, ':', text.length);
    struct str id = {text.data, colon ? (size_t)(colon - text.data) : 0};
    struct str secret = {colon ? colon + 1 : NULL, colon ? text.length - id.length - 1 : 0};
    unsigned number = vault->count + 1;
    unsigned char given[KEY_BYTES];

    if (!colon || !is_id(id))
        return err_set(
            err, ERR_INVALID_ARGUMENT, NULL,
            "data key %u is not ID:KEY with an id of 1 to 32 letters, digits, -, _ and .", number);
    if (vault->count == VAULT_KEYS_MAX)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "there are more than %d data keys",
                       VAULT_KEYS_MAX);
    for (unsigned i = 0; i < vault->count; i++)
        if (str_equal_cstr(id, vault->keys[i].id))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL, "data key \"%s\" is given twice",
                           vault->keys[i].id);
    struct data_key *key = &vault->keys[vault->count];

    memcpy(key->id, id.data, id.length);
    if (!read_base64(secret, given) && !read_hex(secret, given))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "data key \"%s\" is not 32 bytes in base64 (44 characters, as of "
                       "`openssl rand -base64 32`) or 64 hexadecimal digits",
                       key->id);
    vault->count++; /* from here on vault_free() frees it */
    bool ok = derive(vault, key, given);

    OPENSSL_cleanse(given, sizeof(given));
    return ok || err_set(err, ERR_INTERNAL, NULL, "OpenSSL has no HMAC-SHA-256");
}

bool keys_read(struct vault *vault, struct str text, struct err *err)
{
    size_t at = 0;

    while (at < text.length) {
        size_t end = at;

        if (text.data[at] == '#') {
            while (at < text.length && text.data[at] != '\n')
                at++;
            continue;
        }
        while (end < text.length && !strchr(",\n#", text.data[end]))
            end++;
        struct str key = str_trim((struct str){text.data + at, end - at});

        if (key.length && !read_key(vault, key, err))
            return false;
        at = end < text.length && text.data[end] != '#' ? end + 1 : end;
    }
    return true;
}
