/* uuid: RFC 9562 identifiers; ours are version 7, ordered by time. */
#ifndef DIALPLANE_BASE_UUID_H
#define DIALPLANE_BASE_UUID_H

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_LENGTH 36
#define UUID_TEXT_SIZE (UUID_TEXT_LENGTH + 1)

struct uuid {
    uint8_t bytes[16];
};

/* A version 7 UUID at the clock's time; strictly increasing within the process (RFC 9562 §6.2
 * method 1). Call from one thread only. */
struct uuid uuid_v7(const struct clock *clock, struct entropy *entropy);
/* The 8-4-4-4-12 form in either case; false on anything else. */
bool uuid_parse(struct str text, struct uuid *ret_uuid);
/* Lower case, NUL-terminated. */
void uuid_format(const struct uuid *uuid, char out[UUID_TEXT_SIZE]);

#endif
