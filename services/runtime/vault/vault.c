/* A sealed value:
 *   0x00 'D' 'P'   no message begins with field 0, and no text with U+0000
 *   0x01           version of all that follows
 *   length, id     of the key, 1 byte and 1 to 32
 *   nonce          12 bytes
 *   ciphertext     as long as the value
 *   tag            16 bytes
 * What comes before the nonce, and the place, are its associated data. The nonce is an HMAC of
 * place and value under a key of its own, cut to 96 bits: two values share one only where they are
 * one, so that no counter and no random number can go wrong, and a value that is reported again is
 * found to be the same. As many values may be sealed with one key as with random nonces: 2^32. */
#include "vault/internal.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 5
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define FILE_MOST ((size_t)64 * 1024)
/* base64url of what every sealed value of this version begins with, as far as it is certain. */
#define TEXT_HEAD "AERQA"
#define VALUE_LIMIT ((size_t)64 << 20)

static const unsigned char magic[4] = {0, 'D', 'P', 1};

/* ---- Keys ---- */

static bool read_file(struct vault *vault, const char *path, struct err *err)
{
    char *text = malloc(FILE_MOST + 1);
    FILE *file = fopen(path, "re");
    size_t length = text && file ? fread(text, 1, FILE_MOST + 1, file) : 0;
    bool ok = false;

    if (!text)
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    else if (!file || ferror(file))
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "the data keys in %s cannot be read: %s", path,
                strerror(errno));
    else if (length > FILE_MOST)
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s is too long for a file of data keys", path);
    else if (keys_read(vault, (struct str){text, length}, err))
        ok = vault->count || err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s has no data key", path);
    if (text)
        OPENSSL_cleanse(text, FILE_MOST + 1);
    free(text);
    if (file)
        fclose(file);
    return ok;
}

struct vault *vault_new(const char *keys, const char *path, struct err *err)
{
    struct vault *vault = calloc(1, sizeof(*vault));
    bool has_keys = keys && *keys, has_path = path && *path, ok = true;

    if (!vault) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    vault->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    vault->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!vault->cipher || !vault->mac)
        ok = err_set(err, ERR_INTERNAL, NULL, "OpenSSL has no AES-256-GCM or no HMAC");
    else if (has_keys && has_path)
        ok = err_set(err, ERR_INVALID_ARGUMENT, NULL,
                     "data keys are given both as a list and as a file: one of the two");
    else if (has_keys)
        ok = keys_read(vault, str_from(keys), err);
    else if (has_path)
        ok = read_file(vault, path, err);
    if (ok)
        return vault;
    vault_free(vault);
    return NULL;
}

void vault_free(struct vault *vault)
{
    if (!vault)
        return;
    for (unsigned i = 0; i < vault->count; i++)
        EVP_MAC_CTX_free(vault->keys[i].nonce);
    EVP_CIPHER_free(vault->cipher);
    EVP_MAC_free(vault->mac);
    OPENSSL_cleanse(vault, sizeof(*vault));
    free(vault);
}

bool vault_seals(const struct vault *vault)
{
    return vault && vault->count;
}

/* ---- Places ---- */

static void place_put(struct vault_place *place, const void *data, size_t size)
{
    size_t room = sizeof(place->bytes) - place->length;

    memcpy(place->bytes + place->length, data, size < room ? size : room);
    place->length += size < room ? size : room;
}

void vault_place_init(struct vault_place *place, const char *column)
{
    place->length = 0;
    vault_place_text(place, str_from(column));
}

void vault_place_uuid(struct vault_place *place, const struct uuid *uuid)
{
    place_put(place, uuid->bytes, sizeof(uuid->bytes));
}

void vault_place_int64(struct vault_place *place, int64_t number)
{
    unsigned char bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (56 - 8 * i));
    place_put(place, bytes, sizeof(bytes));
}

/* With its length, so that no two lists of parts are the same bytes. */
void vault_place_text(struct vault_place *place, struct str text)
{
    unsigned char length = (unsigned char)(text.length < 64 ? text.length : 64);

    place_put(place, &length, 1);
    if (length)
        place_put(place, text.data, length);
}

/* ---- Sealing ---- */

static size_t overhead(const struct data_key *key)
{
    return HEAD_BYTES + strlen(key->id) + NONCE_BYTES + TAG_BYTES;
}

static bool make_nonce(const struct data_key *key, const struct vault_place *place,
                       struct str plain, unsigned char out[NONCE_BYTES])
{
    unsigned char whole[KEY_BYTES];
    unsigned char length = (unsigned char)place->length;
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(key->nonce);
    size_t size = 0;
    bool ok = context && EVP_MAC_update(context, &length, 1) &&
              EVP_MAC_update(context, place->bytes, place->length) &&
              (!plain.length ||
               EVP_MAC_update(context, (const unsigned char *)plain.data, plain.length)) &&
              EVP_MAC_final(context, whole, &size, sizeof(whole));

