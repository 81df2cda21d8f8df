/* A JWK set (RFC 7517 §5), from text or a file. */
#include "auth/internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void key_set_done(struct key_set *set)
{
    for (unsigned i = 0; i < set->count; i++)
        EVP_PKEY_free(set->keys[i].public_key);
    OPENSSL_cleanse(set, sizeof(*set)); /* shared secrets */
}

const struct key *key_set_find(const struct key_set *set, struct str id)
{
    for (unsigned i = 0; i < set->count; i++)
        if (str_equal_cstr(id, set->keys[i].id))
            return &set->keys[i];
    return NULL;
}

static bool add(struct key_set *set, const json_t *json, bool allow_hs256, struct err *err)
{
    struct key *key = &set->keys[set->count];
    struct err why = {0};

    if (set->count == KEYS_MAX)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the key set has more than %d keys",
                       KEYS_MAX);
    if (!jwk_read(json, allow_hs256, key, &why)) {
        if (why.code == ERR_OK)
            return true; /* for another use */
        *err = why;
        return false;
    }
    if (key_set_find(set, str_from(key->id))) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "two keys of the set have the kid \"%s\"",
                key->id);
        EVP_PKEY_free(key->public_key);
        return false;
    }
    set->count++;
    return true;
}

bool key_set_parse(const char *text, size_t size, bool allow_hs256, struct key_set *ret_set,
                   struct err *err)
{
    json_error_t error;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    const json_t *keys = json_object_get(json, "keys");
    bool good = true;

    memset(ret_set, 0, sizeof(*ret_set));
    if (!json)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the key set is no JSON: line %d: %s",
                       error.line, error.text);
    if (!keys) {
        good = add(ret_set, json, allow_hs256, err); /* one bare key */
    } else if (!json_is_array(keys)) {
        good = err_set(err, ERR_INVALID_ARGUMENT, NULL, "\"keys\" of the key set is no list");
    } else {
        for (size_t i = 0; good && i < json_array_size(keys); i++)
            good = add(ret_set, json_array_get(keys, i), allow_hs256, err);
    }
    json_decref(json);
    if (good && !ret_set->count)
        good = err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the key set holds no key for RS256, ES256 or EdDSA");
    if (!good)
        key_set_done(ret_set);
    return good;
}

bool key_set_load(const char *path, bool allow_hs256, struct key_set *ret_set, struct err *err)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(KEY_SET_BYTES_MAX + 1);
    bool good = false;

    if (!file || !text) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "the key set %s cannot be read: %s", path,
                strerror(errno));
    } else {
        size_t size = fread(text, 1, KEY_SET_BYTES_MAX + 1, file);
        if (ferror(file))
            err_set(err, ERR_INVALID_ARGUMENT, NULL, "the key set %s cannot be read", path);
        else if (size > KEY_SET_BYTES_MAX)
            err_set(err, ERR_INVALID_ARGUMENT, NULL, "the key set %s is larger than %zu bytes",
                    path, KEY_SET_BYTES_MAX);
        else
            good = key_set_parse(text, size, allow_hs256, ret_set, err);
        OPENSSL_cleanse(text, KEY_SET_BYTES_MAX + 1);
    }
    if (file)
        fclose(file);
    free(text);
    return good;
}
