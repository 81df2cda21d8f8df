#include "json/number.h"

#include "json/double.h"

#include <math.h>
#include <string.h>

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

size_t json_number_size(const char *at, const char *end)
{
    const char *start = at;

    if (at < end && *at == '-')
        at++;
    if (!is_digit(at, end))
        return 0;
    if (*at == '0')
        at++;
    else
        while (is_digit(at, end))
            at++;
    if (at < end && *at == '.') {
        if (!is_digit(++at, end))
            return 0;
        while (is_digit(at, end))
            at++;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (!is_digit(at, end))
            return 0;
        while (is_digit(at, end))
            at++;
    }
    return (size_t)(at - start);
}

/* A number as digits × 10^exponent, where digits is 0 or does not end in a zero; too_long: it did
 * not fit into 64 bits. */
struct significand {
    uint64_t digits;
    int64_t exponent;
    bool negative, too_long;
};

#define MOST_DIGITS 20
/* No exponent beyond it changes what a text of fewer digits means for 64 bits or a double. */
#define EXPONENT_PIN INT64_C(1000000000000)

/* digits × 10^(zeros + 1) + digit; false, unchanged, when that passes 64 bits. */
static bool push_digit(uint64_t *digits, int64_t zeros, unsigned digit)
{
    uint64_t value = *digits;

    if (zeros >= MOST_DIGITS)
        return false;
    for (; zeros >= 0; zeros--)
        if (__builtin_mul_overflow(value, 10U, &value))
            return false;
    if (__builtin_add_overflow(value, digit, &value))
        return false;
    *digits = value;
    return true;
}

static struct significand read_significand(struct str text)
{
    struct significand number = {0};
    const char *at = text.data, *end = at + text.length;
    int64_t zeros = 0, fraction_digits = 0, exponent = 0;
    bool in_fraction = false;

    if (*at == '-') {
        number.negative = true;
        at++;
    }
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            in_fraction = true;
            continue;
        }
        fraction_digits += in_fraction;
        if (*at == '0') {
            zeros += number.digits != 0; /* counts only when another digit follows */
            continue;
        }
        if (number.too_long || !push_digit(&number.digits, zeros, (unsigned)(*at - '0')))
            number.too_long = true;
        zeros = 0;
    }
    if (at < end) {
        bool minus = *++at == '-';

        at += *at == '-' || *at == '+';
        for (; at < end; at++)
            if (exponent < EXPONENT_PIN)
                exponent = exponent * 10 + (*at - '0');
        exponent = minus ? -exponent : exponent;
    }
    number.exponent = zeros - fraction_digits + exponent;
    return number;
}

enum json_number_fit json_number_read(struct str text, unsigned places, bool *ret_negative,
                                      uint64_t *ret_magnitude)
{
    /* Nearly every number is a few plain digits. */
    bool negative = text.data[0] == '-';
    size_t at = negative;
    uint64_t value = 0;

    for (; at < text.length && text.length <= 18; at++) {
        unsigned digit = (unsigned)(text.data[at] - '0');

        if (digit > 9)
            break;
        value = value * 10 + digit;
    }
    *ret_negative = negative;
    *ret_magnitude = value;
    if (at == text.length && places == 0)
        return JSON_NUMBER_OK;

    struct significand number = read_significand(text);

    *ret_magnitude = 0;
    if (number.digits == 0)
        return JSON_NUMBER_OK;
    int64_t shift = number.exponent + (int64_t)places;

    /* Digits may be missing behind too_long: what was read fills 64 bits, so a scale that keeps it
     * whole is too large. */
    if (number.too_long)
        return shift < 0 ? JSON_NUMBER_TOO_FINE : JSON_NUMBER_TOO_LARGE;
    if (shift < 0)
        return JSON_NUMBER_TOO_FINE;
    if (shift > MOST_DIGITS)
        return JSON_NUMBER_TOO_LARGE;
    for (; shift; shift--)
        if (__builtin_mul_overflow(number.digits, 10U, &number.digits))
            return JSON_NUMBER_TOO_LARGE;
    *ret_magnitude = number.digits;
    return JSON_NUMBER_OK;
}

bool json_number_read_double(struct str text, bool single, double *ret_value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    if (text.length > INT32_MAX)
        return false;
    if (single) {
        *ret_value = (double)json_float_read(text.data, text.length);
        return isfinite(*ret_value);
    }
    /* Both operands exact in a double: one rounding, so the result is the nearest (Clinger 1990).
     */
    if (text.length <= 24) {
        struct significand number = read_significand(text);

        if (!number.too_long && number.digits <= UINT64_C(1) << 53 && number.exponent >= -22 &&
            number.exponent <= 22) {
            double value = (double)number.digits;

            value = number.exponent < 0 ? value / powers[-number.exponent]
                                        : value * powers[number.exponent];
            *ret_value = number.negative ? -value : value;
            return true;
        }
    }
    *ret_value = json_double_read(text.data, text.length);
    return isfinite(*ret_value);
}

static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233"
    "34353637383940414243444546474849505152535455565758596061626364656667"
    "6869707172737475767778798081828384858687888990919293949596979899";

size_t json_number_put_uint64(uint64_t value, char *out)
{
    char digits[20];
    size_t at = sizeof(digits);

    if (value < 10) {
        out[0] = (char)('0' + value);
        return 1;
    }
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, digit_pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, digit_pairs + 2 * value, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

size_t json_number_put_int64(int64_t value, char *out)
{
    if (value >= 0)
        return json_number_put_uint64((uint64_t)value, out);
    out[0] = '-';
    return 1 + json_number_put_uint64(0 - (uint64_t)value, out + 1);
}

void json_put_digits(uint32_t value, unsigned digits, char *out)
{
    while (digits) {
        out[--digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

size_t json_number_put_decimal(int64_t value, unsigned places, char *out)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t unit = 1;
    size_t length = 0;

    while (places && magnitude % 10 == 0) {
        magnitude /= 10;
        places--;
    }
    if (value < 0)
        out[length++] = '-';
    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    length += json_number_put_uint64(magnitude / unit, out + length);
    if (places) {
        uint64_t fraction = magnitude % unit;

        out[length++] = '.';
        for (unsigned i = places; i; i--, fraction /= 10)
            out[length + i - 1] = (char)('0' + fraction % 10);
        length += places;
    }
    return length;
}

size_t json_number_put_double(double value, char *out)
{
    /* Whole numbers and short decimals, which is what people write, need no search: a text of at
     * most 15 digits that reads back as the same double is the only such text, so without zeros at
     * its end it is the shortest. */
    double magnitude = fabs(value);

    if (magnitude >= 0.001 && magnitude < 1e10) {
        double scaled = magnitude, unit = 1;

        for (unsigned places = 0; places <= 4; places++, unit *= 10, scaled = magnitude * unit) {
            int64_t digits = (int64_t)(scaled + 0.5);

            if ((double)digits / unit == magnitude)
                return json_number_put_decimal(value < 0 ? -digits : digits, places, out);
        }
    }
    return json_double_shortest(value, out);
}
