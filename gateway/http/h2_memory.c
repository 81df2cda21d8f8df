#include "gateway/http/h2_memory.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_BYTES ((size_t)32)
#define KEPT_MAX_BYTES ((size_t)2 * 1024 * 1024)
#define NOT_POOLED ((size_t)H2_MEMORY_CLASSES)

/* Before every piece. */
struct h2_memory_piece {
    alignas(max_align_t) size_t size_class;
    size_t size; /* what may be used */
    struct h2_memory_piece *next;
};

static size_t class_of(size_t size)
{
    size_t size_class = 0, bytes = SMALLEST_BYTES;
    while (bytes < size && size_class < NOT_POOLED) {
        bytes *= 2;
        size_class++;
    }
    return size_class;
}

static void *pool_malloc(size_t size, void *user)
{
    struct h2_memory *memory = user;
    size_t size_class = class_of(size);
    struct h2_memory_piece *piece;

    if (size_class < NOT_POOLED) {
        size = SMALLEST_BYTES << size_class;
        piece = memory->free[size_class];
        if (piece) {
            memory->free[size_class] = piece->next;
            memory->kept_bytes -= size;
            return piece + 1;
        }
    }
    if (size > (size_t)-1 - sizeof(*piece)) {
        return NULL;
    }
    piece = malloc(sizeof(*piece) + size);
    if (!piece) {
        return NULL;
    }
    piece->size_class = size_class;
    piece->size = size;
    return piece + 1;
}

static void pool_free(void *data, void *user)
{
    struct h2_memory *memory = user;
    struct h2_memory_piece *piece;
    if (!data) {
        return;
    }
    piece = (struct h2_memory_piece *)data - 1;
    if (piece->size_class < NOT_POOLED && memory->kept_bytes + piece->size <= KEPT_MAX_BYTES) {
        piece->next = memory->free[piece->size_class];
        memory->free[piece->size_class] = piece;
        memory->kept_bytes += piece->size;
    } else {
        free(piece);
    }
}

static void *pool_calloc(size_t count, size_t size, void *user)
{
    void *data;
    if (size && count > (size_t)-1 / size) {
        return NULL;
    }
    data = pool_malloc(count * size, user);
    if (data) {
        memset(data, 0, count * size);
    }
    return data;
}

static void *pool_realloc(void *data, size_t size, void *user)
{
    const struct h2_memory_piece *piece;
    void *moved;
    if (!data) {
        return pool_malloc(size, user);
    }
    piece = (struct h2_memory_piece *)data - 1;
    if (size <= piece->size) {
        return data;
    }
    moved = pool_malloc(size, user);
    if (moved) {
        memcpy(moved, data, piece->size);
        pool_free(data, user);
    }
    return moved;
}

void h2_memory_init(struct h2_memory *memory)
{
    memset(memory, 0, sizeof(*memory));
    memory->mem.mem_user_data = memory;
    memory->mem.malloc = pool_malloc;
    memory->mem.free = pool_free;
    memory->mem.calloc = pool_calloc;
    memory->mem.realloc = pool_realloc;
}

void h2_memory_done(struct h2_memory *memory)
{
    size_t i;
    for (i = 0; i < H2_MEMORY_CLASSES; i++) {
        while (memory->free[i]) {
            struct h2_memory_piece *piece = memory->free[i];
            memory->free[i] = piece->next;
            free(piece);
        }
    }
    memory->kept_bytes = 0;
}
