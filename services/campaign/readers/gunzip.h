/* gunzip: a gzip stream (RFC 1952, also of several members) becomes its bytes, within limits. */
#ifndef DIALPLANE_CAMPAIGN_READERS_GUNZIP_H
#define DIALPLANE_CAMPAIGN_READERS_GUNZIP_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Compressed data that grows to more than this many times its size is a bomb, not a list; looked at
 * only beyond UNPACK_FREE_BYTES. */
#define UNPACK_RATIO_MOST 250
#define UNPACK_FREE_BYTES (INT64_C(16) * 1024 * 1024)

/* False with err RESOURCE_EXHAUSTED, REASON_TOO_LARGE: `unpacked` passes the limit or is out of
 * proportion to `packed`. */
bool unpack_is_allowed(int64_t packed, int64_t unpacked, int64_t limit, struct err *err);

struct gunzip;
struct gunzip *gunzip_new(int64_t limit_bytes);
void gunzip_free(struct gunzip *gunzip);

enum gunzip_result { GUNZIP_BYTES, GUNZIP_NEEDS_INPUT, GUNZIP_ENDED, GUNZIP_FAILED };
/* Takes bytes from the front of `in`; gives up to 64 KB, valid until the next call. Errors
 * INVALID_ARGUMENT (broken, cut off) and RESOURCE_EXHAUSTED (the limits). */
enum gunzip_result gunzip_next(struct gunzip *gunzip, struct str *in, bool is_end,
                               struct str *ret_bytes, struct err *err);

#endif
