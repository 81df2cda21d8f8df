/* decimal: exact fixed-point numbers in int64, for money and everything that must not be a float.
 */
#ifndef DIALPLANE_BASE_DECIMAL_H
#define DIALPLANE_BASE_DECIMAL_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "12.5", "-0.000001", "1e3" → value × 10^places, exactly. False when malformed, when more digits
 * than `places` are not zero, or on overflow. places 0..18. */
bool decimal_parse(struct str text, unsigned places, int64_t *ret_scaled);
/* The shortest plain form: 12500000 with 6 places → "12.5"; 0 → "0". Returns its length; out of
 * DECIMAL_TEXT_SIZE bytes is always enough. */
#define DECIMAL_TEXT_SIZE 32
size_t decimal_format(int64_t scaled, unsigned places, char out[DECIMAL_TEXT_SIZE]);
/* round-half-up(a × b ÷ divisor) for a, b >= 0 and divisor > 0, in 128 bits; false on overflow. */
bool decimal_mul_div(int64_t a, int64_t b, int64_t divisor, int64_t *ret_value);

#endif
