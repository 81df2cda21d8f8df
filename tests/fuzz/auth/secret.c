/* API keys and tickets from anywhere: what is taken for one has the form of one. */
#include "auth/secret.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    unsigned char hash[AUTH_HASH_SIZE];
    char prefix[AUTH_PREFIX_SIZE];

    if (key_parse(text, prefix, hash) &&
        (size != KEY_TEXT_SIZE - 1 || memcmp(prefix, data, AUTH_PREFIX_SIZE - 1) != 0 ||
         strlen(prefix) != AUTH_PREFIX_SIZE - 1))
        abort();
    if (ticket_parse(text, hash) && size != TICKET_TEXT_SIZE - 1)
        abort();
    return 0;
}
