/* number: JSON numbers to exact integers and doubles, and back to text, without printf and without
 * locale. */
#ifndef DIALPLANE_JSON_NUMBER_H
#define DIALPLANE_JSON_NUMBER_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the JSON number (RFC 8259 §6) that begins at `at`; 0 when none does. "01" is the number
 * "0". */
size_t json_number_size(const char *at, const char *end);

enum json_number_fit { JSON_NUMBER_OK, JSON_NUMBER_TOO_FINE, JSON_NUMBER_TOO_LARGE };

/* text, a JSON number, times 10^places as sign and magnitude, never through a double: "1.0" and
 * "1e3" are integers. TOO_FINE: digits are left beyond the places; TOO_LARGE: the magnitude needs
 * more than 64 bits. */
enum json_number_fit json_number_read(struct str text, unsigned places, bool *ret_negative,
                                      uint64_t *ret_magnitude);
/* text, a JSON number, to the nearest double (float when `single`, rounded once); false when it is
 * out of range. */
bool json_number_read_double(struct str text, bool single, double *ret_value);

#define JSON_NUMBER_TEXT_SIZE 40
/* These write without NUL, at most JSON_NUMBER_TEXT_SIZE bytes, and return the length. `value` is
 * finite. */
size_t json_number_put_uint64(uint64_t value, char *out);
size_t json_number_put_int64(int64_t value, char *out);
/* value ÷ 10^places, exactly and without zeros at the end. places <= 18. */
size_t json_number_put_decimal(int64_t value, unsigned places, char *out);
size_t json_number_put_double(double value, char *out);

/* Exactly `digits` (<= 9) decimal digits, with leading zeros. */
void json_put_digits(uint32_t value, unsigned digits, char *out);

#endif
