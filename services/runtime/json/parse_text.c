/* Tokens of strict RFC 8259 text. */
#include "json/number.h"
#include "json/parse_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool json_next_token_slow(struct json_parser *parser, const char *expected)
{
    const char *at = parser->at, *end = parser->end;

    while (at < end && is_space(*at)) {
        at++;
#ifdef __SSE2__
        /* Indentation: whole blocks of spaces. */
        while (end - at >= 16) {
            __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
            int other = ~_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(' '))) & 0xFFFF;

            if (other) {
                at += __builtin_ctz((unsigned)other);
                break;
            }
            at += 16;
        }
#endif
    }
    parser->at = at;
    if (at == end)
        return json_malformed(parser, at, expected);
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits of \uXXXX at `at`; -1 when they are not there. */
static int32_t read_hex4(const char *at, const char *end)
{
    int32_t value = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Checks the escape at `at`, a backslash; gives what follows it, or NULL with the error set. */
static const char *check_escape(struct json_parser *parser, const char *at)
{
    const char *end = parser->end;

    if (end - at < 2 || at[1] == '\0' || !strchr("\"\\/bfnrtu", at[1])) {
        json_malformed(parser, at,
                       "expected an escape: one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        return NULL;
    }
    if (at[1] != 'u')
        return at + 2;
    int32_t unit = read_hex4(at + 2, end);

    if (unit < 0) {
        json_malformed(parser, at, "expected four hexadecimal digits after \\u");
        return NULL;
    }
    if (unit < 0xD800 || unit > 0xDFFF)
        return at + 6;
    int32_t low = unit < 0xDC00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u'
                      ? read_hex4(at + 8, end)
                      : -1;

    if (low < 0xDC00 || low > 0xDFFF) {
        json_malformed(parser, at, "a lone surrogate is no character");
        return NULL;
    }
    return at + 12;
}

bool json_scan_string(struct json_parser *parser, struct str *ret_raw, bool *ret_escaped)
{
    const char *first = parser->at + 1, *at = first, *end = parser->end;

    *ret_escaped = false;
    for (;;) {
        at = json_plain_end(at, end, end);
        if (at == end)
            return json_malformed(parser, at, "expected '\"' at the end of a string");
        if (*at == '"')
            break;
        if (*at != '\\')
            return json_malformed(parser, at,
                                  (unsigned char)*at < 0x20
                                      ? "a control character in a string must be escaped"
                                      : "the text is not valid UTF-8");
        *ret_escaped = true;
        at = check_escape(parser, at);
        if (!at)
            return false;
    }
    *ret_raw = (struct str){first, (size_t)(at - first)};
    parser->at = at + 1;
    return true;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

size_t json_unescape(struct str raw, char *out)
{
    const char *at = raw.data, *end = at + raw.length;
    char *start = out;

    while (at < end) {
        const char *backslash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((backslash ? backslash : end) - at);

        memcpy(out, at, plain);
        out += plain;
        if (!backslash)
            break;
        at = backslash + 2;
        switch (backslash[1]) {
        case 'b':
            *out++ = '\b';
            break;
        case 'f':
            *out++ = '\f';
            break;
        case 'n':
            *out++ = '\n';
            break;
        case 'r':
            *out++ = '\r';
            break;
        case 't':
            *out++ = '\t';
            break;
        case 'u': {
            uint32_t c = (uint32_t)read_hex4(at, end);

            at += 4;
            if (c >= 0xD800 && c <= 0xDBFF) {
                c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)read_hex4(at + 2, end) - 0xDC00);
                at += 6;
            }
            out = put_utf8(out, c);
            break;
        }
        default: /* the quote, the backslash and the slash stand for themselves */
            *out++ = backslash[1];
            break;
        }
    }
    return (size_t)(out - start);
}

bool json_scan_number(struct json_parser *parser, struct str *ret_text)
{
    size_t size = json_number_size(parser->at, parser->end);
    const char *after = parser->at + size;

    /* "01", "1.", "+1", "0x1": what follows would be reported less clearly. */
    if (size == 0 || (after < parser->end && *after >= '0' && *after <= '9'))
        return json_malformed(parser, parser->at, "expected a number such as -1, 0.5 or 1e3");
    *ret_text = (struct str){parser->at, size};
    parser->at = after;
    return true;
}

bool json_scan_literal(struct json_parser *parser, const char *word)
{
    size_t length = strlen(word);
    size_t left = (size_t)(parser->end - parser->at);

    if (left < length || memcmp(parser->at, word, length) != 0)
        return json_malformed(parser, parser->at, "expected a value");
    parser->at += length;
    return true;
}

bool json_enter(struct json_parser *parser, char bracket, bool *ret_more)
{
    char closing = bracket == '{' ? '}' : ']';

    if (++parser->depth > parser->depth_limit)
        return json_too_deep(parser);
    parser->at++;
    if (!json_next_token(parser,
                         bracket == '{' ? "expected a key or '}'" : "expected a value or ']'"))
        return false;
    *ret_more = *parser->at != closing;
    if (!*ret_more) {
        parser->at++;
        parser->depth--;
    }
    return true;
}

bool json_after_value(struct json_parser *parser, char bracket, bool *ret_more)
{
    char closing = bracket == '{' ? '}' : ']';
    const char *expected = bracket == '{' ? "expected ',' or '}'" : "expected ',' or ']'";

    if (!json_next_token(parser, expected))
        return false;
    if (*parser->at == ',') {
        parser->at++;
        *ret_more = true;
        return json_next_token(parser, bracket == '{' ? "expected a key" : "expected a value");
    }
    if (*parser->at != closing)
        return json_malformed(parser, parser->at, expected);
    parser->at++;
    parser->depth--;
    *ret_more = false;
    return true;
}

bool json_scan_key(struct json_parser *parser, struct str *ret_raw, bool *ret_escaped)
{
    if (*parser->at != '"')
        return json_malformed(parser, parser->at, "expected a key in double quotes");
    if (!json_scan_string(parser, ret_raw, ret_escaped) || !json_next_token(parser, "expected ':'"))
        return false;
    if (*parser->at != ':')
        return json_malformed(parser, parser->at, "expected ':'");
    parser->at++;
    return json_next_token(parser, "expected a value");
}

static bool skip_container(struct json_parser *parser, char bracket)
{
    bool more;

    if (!json_enter(parser, bracket, &more))
        return false;
    while (more) {
        struct str key;
        bool escaped;

        if ((bracket == '{' && !json_scan_key(parser, &key, &escaped)) ||
            !json_skip_value(parser) || !json_after_value(parser, bracket, &more))
            return false;
    }
    return true;
}

/* Recursion is bounded by the depth limit, as everywhere here. */
bool json_skip_value(struct json_parser *parser)
{
    struct str text;
    bool escaped;

    switch (*parser->at) {
    case '{':
    case '[':
        return skip_container(parser, *parser->at);
    case '"':
        return json_scan_string(parser, &text, &escaped);
    case 't':
        return json_scan_literal(parser, "true");
    case 'f':
        return json_scan_literal(parser, "false");
    case 'n':
        return json_scan_literal(parser, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return json_scan_number(parser, &text);
    default:
        return json_malformed(parser, parser->at, "expected a value");
    }
}
