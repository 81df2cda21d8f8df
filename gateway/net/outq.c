#include "gateway/net/outq.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define POOL_BLOCKS_MAX 128u /* 1 MB */
#define POOL_NODES_MAX 4096u /* 200 KB */

struct outq_block {
    struct outq_block *next;
    struct shared_bytes *shared; /* NULL: the bytes are below */
    size_t begin, end;
    size_t capacity; /* of bytes[]; 0: a node */
    char bytes[];
};

void outq_pool_init(struct outq_pool *pool)
{
    memset(pool, 0, sizeof(*pool));
}

static void free_list(struct outq_block *block)
{
    while (block) {
        struct outq_block *next = block->next;
        free(block);
        block = next;
    }
}

void outq_pool_done(struct outq_pool *pool)
{
    free_list(pool->blocks);
    free_list(pool->nodes);
    outq_pool_init(pool);
}

void outq_init(struct outq *queue, struct outq_pool *pool)
{
    memset(queue, 0, sizeof(*queue));
    queue->pool = pool;
}

static void block_free(struct outq_pool *pool, struct outq_block *block)
{
    if (block->shared) {
        shared_bytes_unref(block->shared);
        block->shared = NULL;
    }
    pool->used_bytes -= block->capacity;
    if (block->capacity == OUTQ_BLOCK_BYTES && pool->block_count < POOL_BLOCKS_MAX) {
        block->next = pool->blocks;
        pool->blocks = block;
        pool->block_count++;
    } else if (block->capacity == 0 && pool->node_count < POOL_NODES_MAX) {
        block->next = pool->nodes;
        pool->nodes = block;
        pool->node_count++;
    } else {
        free(block);
    }
}

void outq_done(struct outq *queue)
{
    while (queue->first) {
        struct outq_block *block = queue->first;
        queue->first = block->next;
        block_free(queue->pool, block);
    }
    queue->last = NULL;
    queue->waiting = 0;
}

/* Appends an empty block that can hold `capacity` bytes (0: a node). */
static struct outq_block *append_block(struct outq *queue, size_t capacity)
{
    struct outq_pool *pool = queue->pool;
    struct outq_block *block;

    if (capacity == 0 && pool->nodes) {
        block = pool->nodes;
        pool->nodes = block->next;
        pool->node_count--;
    } else if (capacity > 0 && capacity <= OUTQ_BLOCK_BYTES && pool->blocks) {
        block = pool->blocks;
        pool->blocks = block->next;
        pool->block_count--;
    } else {
        if (capacity > 0 && capacity < OUTQ_BLOCK_BYTES) {
            capacity = OUTQ_BLOCK_BYTES;
        }
        block = malloc(sizeof(*block) + capacity);
        if (!block) {
            queue->failed = true;
            return NULL;
        }
        block->capacity = capacity;
    }
    pool->used_bytes += block->capacity;
    block->next = NULL;
    block->shared = NULL;
    block->begin = 0;
    block->end = 0;
    if (queue->last) {
        queue->last->next = block;
    } else {
        queue->first = block;
    }
    queue->last = block;
    return block;
}

char *outq_reserve(struct outq *queue, size_t length)
{
    struct outq_block *block = queue->last;
    if (!block || block->shared || block->capacity - block->end < length) {
        block = append_block(queue, length ? length : 1);
        if (!block) {
            return NULL;
        }
    }
    return block->bytes + block->end;
}

void outq_commit(struct outq *queue, size_t length)
{
    queue->last->end += length;
    queue->waiting += length;
    queue->queued_total += length;
}

void outq_put(struct outq *queue, const void *data, size_t length)
{
    struct outq_block *block = queue->last;
    const char *at = data;
    if (length == 0) {
        return;
    }
    if (block && !block->shared && block->end < block->capacity) {
        size_t room = block->capacity - block->end;
        size_t take = length < room ? length : room;
        memcpy(block->bytes + block->end, at, take);
        outq_commit(queue, take);
        at += take;
        length -= take;
    }
    if (length > 0) {
        char *room = outq_reserve(queue, length);
        if (!room) {
            return;
        }
        memcpy(room, at, length);
        outq_commit(queue, length);
    }
}

void outq_put_shared(struct outq *queue, struct shared_bytes *bytes, size_t from)
{
    struct outq_block *block;
    if (from >= bytes->length) {
        return;
    }
    block = append_block(queue, 0);
    if (!block) {
        return;
    }
    block->shared = shared_bytes_ref(bytes);
    block->begin = from;
    block->end = bytes->length;
    queue->waiting += block->end - from;
    queue->queued_total += block->end - from;
}

int outq_peek(const struct outq *queue, struct iovec *ret_pieces, int max)
{
    const struct outq_block *block;
    int count = 0;
    for (block = queue->first; block && count < max; block = block->next) {
        if (block->end > block->begin) {
            const char *bytes = block->shared ? block->shared->data : block->bytes;
            ret_pieces[count].iov_base = (void *)(uintptr_t)(bytes + block->begin);
            ret_pieces[count].iov_len = block->end - block->begin;
            count++;
        }
    }
    return count;
}

static void pop_first(struct outq *queue)
{
    struct outq_block *block = queue->first;
    queue->first = block->next;
    if (!queue->first) {
        queue->last = NULL;
    }
    block_free(queue->pool, block);
}

void outq_consume(struct outq *queue, size_t length)
{
    queue->waiting -= length;
    queue->sent_total += length;
    while (queue->first) {
        struct outq_block *block = queue->first;
        size_t here = block->end - block->begin;
        if (length < here) {
            block->begin += length;
            return;
        }
        length -= here;
        pop_first(queue);
    }
}

void outq_drop_unsent_shared(struct outq *queue)
{
    struct outq_block **link = &queue->first;
    struct outq_block *kept = NULL;
    size_t before = 0; /* bytes that stay, before this block */
    while (*link) {
        struct outq_block *block = *link;
        if (block->shared && block->begin == 0 && before >= queue->pinned) {
            queue->waiting -= block->end;
            queue->sent_total += block->end;
            *link = block->next;
            block_free(queue->pool, block);
        } else {
            before += block->end - block->begin;
            kept = block;
            link = &block->next;
        }
    }
    queue->last = kept;
}

size_t outq_read(struct outq *queue, void *out, size_t max)
{
    size_t done = 0;
    while (queue->first && done < max) {
        struct outq_block *block = queue->first;
        const char *bytes = block->shared ? block->shared->data : block->bytes;
        size_t take = block->end - block->begin;
        if (take > max - done) {
            take = max - done;
        }
        memcpy((char *)out + done, bytes + block->begin, take);
        outq_consume(queue, take);
        done += take;
    }
    return done;
}
