/* outq: bytes waiting to be written to one socket, in blocks that come from and go back to a pool,
 * so that an idle connection holds none. Touches no socket itself. */
#ifndef GATEWAY_NET_OUTQ_H
#define GATEWAY_NET_OUTQ_H

#include "gateway/net/shared_bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;
struct outq_block;

/* One a loop. Keeps a bounded number of free blocks. */
struct outq_pool {
    struct outq_block *blocks; /* with room for OUTQ_BLOCK_BYTES */
    struct outq_block *nodes;  /* that carry a reference only */
    unsigned block_count, node_count;
    size_t used_bytes; /* of blocks that hold output now */
};
#define OUTQ_BLOCK_BYTES 8000

void outq_pool_init(struct outq_pool *pool);
void outq_pool_done(struct outq_pool *pool);

struct outq {
    struct outq_pool *pool;
    struct outq_block *first, *last;
    size_t waiting;        /* bytes */
    size_t pinned;         /* of these, at the head, so many are half sent and must stay (TLS) */
    uint64_t queued_total; /* ever put in … */
    uint64_t sent_total;   /* … and taken out: an answer that ended at queued_total M is out when
                              sent_total >= M */
    bool failed; /* memory was short: what is here is not whole, the connection must be cut */
};

void outq_init(struct outq *queue, struct outq_pool *pool);
void outq_done(struct outq *queue);

void outq_put(struct outq *queue, const void *data, size_t length);
/* Without copying: takes a reference of its own, to bytes[from .. length). */
void outq_put_shared(struct outq *queue, struct shared_bytes *bytes, size_t from);
/* Room for `length` bytes in one piece, to be filled and then committed (as many or fewer). NULL
 * and failed: no memory. */
char *outq_reserve(struct outq *queue, size_t length);
void outq_commit(struct outq *queue, size_t length);

/* What to write next: gives how many of `max` entries were filled. */
int outq_peek(const struct outq *queue, struct iovec *ret_pieces, int max);
void outq_consume(struct outq *queue, size_t length);
/* Drops every shared piece of which nothing has been sent yet (whole WebSocket frames), nor is
 * pinned. */
void outq_drop_unsent_shared(struct outq *queue);
/* Moves up to `max` bytes to `out`; gives how many. */
size_t outq_read(struct outq *queue, void *out, size_t max);

#endif
