/* arena: memory that lives as long as one request, with a cap; nothing in it is freed by hand. */
#ifndef DIALPLANE_BASE_ARENA_H
#define DIALPLANE_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* A new, empty arena that will hand out at most `limit_bytes` in all. NULL when memory is short.
 * Blocks grow from 4 KB to 256 KB; an allocation larger than that gets a block of its own. */
struct arena *arena_new(size_t limit_bytes);
/* Frees everything that came from it. NULL is allowed. */
void arena_free(struct arena *arena);

/* `size` bytes aligned for any type, not cleared; NULL when the cap is passed or memory is short,
 * and arena_is_exhausted() is true from then on (so that a caller may check once at the end). size
 * 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* The same, cleared; NULL also when count * size overflows. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);
/* Copies; the result of arena_strndup() ends with NUL. NULL as arena_alloc(). */
void *arena_memdup(struct arena *arena, const void *data, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool arena_is_exhausted(const struct arena *arena);
/* Bytes handed out so far, alignment included. */
size_t arena_used_bytes(const struct arena *arena);

/* The smallest arena-typed helpers; they evaluate their arguments once. */
#define ARENA_NEW(arena, type) ((type *)arena_calloc((arena), 1, sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_calloc((arena), (count), sizeof(type)))

#endif
