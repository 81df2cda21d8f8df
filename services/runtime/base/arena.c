/* A chain of blocks; the newest is the only one that is carved, so an allocation is an add and a
 * compare. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK_BYTES ((size_t)4 * 1024)
#define LARGEST_BLOCK_BYTES ((size_t)256 * 1024)
#define ALIGNMENT _Alignof(max_align_t)

struct block {
    struct block *next;
    max_align_t memory[]; /* flexible: aligned for any type */
};

struct arena {
    struct block *blocks; /* every block, the one being carved first */
    char *at, *end;       /* the free rest of the block being carved */
    size_t next_block_bytes;
    size_t used, limit;
    bool exhausted;
};

struct arena *arena_new(size_t limit_bytes)
{
    struct arena *arena = calloc(1, sizeof(*arena));

    if (!arena)
        return NULL;
    arena->limit = limit_bytes;
    arena->next_block_bytes = FIRST_BLOCK_BYTES;
    return arena;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    for (struct block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

static void *fail(struct arena *arena)
{
    arena->exhausted = true;
    return NULL;
}

static struct block *new_block(size_t size)
{
    return malloc(offsetof(struct block, memory) + size);
}

/* The slow path of arena_alloc: no room in the block being carved. */
static void *alloc_from_new_block(struct arena *arena, size_t size)
{
    if (size > LARGEST_BLOCK_BYTES) {
        /* A block of its own goes behind the one being carved, whose rest stays usable. */
        struct block *block = new_block(size);

        if (!block)
            return fail(arena);
        if (arena->blocks) {
            block->next = arena->blocks->next;
            arena->blocks->next = block;
        } else {
            block->next = NULL;
            arena->blocks = block;
        }
        return block->memory;
    }
    size_t bytes = arena->next_block_bytes;

    while (bytes < size)
        bytes *= 2;
    struct block *block = new_block(bytes);

    if (!block)
        return fail(arena);
    block->next = arena->blocks;
    arena->blocks = block;
    arena->at = (char *)block->memory + size;
    arena->end = (char *)block->memory + bytes;
    if (arena->next_block_bytes < LARGEST_BLOCK_BYTES)
        arena->next_block_bytes *= 2;
    return block->memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return fail(arena);
    size = size ? (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1) : ALIGNMENT;
    if (size > arena->limit - arena->used)
        return fail(arena);
    void *memory;

    if (size <= (size_t)(arena->end - arena->at)) {
        memory = arena->at;
        arena->at += size;
    } else {
        memory = alloc_from_new_block(arena, size);
        if (!memory)
            return NULL;
    }
    arena->used += size;
    return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return fail(arena);
    void *memory = arena_alloc(arena, count * size);

    if (memory)
        memset(memory, 0, count * size);
    return memory;
}

void *arena_memdup(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size);

    if (copy && size)
        memcpy(copy, data, size);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_memdup(arena, text, strlen(text) + 1);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    if (length == SIZE_MAX)
        return fail(arena);
    char *copy = arena_alloc(arena, length + 1);

    if (!copy)
        return NULL;
    if (length)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? fail(arena) : arena_alloc(arena, (size_t)length + 1);

    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

bool arena_is_exhausted(const struct arena *arena)
{
    return arena->exhausted;
}

size_t arena_used_bytes(const struct arena *arena)
{
    return arena->used;
}
