/* vault: what lies encrypted in the database, and the keys that open it. AES-256-GCM (NIST SP
 * 800-38D) by OpenSSL. A sealed value says which key it needs, so that keys can be changed while
 * old values are still there, and holds only in the place that it was sealed for: moved to another
 * row it opens no more. A vault is read-only once it is made: any thread may use it. */
#ifndef DIALPLANE_VAULT_VAULT_H
#define DIALPLANE_VAULT_VAULT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define VAULT_KEYS_MAX 16
#define VAULT_KEY_ID_MAX 32
#define VAULT_HASH_BYTES 32

struct vault;

/* `keys`: "ID:KEY,ID:KEY…", the first of which seals and all of which open; an id is 1 to 32 of
 * a-z, A-Z, 0-9, "-", "_" and ".", a key 32 bytes in base64 (either alphabet) or 64 hexadecimal
 * digits. `path`: a file of the same, one or several a line, "#" begins a comment; at most one of
 * the two is given. Neither (NULL or ""): a vault that seals nothing. NULL with err
 * INVALID_ARGUMENT, which says what is wrong and never repeats a key. */
struct vault *vault_new(const char *keys, const char *path, struct err *err);
void vault_free(struct vault *vault); /* NULL is allowed */

/* False: there are no keys, and values are stored as they are. NULL is such a vault. */
bool vault_seals(const struct vault *vault);

/* Where a value lies: table and column, and what names the row. Bound into what is sealed. */
struct vault_place {
    unsigned char bytes[160];
    size_t length;
};
void vault_place_init(struct vault_place *place, const char *column); /* "call_events.event" */
void vault_place_uuid(struct vault_place *place, const struct uuid *uuid);
void vault_place_int64(struct vault_place *place, int64_t number);
/* At most 64 bytes of it count. */
void vault_place_text(struct vault_place *place, struct str text);

/* Appends the sealed form of `plain`: the same for the same value in the same place with the same
 * key, so that sealed values can be compared. False when memory is short (out->failed). The vault
 * has keys. */
bool vault_seal(const struct vault *vault, const struct vault_place *place, struct str plain,
                struct buf *out);
/* How many bytes longer that is at most. */
#define VAULT_OVERHEAD_MAX (5 + VAULT_KEY_ID_MAX + 12 + 16)
/* Whether these bytes are a sealed value. No protobuf message and no text begins like one. */
bool vault_is_sealed(struct str stored);
/* Whether they are as vault_seal() would make them: sealed with the first key, or not sealed when
 * there are none. */
bool vault_is_current(const struct vault *vault, struct str stored);
/* Appends what was sealed; what is not sealed is appended as it is. False: err is INTERNAL with
 * reason DATA_KEY_MISSING, whose message names the key's id, or DATA_DAMAGED (another key of that
 * id, another place, changed bytes); or RESOURCE_EXHAUSTED. Nothing has been appended then. */
bool vault_open(const struct vault *vault, const struct vault_place *place, struct str stored,
                struct buf *out, struct err *err);

/* The same as text (base64url): what is sealed of a text is such a text, and in JSON a string. */
bool vault_seal_text(const struct vault *vault, const struct vault_place *place, struct str plain,
                     struct buf *out);
bool vault_is_sealed_text(struct str stored);
bool vault_is_current_text(const struct vault *vault, struct str stored);
bool vault_open_text(const struct vault *vault, const struct vault_place *place, struct str stored,
                     struct buf *out, struct err *err);

/* HMAC-SHA-256 of `text` with the first key's own key for hashes; *ret_key_id is the vault's. False
 * without keys. */
bool vault_hash(const struct vault *vault, struct str text,
                unsigned char ret_hash[VAULT_HASH_BYTES], const char **ret_key_id);
/* The same with a secret of 32 bytes that somebody else keeps. */
bool vault_hash_with(const unsigned char secret[VAULT_HASH_BYTES], struct str text,
                     unsigned char ret_hash[VAULT_HASH_BYTES]);

#endif
