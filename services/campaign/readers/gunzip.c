#include "readers/gunzip.h"

#include <stdlib.h>
#include <zlib.h>

#define OUT_BYTES ((size_t)64 * 1024)
#define GZIP_WINDOW_BITS (15 + 16) /* zlib: nothing but gzip */

struct gunzip {
    z_stream stream;
    int64_t limit, packed, unpacked;
    bool is_open;
    bool is_between; /* a member has ended: another may follow */
    unsigned char out[OUT_BYTES];
};

bool unpack_is_allowed(int64_t packed, int64_t unpacked, int64_t limit, struct err *err)
{
    if (unpacked > limit)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                       "the file is larger than %lld MB when it is unpacked: split the list",
                       (long long)(limit >> 20));
    if (unpacked > UNPACK_FREE_BYTES && unpacked / UNPACK_RATIO_MOST > packed)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                       "the file grows to more than %d times its size when it is unpacked, as no "
                       "list does",
                       UNPACK_RATIO_MOST);
    return true;
}

struct gunzip *gunzip_new(int64_t limit_bytes)
{
    struct gunzip *gunzip = calloc(1, sizeof(*gunzip));

    if (!gunzip)
        return NULL;
    gunzip->limit = limit_bytes;
    gunzip->is_open = inflateInit2(&gunzip->stream, GZIP_WINDOW_BITS) == Z_OK;
    if (!gunzip->is_open) {
        free(gunzip);
        return NULL;
    }
    return gunzip;
}

void gunzip_free(struct gunzip *gunzip)
{
    if (!gunzip)
        return;
    inflateEnd(&gunzip->stream);
    free(gunzip);
}

static enum gunzip_result broken(struct err *err, const char *sentence)
{
    err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s", sentence);
    return GUNZIP_FAILED;
}

enum gunzip_result gunzip_next(struct gunzip *gunzip, struct str *in, bool is_end,
                               struct str *ret_bytes, struct err *err)
{
    z_stream *stream = &gunzip->stream;

    if (gunzip->is_between) {
        if (!in->length)
            return is_end ? GUNZIP_ENDED : GUNZIP_NEEDS_INPUT;
        inflateReset(stream);
        gunzip->is_between = false;
    }
    /* zlib wants no const, and counts in 32 bits; a piece is at most 1 MiB. */
    stream->next_in = (unsigned char *)(uintptr_t)in->data;
    stream->avail_in = (uInt)(in->length < UINT32_MAX ? in->length : UINT32_MAX);
    stream->next_out = gunzip->out;
    stream->avail_out = OUT_BYTES;
    uInt given = stream->avail_in;
    int result = inflate(stream, Z_NO_FLUSH);
    size_t taken = given - stream->avail_in, made = OUT_BYTES - stream->avail_out;

    *in = str_after(*in, taken);
    gunzip->packed += (int64_t)taken;
    gunzip->unpacked += (int64_t)made;
    if (!unpack_is_allowed(gunzip->packed, gunzip->unpacked, gunzip->limit, err))
        return GUNZIP_FAILED;
    if (result == Z_MEM_ERROR) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return GUNZIP_FAILED;
    }
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return broken(err, "the file's gzip compression is broken: send it again, or uncompressed");
    gunzip->is_between = result == Z_STREAM_END;
    *ret_bytes = (struct str){(const char *)gunzip->out, made};
    if (made)
        return GUNZIP_BYTES;
    if (gunzip->is_between && in->length)
        return gunzip_next(gunzip, in, is_end, ret_bytes, err);
    if (!is_end || in->length)
        return GUNZIP_NEEDS_INPUT;
    return gunzip->is_between
               ? GUNZIP_ENDED
               : broken(err, "the file's gzip compression is cut off: send the whole file");
}
