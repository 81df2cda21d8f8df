#include "gateway/net/shared_bytes.h"

#include <stdlib.h>
#include <string.h>

struct shared_bytes *shared_bytes_new(const void *data, size_t length)
{
    struct shared_bytes *bytes;
    if (length > (size_t)-1 - sizeof(*bytes)) {
        return NULL;
    }
    bytes = malloc(sizeof(*bytes) + length);
    if (!bytes) {
        return NULL;
    }
    bytes->references = 1;
    bytes->length = length;
    if (data && length) {
        memcpy(bytes->data, data, length);
    }
    return bytes;
}

struct shared_bytes *shared_bytes_ref(struct shared_bytes *bytes)
{
    bytes->references++;
    return bytes;
}

void shared_bytes_unref(struct shared_bytes *bytes)
{
    if (bytes && --bytes->references == 0) {
        free(bytes);
    }
}
