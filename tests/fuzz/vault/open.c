/* Any bytes as a stored value, as bytes and as text: it opens only when it is what was sealed. */
#include "vault/vault.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vault *vault;
    struct str stored = {(const char *)data, size};
    struct vault_place place;
    struct err err = {0};
    struct buf plain, again;

    if (!vault)
        vault = vault_new("k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                          NULL, &err);
    buf_init(&plain, 0);
    buf_init(&again, 0);
    vault_place_init(&place, "fuzz");
    if (vault_open(vault, &place, stored, &plain, &err) && vault_is_sealed(stored)) {
        /* Then it is the one sealed form of this value. */
        if (!vault_seal(vault, &place, buf_str(&plain), &again) ||
            !str_equal(buf_str(&again), stored))
            abort();
    } else if (vault_is_sealed(stored) && !err_is_set(&err)) {
        abort();
    }
    buf_reset(&plain);
    vault_is_current(vault, stored);
    vault_is_current_text(vault, stored);
    if (!vault_open_text(vault, &place, stored, &plain, &err) && plain.length)
        abort();
    buf_done(&again);
    buf_done(&plain);
    return 0;
}
