/* shared_bytes: bytes that many sockets send at once; reference-counted on one thread. */
#ifndef GATEWAY_NET_SHARED_BYTES_H
#define GATEWAY_NET_SHARED_BYTES_H

#include <stddef.h>

struct shared_bytes {
    unsigned references;
    size_t length;
    char data[];
};

/* With one reference, the caller's. data NULL: the bytes are to be filled in. NULL: no memory. */
struct shared_bytes *shared_bytes_new(const void *data, size_t length);
struct shared_bytes *shared_bytes_ref(struct shared_bytes *bytes);
void shared_bytes_unref(struct shared_bytes *bytes); /* NULL is allowed */

#endif
