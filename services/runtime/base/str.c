#include "base/str.h"

#include "base/json_escape.h"

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool str_equal(struct str a, struct str b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

bool str_equal_cstr(struct str a, const char *b)
{
    return str_equal(a, str_from(b));
}

bool str_equal_ignore_case(struct str a, struct str b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

bool str_starts_with(struct str text, struct str prefix)
{
    return text.length >= prefix.length &&
           (prefix.length == 0 || memcmp(text.data, prefix.data, prefix.length) == 0);
}

struct str str_trim(struct str text)
{
    while (text.length && is_space(text.data[0])) {
        text.data++;
        text.length--;
    }
    while (text.length && is_space(text.data[text.length - 1]))
        text.length--;
    return text;
}

bool str_parse_uint64(struct str text, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (!text.length)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool str_parse_int64(struct str text, int64_t *ret_value)
{
    bool negative = text.length && text.data[0] == '-';
    uint64_t magnitude;

    if (negative) {
        text.data++;
        text.length--;
    }
    if (!str_parse_uint64(text, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    /* Negated as unsigned: INT64_MIN has no positive counterpart. */
    *ret_value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

/* Table 3-7 of the Unicode standard: only the second byte's range depends on the first. */
size_t utf8_character_size(const unsigned char *data, size_t length)
{
    unsigned char first = data[0], low = 0x80, high = 0xBF;
    size_t size;

    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    if (first < 0xE0) {
        size = 2;
    } else if (first < 0xF0) {
        size = 3;
        if (first == 0xE0)
            low = 0xA0; /* else overlong */
        else if (first == 0xED)
            high = 0x9F; /* else a surrogate */
    } else {
        size = 4;
        if (first == 0xF0)
            low = 0x90; /* else overlong */
        else if (first == 0xF4)
            high = 0x8F; /* else above U+10FFFF */
    }
    if (length < size || data[1] < low || data[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((data[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

bool utf8_is_valid(const char *data, size_t length)
{
    const unsigned char *at = (const unsigned char *)data;
    size_t left = length;

    while (left) {
        /* Most text is ASCII: eight bytes a step. */
        if (left >= 8) {
            uint64_t word;

            memcpy(&word, at, sizeof(word));
            if (!(word & UINT64_C(0x8080808080808080))) {
                at += 8;
                left -= 8;
                continue;
            }
        }
        size_t size = utf8_character_size(at, left);

        if (!size)
            return false;
        at += size;
        left -= size;
    }
    return true;
}

size_t utf8_count(const char *data, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)data[i] & 0xC0) != 0x80;
    return count;
}

size_t json_escape_one(const char *data, size_t length, size_t *ret_consumed,
                       char out[JSON_ESCAPE_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    static const char short_forms[] = "btn?fr"; /* \b \t \n, none for 0x0b, \f \r */
    unsigned char c = (unsigned char)data[0];

    *ret_consumed = 1;
    if (json_is_plain(c)) {
        out[0] = (char)c;
        return 1;
    }
    if (c == '"' || c == '\\' || (c >= '\b' && c <= '\r' && c != 0x0b)) {
        out[0] = '\\';
        out[1] = c >= '\b' && c <= '\r' ? short_forms[c - '\b'] : (char)c;
        return 2;
    }
    if (c < 0x20) {
        memcpy(out, "\\u00", 4);
        out[4] = hex[c >> 4];
        out[5] = hex[c & 15];
        return 6;
    }
    size_t size = utf8_character_size((const unsigned char *)data, length);

    if (!size) {
        memcpy(out, "\xEF\xBF\xBD", 3);
        return 3;
    }
    memcpy(out, data, size);
    *ret_consumed = size;
    return size;
}

static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64url_encode(const void *data, size_t size, char *out, size_t out_size)
{
    const unsigned char *bytes = data;
    size_t needed = size / 3 * 4 + (size % 3 ? size % 3 + 1 : 0);
    size_t written = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;

    if (needed >= out_size)
        return 0;
    for (size_t i = 0; i < size; i++) {
        bits = (bits << 8) | bytes[i];
        bit_count += 8;
        while (bit_count >= 6) {
            bit_count -= 6;
            out[written++] = base64url_digits[(bits >> bit_count) & 63];
        }
    }
    if (bit_count)
        out[written++] = base64url_digits[(bits << (6 - bit_count)) & 63];
    out[written] = '\0';
    return written;
}

static int base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

long base64url_decode(struct str text, void *out, size_t out_size)
{
    unsigned char *bytes = out;
    size_t written = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;

    if (text.length % 4 == 1)
        return -1;
    for (size_t i = 0; i < text.length; i++) {
        int value = base64url_value(text.data[i]);

        if (value < 0)
            return -1;
        bits = (bits << 6) | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            if (written == out_size)
                return -1;
            bytes[written++] = (unsigned char)(bits >> bit_count);
        }
    }
    /* Left-over bits must be zero, so that one value has one spelling. */
    if (bits & ((1U << bit_count) - 1))
        return -1;
    return (long)written;
}
