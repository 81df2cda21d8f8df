#include "gateway/route/percent.h"

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static bool is_plain(struct str text, bool plus_is_space)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte == '%' || byte >= 0x80 || (byte == '+' && plus_is_space))
            return false;
    }
    return true;
}

enum percent_result percent_decode(struct str text, bool plus_is_space, struct arena *arena,
                                   struct str *ret_text)
{
    if (is_plain(text, plus_is_space)) {
        *ret_text = text;
        return PERCENT_OK;
    }
    char *out = arena_alloc(arena, text.length);
    size_t length = 0;
    if (!out)
        return PERCENT_NO_MEMORY;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.length ? hex_value(text.data[i + 1]) : -1;
            int low = i + 2 < text.length ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return PERCENT_MALFORMED;
            byte = (char)(high << 4 | low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        out[length++] = byte;
    }
    if (!utf8_is_valid(out, length))
        return PERCENT_NOT_UTF8;
    *ret_text = (struct str){out, length};
    return PERCENT_OK;
}

const char *percent_problem(enum percent_result result)
{
    switch (result) {
    case PERCENT_MALFORMED:
        return "has a malformed percent-escape";
    case PERCENT_NOT_UTF8:
        return "is not UTF-8";
    default:
        return "is too large";
    }
}

void percent_encode(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        bool unreserved = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                          (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '.' ||
                          byte == '_' || byte == '~';
        if (unreserved)
            buf_put_char(out, (char)byte);
        else
            buf_printf(out, "%%%02X", byte);
    }
}

size_t percent_decode_lenient(char *text, size_t length)
{
    size_t out = 0;

    for (size_t i = 0; i < length; i++) {
        int high = text[i] == '%' && i + 2 < length ? hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low >= 0) {
            text[out++] = (char)(high << 4 | low);
            i += 2;
        } else {
            text[out++] = text[i];
        }
    }
    return out;
}
