/* Any text as a list of data keys. */
#include "vault/vault.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct err err = {0};

    if (!text)
        return 0;
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(data[i] ? data[i] : ' ');
    text[size] = '\0';
    struct vault *vault = vault_new(text, NULL, &err);

    if (!vault == !err_is_set(&err))
        abort(); /* a vault, or a reason */
    vault_free(vault);
    free(text);
    return 0;
}
