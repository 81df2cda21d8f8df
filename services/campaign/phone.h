/* phone: libphonenumber behind C functions. Thread-safe; a check takes about 10 µs, or a tenth of a
 * microsecond for numbers of the common countries that begin with their country code: not on the
 * loop's thread. */
#ifndef DIALPLANE_CAMPAIGN_PHONE_H
#define DIALPLANE_CAMPAIGN_PHONE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum phone_result {
    PHONE_RESULT_OK,
    PHONE_RESULT_INVALID,
    PHONE_RESULT_NO_COUNTRY,
    PHONE_RESULT_AMBIGUOUS, /* phone_read() only */
};

/* Text as people write it → E.164 ("+12015550100"), NUL-terminated, in out[24]. `region` (ISO
 * 3166-1, "US") says how to read numbers without country code; NULL: they have none. 00 counts as
 * +. Possible by country code and length is enough: the ranges that are in use change faster than a
 * library in a stable distribution learns of it, and the network answers for the rest
 * (invalid_number). */
enum phone_result phone_normalise(const char *text, size_t length, const char *region, char *out);
/* The same for what may have lost its plus: digits and nothing else, as a spreadsheet keeps a
 * number. Eleven or more that libphonenumber finds valid with a plus, and that are no possible
 * number of the region, are read so. A valid number of the region goes before that. What is only
 * possible in the region and valid with a plus is AMBIGUOUS; `out` is then the reading in the
 * region and `other` the one with a plus. */
enum phone_result phone_read_digits(const char *digits, size_t length, const char *region,
                                    char *out, char *other);
/* What is wrong with a text that phone_normalise() found INVALID: "it is too short"; static, never
 * NULL. */
const char *phone_reason(const char *text, size_t length, const char *region);
/* 1 when libphonenumber knows the region. */
int phone_region_is_known(const char *region);

#ifdef __cplusplus
}
#endif

#endif