    EVP_MAC_CTX_free(context);
    if (ok)
        memcpy(out, whole, NONCE_BYTES);
    return ok;
}

bool vault_seal(const struct vault *vault, const struct vault_place *place, struct str plain,
                struct buf *out)
{
    const struct data_key *key = &vault->keys[0];
    size_t id_length = strlen(key->id), head_length = HEAD_BYTES + id_length;
    unsigned char *head = plain.length <= VALUE_LIMIT
                              ? (unsigned char *)buf_reserve(out, overhead(key) + plain.length)
                              : NULL;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool ok = head && context;
    int length = 0;

    if (ok) {
        unsigned char *nonce = head + head_length, *cipher = nonce + NONCE_BYTES;

        memcpy(head, magic, sizeof(magic));
        head[sizeof(magic)] = (unsigned char)id_length;
        memcpy(head + HEAD_BYTES, key->id, id_length);
        ok = make_nonce(key, place, plain, nonce) &&
             EVP_EncryptInit_ex2(context, vault->cipher, key->seal, nonce, NULL) &&
             EVP_EncryptUpdate(context, NULL, &length, head, (int)head_length) &&
             EVP_EncryptUpdate(context, NULL, &length, place->bytes, (int)place->length) &&
             (!plain.length ||
              EVP_EncryptUpdate(context, cipher, &length, (const unsigned char *)plain.data,
                                (int)plain.length)) &&
             EVP_EncryptFinal_ex(context, cipher + plain.length, &length) &&
             EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, cipher + plain.length);
    }
    EVP_CIPHER_CTX_free(context);
    if (ok)
        out->length += overhead(key) + plain.length;
    else
        out->failed = true;
    return ok;
}

/* ---- Opening ---- */

bool vault_is_sealed(struct str stored)
{
    return stored.length >= 3 && !memcmp(stored.data, magic, 3);
}

/* The parts of a sealed value; all point into it. */
struct parts {
    struct str head, id;
    const unsigned char *nonce, *cipher, *tag;
    size_t length; /* of the value */
};

static bool split(struct str stored, struct parts *ret_parts)
{
    const unsigned char *data = (const unsigned char *)stored.data;
    size_t id_length = stored.length > HEAD_BYTES ? data[sizeof(magic)] : 0;
    size_t fixed = HEAD_BYTES + id_length + NONCE_BYTES + TAG_BYTES;

    if (stored.length < fixed || memcmp(data, magic, sizeof(magic)) != 0 || !id_length ||
        id_length > VAULT_KEY_ID_MAX || stored.length - fixed > VALUE_LIMIT)
        return false;
    *ret_parts = (struct parts){
        .head = {stored.data, HEAD_BYTES + id_length},
        .id = {stored.data + HEAD_BYTES, id_length},
        .nonce = data + HEAD_BYTES + id_length,
        .cipher = data + HEAD_BYTES + id_length + NONCE_BYTES,
        .tag = data + stored.length - TAG_BYTES,
        .length = stored.length - fixed,
    };
    return true;
}

bool vault_is_current(const struct vault *vault, struct str stored)
{
    struct parts parts;

    if (!vault_seals(vault))
        return !vault_is_sealed(stored);
    return vault_is_sealed(stored) && split(stored, &parts) &&
           str_equal_cstr(parts.id, vault->keys[0].id);
}

static const struct data_key *find(const struct vault *vault, struct str id)
{
    for (unsigned i = 0; vault && i < vault->count; i++)
        if (str_equal_cstr(id, vault->keys[i].id))
            return &vault->keys[i];
    return NULL;
}

static bool damaged(struct err *err, const char *why)
{
    return err_set(err, ERR_INTERNAL, "DATA_DAMAGED", "a stored value cannot be decrypted: %s",
                   why);
}

static bool missing(struct err *err, struct str id)
{
    char text[VAULT_KEY_ID_MAX + 1];

    /* The id is not authenticated yet: only what an id may be made of is repeated. */
    for (size_t i = 0; i < id.length; i++)
        text[i] =
            (unsigned char)id.data[i] > ' ' && (unsigned char)id.data[i] < 0x7F && id.data[i] != '"'
                ? id.data[i]
                : '?';
    text[id.length] = '\0';
    return err_set(
        err, ERR_INTERNAL, "DATA_KEY_MISSING",
        "a stored value is encrypted with the data key \"%s\", which this service has not "
        "been given: see --data-keys",
        text);
}

