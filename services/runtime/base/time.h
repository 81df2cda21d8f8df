/* time: clocks and randomness behind a seam, and RFC 3339. All times are int64 microseconds. */
#ifndef DIALPLANE_BASE_TIME_H
#define DIALPLANE_BASE_TIME_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_US_PER_SECOND INT64_C(1000000)

/* Where time comes from. The system's is clock_system(); tests use a struct virtual_clock.
 * Thread-safe to read. */
struct clock {
    int64_t (*wall_us)(const struct clock *clock);      /* since 1970-01-01T00:00:00Z */
    int64_t (*monotonic_us)(const struct clock *clock); /* never goes back */
};
const struct clock *clock_system(void);

struct virtual_clock {
    struct clock clock; /* first member: &virtual.clock is a struct clock */
    int64_t now_us;     /* both clocks read this */
};
void virtual_clock_init(struct virtual_clock *virtual_clock, int64_t now_us);
void virtual_clock_advance(struct virtual_clock *virtual_clock, int64_t by_us);

/* Where randomness comes from: getrandom(2), or a seeded xoshiro256** for repeatable runs. One
 * thread. */
struct entropy {
    void (*fill)(struct entropy *entropy, void *out, size_t size);
    uint64_t state[4];
};
void entropy_init_system(struct entropy *entropy);
void entropy_init_seeded(struct entropy *entropy, uint64_t seed);
uint64_t entropy_uint64(struct entropy *entropy);
/* Uniform in [0, 1). */
double entropy_unit(struct entropy *entropy);

/* RFC 3339 with offset → µs since the epoch. Years 0001..9999; more than 6 fraction digits are cut;
 * second 60 is refused. False when malformed. */
bool time_parse_rfc3339(struct str text, int64_t *ret_us);
#define TIME_TEXT_SIZE 28
/* "2026-01-17T09:30:00.123456Z": always 6 digits, always Z, NUL-terminated. */
void time_format_rfc3339(int64_t us, char out[TIME_TEXT_SIZE]);

/* "YYYY-MM-DD" of the proleptic Gregorian calendar, years 0001..9999 → days since the epoch. */
bool date_parse(struct str text, int32_t *ret_days);
#define DATE_TEXT_SIZE 11
void date_format(int32_t days, char out[DATE_TEXT_SIZE]);
/* "HH:MM", 00:00..23:59 → minutes since midnight. */
bool time_of_day_parse(struct str text, int *ret_minutes);

#endif
