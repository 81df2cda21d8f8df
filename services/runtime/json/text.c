#include "json/text.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Bytes of the UTF-8 character (not ASCII) at `at`; 0 when it is none. RFC 3629, table 3-7 of the
 * Unicode standard. */
static size_t multibyte_size(const unsigned char *at, const unsigned char *end)
{
    size_t left = (size_t)(end - at);

    if (at[0] < 0xC2 || left < 2 || (at[1] & 0xC0) != 0x80)
        return 0;
    if (at[0] < 0xE0)
        return 2;
    if (left < 3 || (at[2] & 0xC0) != 0x80)
        return 0;
    if (at[0] < 0xF0) {
        bool overlong = at[0] == 0xE0 && at[1] < 0xA0;
        bool surrogate = at[0] == 0xED && at[1] > 0x9F;

        return overlong || surrogate ? 0 : 3;
    }
    if (left < 4 || (at[3] & 0xC0) != 0x80 || at[0] > 0xF4)
        return 0;
    bool overlong = at[0] == 0xF0 && at[1] < 0x90;
    bool too_high = at[0] == 0xF4 && at[1] > 0x8F;

    return overlong || too_high ? 0 : 4;
}

static bool is_special(unsigned char byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

#ifdef __SSE2__
/* One look at up to 16 bytes: how many from the front are fine (whole characters of one or two
 * bytes). What it cannot judge (characters of three or four bytes, errors, a special byte) is left
 * to the caller, byte by byte. Most text, Cyrillic included, never gets there. `count` is at most
 * 16, `block` has that many bytes that matter. */
static inline size_t plain_in_block(__m128i block, unsigned count, bool *ret_stopped)
{
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
    __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    unsigned counted = (1U << count) - 1;
    unsigned special =
        (unsigned)_mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash))) &
        counted;
    unsigned high = (unsigned)_mm_movemask_epi8(block) & counted;
    unsigned stop = special ? (unsigned)__builtin_ctz(special) : count;

    *ret_stopped = special != 0;
    if (high == 0)
        return stop;
    /* Signed compares: continuation bytes 80..BF are the lowest, then C0, C1, C2..DF, and E0..FF up
     * to -1. */
    unsigned follow = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(block, _mm_set1_epi8(-64)));
    unsigned below_c2 = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(block, _mm_set1_epi8(-62)));
    unsigned above_df = (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(block, _mm_set1_epi8(-33)));
    unsigned before_stop = (1U << stop) - 1;
    unsigned leads = high & ~follow & before_stop;
    unsigned bad = (((leads << 1) ^ (follow & high & before_stop)) | (high & above_df) |
                    (high & below_c2 & ~follow)) &
                   before_stop;

    if (bad) {
        /* Everything before the first doubtful byte is fine, but not half of a character. */
        unsigned good = (unsigned)__builtin_ctz(bad);

        *ret_stopped = true;
        return good && (leads >> (good - 1) & 1) ? good - 1 : good;
    }
    if (stop && (leads >> (stop - 1) & 1)) {
        /* The second half lies beyond the block, or is missing. */
        *ret_stopped = *ret_stopped || count < 16;
        return stop - 1;
    }
    return stop;
}

static inline __m128i load_block(const char *at, const char *end, const char *readable_end)
{
    if (readable_end - at >= 16)
        return _mm_loadu_si128((const __m128i *)(const void *)at);
    char block[16] = {0};

    memcpy(block, at, (size_t)(end - at));
    return _mm_loadu_si128((const __m128i *)(const void *)block);
}
#endif

const char *json_plain_end(const char *at, const char *end, const char *readable_end)
{
    while (at < end) {
#ifdef __SSE2__
        bool stopped;
        unsigned count = end - at >= 16 ? 16 : (unsigned)(end - at);

        at += plain_in_block(load_block(at, end, readable_end), count, &stopped);
        if (!stopped)
            continue;
        if (at == end)
            return end;
#else
        (void)readable_end;
#endif
        unsigned char byte = (unsigned char)*at;

        if (byte < 0x80) {
            if (is_special(byte))
                return at;
            at++;
            continue;
        }
        size_t size = multibyte_size((const unsigned char *)at, (const unsigned char *)end);

        if (size == 0)
            return at;
        at += size;
        /* Scripts of three bytes a character come in runs: stay here while they last. */
        while (size > 2 && at < end && (unsigned char)*at >= 0xE0) {
            size = multibyte_size((const unsigned char *)at, (const unsigned char *)end);
            if (size == 0)
                return at;
            at += size;
        }
    }
    return end;
}

/* \u00XX or the short form. */
static size_t escape(unsigned char byte, char out[6])
{
    static const char hex[] = "0123456789abcdef";
    static const char short_forms[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                       ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

    out[0] = '\\';
    if (byte < sizeof(short_forms) && short_forms[byte]) {
        out[1] = short_forms[byte];
        return 2;
    }
    out[1] = 'u';
    out[2] = '0';
    out[3] = '0';
    out[4] = hex[byte >> 4];
    out[5] = hex[byte & 15];
    return 6;
}

bool json_put_string(struct buf *out, struct str text, const char *readable_end)
{
    const char *at = text.data;
    const char *end = at + text.length;

    if (text.length == 0) {
        buf_put(out, "\"\"", 2);
        return !out->failed;
    }
    const char *plain = json_plain_end(at, end, readable_end);
    char *room = json_room(out, text.length + 2);

    if (!room)
        return false;
    room[0] = '"';
    memcpy(room + 1, at, (size_t)(plain - at));
    if (plain == end) {
        room[text.length + 1] = '"';
        out->length += text.length + 2;
        return true;
    }
    out->length += 1 + (size_t)(plain - at);
    for (at = plain; at < end; at = plain) {
        unsigned char byte = (unsigned char)*at;

        if (byte >= 0x80)
            return false;
        if (is_special(byte)) {
            room = json_room(out, 6);
            if (!room)
                return false;
            out->length += escape(byte, room);
            at++;
        }
        plain = json_plain_end(at, end, readable_end);
        buf_put(out, at, (size_t)(plain - at));
    }
    buf_put_char(out, '"');
    return !out->failed;
}
