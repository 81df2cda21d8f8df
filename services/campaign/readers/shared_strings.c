#include "readers/shared_strings.h"

#include "base/buf.h"
#include "readers/spool.h"

#include <stdlib.h>

/* 64 blocks of 16 KB for the texts and as many for where they are: 2 MB, in which the strings of
 * one stretch of a sheet are found, because writers number them as they come up. */
#define BLOCK_BYTES 16384
#define BLOCKS 64

/* Blocks of a file, each in the place that its number gives it. */
struct cache {
    const struct spool *spool;
    int64_t numbers[BLOCKS]; /* -1: empty */
    char (*blocks)[BLOCK_BYTES];
};

struct shared_strings {
    struct spool texts, ends; /* ends: where each text ends, 8 bytes */
    struct buf texts_out, ends_out;
    int64_t count, texts_size;
    struct cache texts_cache, ends_cache;
    struct buf found;
};

static bool cache_init(struct cache *cache, const struct spool *spool)
{
    cache->spool = spool;
    for (size_t i = 0; i < BLOCKS; i++)
        cache->numbers[i] = -1;
    cache->blocks = malloc(sizeof(*cache->blocks) * BLOCKS);
    return cache->blocks;
}

/* What the file has at an offset: a part of a block, at most `size` bytes. */
static struct str cache_read(struct cache *cache, int64_t offset, size_t size, struct err *err)
{
    int64_t number = offset / BLOCK_BYTES, start = number * BLOCK_BYTES;
    size_t place = (size_t)(number % BLOCKS), in_block = (size_t)(offset - start);
    size_t whole = cache->spool->size - start < BLOCK_BYTES ? (size_t)(cache->spool->size - start)
                                                            : BLOCK_BYTES;

    if (cache->numbers[place] != number) {
        cache->numbers[place] = -1;
        if (!spool_read(cache->spool, start, cache->blocks[place], whole, err))
            return (struct str){0};
        cache->numbers[place] = number;
    }
    return (struct str){cache->blocks[place] + in_block,
                        size < whole - in_block ? size : whole - in_block};
}

struct shared_strings *shared_strings_new(const char *directory, int64_t limit, struct err *err)
{
    struct shared_strings *strings = calloc(1, sizeof(*strings));

    if (!strings) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    strings->texts = SPOOL_CLOSED;
    strings->ends = SPOOL_CLOSED;
    buf_init(&strings->texts_out, 0);
    buf_init(&strings->ends_out, 0);
    buf_init(&strings->found, 0);
    if (!spool_open(&strings->texts, directory, limit, err) ||
        !spool_open(&strings->ends, directory, limit, err)) {
        shared_strings_free(strings);
        return NULL;
    }
    if (!cache_init(&strings->texts_cache, &strings->texts) ||
        !cache_init(&strings->ends_cache, &strings->ends)) {
        shared_strings_free(strings);
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    return strings;
}

void shared_strings_free(struct shared_strings *strings)
{
    if (!strings)
        return;
    spool_close(&strings->texts);
    spool_close(&strings->ends);
    buf_done(&strings->texts_out);
    buf_done(&strings->ends_out);
    buf_done(&strings->found);
    free(strings->texts_cache.blocks);
    free(strings->ends_cache.blocks);
    free(strings);
}

static bool flush(struct spool *spool, struct buf *out, size_t at_least, struct err *err)
{
    if (out->failed)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    if (out->length < at_least)
        return true;
    if (!spool_write(spool, buf_str(out), "the workbook's table of strings", err))
        return false;
    buf_reset(out);
    return true;
}

bool shared_strings_add(struct shared_strings *strings, struct str text, struct err *err)
{
    strings->texts_size += (int64_t)text.length;
    strings->count++;
    buf_put_str(&strings->texts_out, text);
    buf_put(&strings->ends_out, &strings->texts_size, sizeof(strings->texts_size));
    return flush(&strings->texts, &strings->texts_out, 4 * BLOCK_BYTES, err) &&
           flush(&strings->ends, &strings->ends_out, 4 * BLOCK_BYTES, err);
}

bool shared_strings_finish(struct shared_strings *strings, struct err *err)
{
    return flush(&strings->texts, &strings->texts_out, 1, err) &&
           flush(&strings->ends, &strings->ends_out, 1, err);
}

int64_t shared_strings_count(const struct shared_strings *strings)
{
    return strings->count;
}

static bool read_end(struct shared_strings *strings, int64_t index, int64_t *ret_end,
                     struct err *err)
{
    /* 8 divides the block size: an entry never lies across two. */
    struct str entry =
        cache_read(&strings->ends_cache, index * (int64_t)sizeof(*ret_end), sizeof(*ret_end), err);

    if (entry.length)
        memcpy(ret_end, entry.data, sizeof(*ret_end));
    return entry.length;
}

bool shared_strings_get(struct shared_strings *strings, int64_t index, struct str *ret_text,
                        struct err *err)
{
    int64_t start = 0, end;

    if ((index && !read_end(strings, index - 1, &start, err)) ||
        !read_end(strings, index, &end, err))
        return false;
    *ret_text = (struct str){0};
    if (start == end)
        return true;
    *ret_text = cache_read(&strings->texts_cache, start, (size_t)(end - start), err);
    if (!ret_text->length)
        return false;
    if ((int64_t)ret_text->length == end - start)
        return true;
    buf_reset(&strings->found);
    while (start < end) {
        struct str piece = cache_read(&strings->texts_cache, start, (size_t)(end - start), err);

        if (!piece.length)
            return false;
        buf_put_str(&strings->found, piece);
        start += (int64_t)piece.length;
    }
    *ret_text = buf_str(&strings->found);
    return !strings->found.failed || err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}
