/* phone: libphonenumber behind a C function. Thread-safe; a check takes about 15 µs, so not on the
 * loop's thread. */
#ifndef DIALPLANE_CAMPAIGN_PHONE_H
#define DIALPLANE_CAMPAIGN_PHONE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum phone_result { PHONE_RESULT_OK, PHONE_RESULT_INVALID, PHONE_RESULT_NO_COUNTRY };

/* Text as people write it → E.164 ("+12015550100"), NUL-terminated, in out[24]. `region` (ISO
 * 3166-1, "US") says how to read numbers without country code; NULL: they have none. 00 counts as
 * +. Possible by country code and length is enough: the ranges that are in use change faster than a
 * library in a stable distribution learns of it, and the network answers for the rest
 * (invalid_number). */
enum phone_result phone_normalise(const char *text, size_t length, const char *region, char *out);
/* 1 when libphonenumber knows the region. */
int phone_region_is_known(const char *region);

#ifdef __cplusplus
}
#endif

#endif
