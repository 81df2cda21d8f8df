/* W3C Trace Context, level 1: version "-" trace-id "-" parent-id "-" flags, in lower-case hex. */
#include "app/trace.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False when a digit is none; *ret_zero says whether all are 0. */
static bool read_hex(const char *text, uint8_t *out, size_t count, bool *ret_zero)
{
    *ret_zero = true;
    for (size_t i = 0; i < count; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        if (out[i])
            *ret_zero = false;
    }
    return true;
}

static void put_hex(char *out, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = hex_digits[bytes[i] >> 4];
        out[2 * i + 1] = hex_digits[bytes[i] & 15];
    }
}

bool trace_context_parse(struct str text, struct trace_context *ret_context)
{
    uint8_t version;
    bool zero;

    if (text.length < 55 || text.data[2] != '-' || text.data[35] != '-' || text.data[52] != '-')
        return false;
    if (!read_hex(text.data, &version, 1, &zero) || version == 0xff)
        return false;
    if (version == 0 ? text.length != 55 : (text.length > 55 && text.data[55] != '-'))
        return false;
    if (!read_hex(text.data + 3, ret_context->trace_id, 16, &zero) || zero)
        return false;
    if (!read_hex(text.data + 36, ret_context->span_id, 8, &zero) || zero)
        return false;
    return read_hex(text.data + 53, &ret_context->flags, 1, &zero);
}

void trace_context_format(const struct trace_context *context, char out[TRACEPARENT_SIZE])
{
    memcpy(out, "00-", 3);
    put_hex(out + 3, context->trace_id, 16);
    out[35] = '-';
    put_hex(out + 36, context->span_id, 8);
    out[52] = '-';
    put_hex(out + 53, &context->flags, 1);
    out[55] = '\0';
}

void trace_id_format(const struct trace_context *context, char out[TRACE_ID_TEXT_SIZE])
{
    put_hex(out, context->trace_id, 16);
    out[32] = '\0';
}
