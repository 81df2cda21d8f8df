#include "gateway/policy/etag.h"

#define XXH_INLINE_ALL
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

static size_t put_hex(char *out, uint64_t value, unsigned digits)
{
    for (unsigned i = 0; i < digits; i++)
        out[i] = "0123456789abcdef"[value >> (4 * (digits - 1 - i)) & 15];
    return digits;
}

size_t etag_make(int64_t revision_us, struct str body, char out[ETAG_SIZE])
{
    uint64_t hash = XXH3_64bits(body.length ? body.data : "", body.length);
    size_t length = 0;

    out[length++] = '"';
    if (revision_us != ETAG_NO_REVISION) {
        unsigned digits = 1;
        while (digits < 16 && (uint64_t)revision_us >> (4 * digits))
            digits++;
        length += put_hex(out + length, (uint64_t)revision_us, digits);
        out[length++] = '-';
    }
    length += put_hex(out + length, hash, 16);
    out[length++] = '"';
    out[length] = '\0';
    return length;
}

/* Takes the next tag of a list; opaque comes without its quotes. False at the end; *ret_malformed
 * when what is there is no tag. */
static bool next_tag(struct str *list, struct str *ret_opaque, bool *ret_weak, bool *ret_malformed)
{
    struct str at = *list;

    *ret_malformed = false;
    while (at.length && (at.data[0] == ' ' || at.data[0] == '\t' || at.data[0] == ','))
        at = (struct str){at.data + 1, at.length - 1};
    if (!at.length)
        return false;
    *ret_weak = at.length > 2 && at.data[0] == 'W' && at.data[1] == '/';
    if (*ret_weak)
        at = (struct str){at.data + 2, at.length - 2};
    const char *end =
        at.length > 1 && at.data[0] == '"' ? memchr(at.data + 1, '"', at.length - 1) : NULL;
    if (!end) {
        *ret_malformed = true;
        *list = (struct str){NULL, 0};
        return true;
    }
    *ret_opaque = (struct str){at.data + 1, (size_t)(end - at.data - 1)};
    *list = (struct str){end + 1, (size_t)(at.data + at.length - end - 1)};
    return true;
}

bool etag_none_match(struct str header, struct str etag)
{
    struct str list = str_trim(header), opaque;
    bool weak, malformed;

    if (!list.length || etag.length < 2)
        return false;
    if (str_equal(list, STR_LITERAL("*")))
        return true;
    while (next_tag(&list, &opaque, &weak, &malformed))
        if (!malformed && str_equal(opaque, (struct str){etag.data + 1, etag.length - 2}))
            return true;
    return false;
}

static int64_t revision_of(struct str opaque)
{
    const char *dash = opaque.length ? memchr(opaque.data, '-', opaque.length) : NULL;
    uint64_t value = 0;

    if (!dash || dash == opaque.data || dash - opaque.data > 16 ||
        opaque.length - (size_t)(dash - opaque.data) != 17)
        return -1;
    for (const char *at = opaque.data; at < dash; at++) {
        if (*at >= '0' && *at <= '9')
            value = value << 4 | (uint64_t)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            value = value << 4 | (uint64_t)(*at - 'a' + 10);
        else
            return -1;
    }
    return value > INT64_MAX ? -1 : (int64_t)value;
}

enum etag_condition etag_match(struct str header, int64_t *ret_revision_us)
{
    struct str list = str_trim(header), opaque;
    bool weak, malformed, first = true;

    *ret_revision_us = -1;
    if (str_equal(list, STR_LITERAL("*")))
        return ETAG_ANY;
    while (next_tag(&list, &opaque, &weak, &malformed)) {
        /* A tag that cannot match does not spoil a list in which another can. */
        int64_t revision = malformed || weak ? -1 : revision_of(opaque);
        if (revision < 0)
            continue;
        if (!first && revision != *ret_revision_us)
            return ETAG_AMBIGUOUS;
        *ret_revision_us = revision;
        first = false;
    }
    return ETAG_REVISION;
}
