/* h2_memory: the allocator under nghttp2: freed pieces are kept in lists by size, bounded, and
 * handed out again. One thread. */
#ifndef GATEWAY_HTTP_H2_MEMORY_H
#define GATEWAY_HTTP_H2_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>

#define H2_MEMORY_CLASSES 10 /* 32 bytes … 16 KB */

struct h2_memory {
    nghttp2_mem mem; /* give its address to nghttp2_session_*_new3() */
    struct h2_memory_piece *free[H2_MEMORY_CLASSES];
    size_t kept_bytes;
};

void h2_memory_init(struct h2_memory *memory);
/* After all sessions that use it have gone. */
void h2_memory_done(struct h2_memory *memory);

#endif