static bool decrypt(const struct vault *vault, const struct data_key *key,
                    const struct vault_place *place, const struct parts *parts, struct buf *out,
                    struct err *err)
{
    unsigned char *plain = (unsigned char *)buf_reserve(out, parts->length + 1);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int length = 0;

    if (!plain || !context) {
        EVP_CIPHER_CTX_free(context);
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                       "an encrypted value does not fit the memory of one call");
    }
    bool ok = EVP_DecryptInit_ex2(context, vault->cipher, key->seal, parts->nonce, NULL) &&
              EVP_DecryptUpdate(context, NULL, &length, (const unsigned char *)parts->head.data,
                                (int)parts->head.length) &&
              EVP_DecryptUpdate(context, NULL, &length, place->bytes, (int)place->length) &&
              (!parts->length ||
               EVP_DecryptUpdate(context, plain, &length, parts->cipher, (int)parts->length)) &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, (void *)parts->tag) &&
              EVP_DecryptFinal_ex(context, plain + parts->length, &length) > 0;

    EVP_CIPHER_CTX_free(context);
    if (!ok) {
        OPENSSL_cleanse(plain, parts->length + 1);
        return damaged(err, "its key is another one, or it has been changed or moved");
    }
    out->length += parts->length;
    return true;
}

bool vault_open(const struct vault *vault, const struct vault_place *place, struct str stored,
                struct buf *out, struct err *err)
{
    struct parts parts;

    if (!vault_is_sealed(stored)) {
        buf_put_str(out, stored);
        return !out->failed || err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                                       "a value does not fit the memory of one call");
    }
    if (!split(stored, &parts))
        return damaged(err, "it is cut short, or of a version that is not known");
    const struct data_key *key = find(vault, parts.id);

    return key ? decrypt(vault, key, place, &parts, out, err) : missing(err, parts.id);
}

/* ---- As text ---- */

bool vault_seal_text(const struct vault *vault, const struct vault_place *place, struct str plain,
                     struct buf *out)
{
    struct buf sealed;

    buf_init(&sealed, VALUE_LIMIT + 1024);
    bool ok = vault_seal(vault, place, plain, &sealed);
    size_t room = sealed.length / 3 * 4 + 5;
    char *text = ok ? buf_reserve(out, room) : NULL;

    if (text)
        out->length += base64url_encode(sealed.data, sealed.length, text, room);
    else
        out->failed = true;
    buf_done(&sealed);
    return text != NULL;
}

bool vault_is_sealed_text(struct str stored)
{
    return str_starts_with(stored, STR_LITERAL(TEXT_HEAD));
}

static bool decode(struct str stored, struct buf *out)
{
    char *bytes = buf_reserve(out, stored.length + 4);
    long length = bytes ? base64url_decode(stored, bytes, stored.length + 4) : -1;

    if (length > 0)
        out->length += (size_t)length;
    return length > 0;
}

bool vault_is_current_text(const struct vault *vault, struct str stored)
{
    struct buf sealed;

    if (!vault_is_sealed_text(stored))
        return !vault_seals(vault);
    buf_init(&sealed, VALUE_LIMIT + 1024);
    bool is_current = decode(stored, &sealed) && vault_is_current(vault, buf_str(&sealed));

    buf_done(&sealed);
    return is_current;
}

bool vault_open_text(const struct vault *vault, const struct vault_place *place, struct str stored,
                     struct buf *out, struct err *err)
{
    struct buf sealed;

    if (!vault_is_sealed_text(stored))
        return vault_open(vault, place, stored, out, err);
    buf_init(&sealed, VALUE_LIMIT + 1024);
    bool ok = decode(stored, &sealed) && vault_is_sealed(buf_str(&sealed))
                  ? vault_open(vault, place, buf_str(&sealed), out, err)
                  : damaged(err, "it is no base64url");

    buf_done(&sealed);
    return ok;
}

/* ---- Hashes ---- */

bool vault_hash(const struct vault *vault, struct str text,
                unsigned char ret_hash[VAULT_HASH_BYTES], const char **ret_key_id)
{
    if (!vault_seals(vault))
        return false;
    *ret_key_id = vault->keys[0].id;
    return keys_hmac(vault->mac, vault->keys[0].hash, text, ret_hash);
}

bool vault_hash_with(const unsigned char secret[VAULT_HASH_BYTES], struct str text,
                     unsigned char ret_hash[VAULT_HASH_BYTES])
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    bool ok = mac && keys_hmac(mac, secret, text, ret_hash);

    EVP_MAC_free(mac);
    return ok;
}
