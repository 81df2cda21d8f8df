#include "base/decimal.h"

#include <stdio.h>

#define MOST_PLACES 18

__extension__ typedef unsigned __int128 uint128;

static bool is_digit(struct str text, size_t at)
{
    return at < text.length && text.data[at] >= '0' && text.data[at] <= '9';
}

/* A number as digits × 10^exponent, where digits has no trailing zero (or is 0). */
struct significand {
    uint64_t digits;
    int64_t exponent;
    bool too_long; /* more than 19 significant digits: no int64 holds it */
};

/* One more digit. Zeros are held back until another digit follows, so that trailing ones never
 * count as digits. */
static void add_digit(struct significand *number, unsigned digit, unsigned *significant,
                      uint64_t *held_zeros)
{
    if (digit == 0) {
        if (number->digits)
            (*held_zeros)++;
        return;
    }
    if (*held_zeros > 19 || *significant + *held_zeros + 1 > 19) {
        number->too_long = true;
        return;
    }
    for (; *held_zeros; (*held_zeros)--, (*significant)++)
        number->digits *= 10;
    number->digits = number->digits * 10 + digit;
    (*significant)++;
}

/* The exponent after 'e'; a value beyond any use is pinned, not wrapped. */
static bool parse_exponent(struct str text, size_t *at, int64_t *ret_exponent)
{
    bool negative = false;
    int64_t value = 0;

    if (*at < text.length && (text.data[*at] == '+' || text.data[*at] == '-'))
        negative = text.data[(*at)++] == '-';
    if (!is_digit(text, *at))
        return false;
    for (; is_digit(text, *at); (*at)++)
        if (value < INT64_C(1000000000000))
            value = value * 10 + (text.data[*at] - '0');
    *ret_exponent = negative ? -value : value;
    return true;
}

/* The number grammar of JSON (RFC 8259 §6). */
static bool parse_number(struct str text, bool *ret_negative, struct significand *ret_number)
{
    struct significand number = {0};
    unsigned significant = 0;
    uint64_t held_zeros = 0;
    int64_t exponent = 0;
    size_t at = 0;

    *ret_negative = text.length && text.data[0] == '-';
    at += *ret_negative;
    if (!is_digit(text, at) || (text.data[at] == '0' && is_digit(text, at + 1)))
        return false;
    for (; is_digit(text, at); at++)
        add_digit(&number, (unsigned)(text.data[at] - '0'), &significant, &held_zeros);
    if (at < text.length && text.data[at] == '.') {
        at++;
        if (!is_digit(text, at))
            return false;
        for (; is_digit(text, at); at++) {
            add_digit(&number, (unsigned)(text.data[at] - '0'), &significant, &held_zeros);
            number.exponent--;
        }
    }
    if (at < text.length && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        if (!parse_exponent(text, &at, &exponent))
            return false;
    }
    if (at != text.length)
        return false;
    number.exponent += (int64_t)held_zeros + exponent;
    *ret_number = number;
    return true;
}

bool decimal_parse(struct str text, unsigned places, int64_t *ret_scaled)
{
    struct significand number;
    bool negative;

    if (places > MOST_PLACES || !parse_number(text, &negative, &number) || number.too_long)
        return false;
    if (number.digits == 0) {
        *ret_scaled = 0;
        return true;
    }
    int64_t shift = number.exponent + (int64_t)places;
    uint64_t value = number.digits;

    /* A negative shift would cut a digit that is not zero. */
    if (shift < 0 || shift > 19)
        return false;
    for (; shift; shift--)
        if (__builtin_mul_overflow(value, 10U, &value))
            return false;
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_scaled = (int64_t)(negative ? 0 - value : value);
    return true;
}

size_t decimal_format(int64_t scaled, unsigned places, char out[DECIMAL_TEXT_SIZE])
{
    uint64_t magnitude = scaled < 0 ? 0 - (uint64_t)scaled : (uint64_t)scaled;
    const char *sign = scaled < 0 ? "-" : "";
    uint64_t unit = 1;

    if (places > MOST_PLACES)
        places = MOST_PLACES;
    /* Zeros at the end of the fraction are not written. */
    while (places && magnitude % 10 == 0) {
        magnitude /= 10;
        places--;
    }
    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    int length =
        places ? snprintf(out, DECIMAL_TEXT_SIZE, "%s%llu.%0*llu", sign,
                          (unsigned long long)(magnitude / unit), (int)places,
                          (unsigned long long)(magnitude % unit))
               : snprintf(out, DECIMAL_TEXT_SIZE, "%s%llu", sign, (unsigned long long)magnitude);

    return length > 0 ? (size_t)length : 0;
}

bool decimal_mul_div(int64_t a, int64_t b, int64_t divisor, int64_t *ret_value)
{
    if (a < 0 || b < 0 || divisor <= 0)
        return false;
    /* Half up: floor(x + 1/2) = floor((2ab + d) / 2d). 2ab < 2^127, so nothing overflows. */
    uint128 twice = (uint128)(uint64_t)a * (uint64_t)b * 2 + (uint64_t)divisor;
    uint128 value = twice / ((uint128)(uint64_t)divisor * 2);

    if (value > INT64_MAX)
        return false;
    *ret_value = (int64_t)value;
    return true;
}
