#include "json/base64.h"

void json_base64_put(struct str bytes, char *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)bytes.data;
    size_t left = bytes.length;

    for (; left >= 3; left -= 3, at += 3, out += 4) {
        uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];

        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = alphabet[bits >> 6 & 63];
        out[3] = alphabet[bits & 63];
    }
    if (left) {
        uint32_t bits = (uint32_t)at[0] << 16 | (left == 2 ? (uint32_t)at[1] << 8 : 0);

        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = left == 2 ? alphabet[bits >> 6 & 63] : '=';
        out[3] = '=';
    }
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return -1;
}

bool json_base64_read(struct str text, char *out, size_t *ret_size)
{
    size_t length = text.length;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t size = 0;

    if (length % 4 == 0)
        for (unsigned i = 0; i < 2 && length && text.data[length - 1] == '='; i++)
            length--;
    if (length % 4 == 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        int value = sextet(text.data[i]);

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[size++] = (char)(bits >> have & 0xFF);
            bits &= (1U << have) - 1;
        }
    }
    *ret_size = size;
    return bits == 0;
}
