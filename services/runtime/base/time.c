#include "base/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define US_PER_DAY (INT64_C(86400) * TIME_US_PER_SECOND)
#define FIRST_DAY (-719162) /* 0001-01-01 */
#define LAST_DAY 2932896    /* 9999-12-31 */
#define FIRST_US ((int64_t)FIRST_DAY * US_PER_DAY)
#define LAST_US (((int64_t)LAST_DAY + 1) * US_PER_DAY - 1)

/* Clocks */

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now); /* cannot fail for these two ids and a valid pointer */
    return (int64_t)now.tv_sec * TIME_US_PER_SECOND + now.tv_nsec / 1000;
}

static int64_t system_wall_us(const struct clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_monotonic_us(const struct clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

const struct clock *clock_system(void)
{
    static const struct clock clock = {system_wall_us, system_monotonic_us};

    return &clock;
}

static int64_t virtual_now_us(const struct clock *clock)
{
    return ((const struct virtual_clock *)clock)->now_us;
}

void virtual_clock_init(struct virtual_clock *virtual_clock, int64_t now_us)
{
    *virtual_clock = (struct virtual_clock){{virtual_now_us, virtual_now_us}, now_us};
}

void virtual_clock_advance(struct virtual_clock *virtual_clock, int64_t by_us)
{
    virtual_clock->now_us += by_us;
}

/* Entropy */

static void fill_from_system(struct entropy *entropy, void *out, size_t size)
{
    char *at = out;

    (void)entropy;
    while (size) {
        ssize_t got = getrandom(at, size, 0);

        if (got > 0) {
            at += got;
            size -= (size_t)got;
        } else if (errno != EINTR) {
            /* No kernel that runs us lacks it; ids made of anything else would collide. */
            perror("getrandom");
            abort();
        }
    }
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* xoshiro256** 1.0 (Blackman and Vigna, public domain). */
static uint64_t xoshiro_next(uint64_t state[4])
{
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;

    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

static void fill_from_seed(struct entropy *entropy, void *out, size_t size)
{
    unsigned char *at = out;

    while (size) {
        uint64_t word = xoshiro_next(entropy->state);

        /* Byte by byte from the low end: the same run on every machine. */
        for (int i = 0; i < 8 && size; i++, size--, word >>= 8)
            *at++ = (unsigned char)word;
    }
}

void entropy_init_system(struct entropy *entropy)
{
    *entropy = (struct entropy){.fill = fill_from_system};
}

void entropy_init_seeded(struct entropy *entropy, uint64_t seed)
{
    *entropy = (struct entropy){.fill = fill_from_seed};
    /* splitmix64 spreads the seed, as xoshiro's authors ask: its state must not be all zero. */
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);

        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        entropy->state[i] = z ^ (z >> 31);
    }
}

uint64_t entropy_uint64(struct entropy *entropy)
{
    unsigned char bytes[8];
    uint64_t value = 0;

    entropy->fill(entropy, bytes, sizeof(bytes));
    for (int i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

double entropy_unit(struct entropy *entropy)
{
    return (double)(entropy_uint64(entropy) >> 11) * 0x1p-53;
}

/* Calendar: days_from_civil and civil_from_days after Howard Hinnant, with years that begin in
 * March. */

static int32_t days_from_civil(int year, int month, int day)
{
    year -= month <= 2;
    int era = (year >= 0 ? year : year - 399) / 400;
    int year_of_era = year - era * 400;
    int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int32_t days, int *ret_year, int *ret_month, int *ret_day)
{
    int z = days + 719468;
    int era = (z >= 0 ? z : z - 146096) / 146097;
    int day_of_era = z - era * 146097;
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int shifted_month = (5 * day_of_year + 2) / 153;

    *ret_day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    *ret_month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static int days_in_month(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return lengths[month - 1] + (month == 2 && leap);
}

/* Exactly `count` digits at text[at]. */
static bool read_digits(struct str text, size_t at, size_t count, int *ret_value)
{
    int value = 0;

    if (at + count > text.length)
        return false;
    for (size_t i = at; i < at + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    *ret_value = value;
    return true;
}

static bool has(struct str text, size_t at, char c)
{
    return at < text.length && text.data[at] == c;
}

bool date_parse(struct str text, int32_t *ret_days)
{
    int year, month, day;

    if (text.length != 10 || !read_digits(text, 0, 4, &year) || !has(text, 4, '-') ||
        !read_digits(text, 5, 2, &month) || !has(text, 7, '-') || !read_digits(text, 8, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return false;
    *ret_days = days_from_civil(year, month, day);
    return true;
}

void date_format(int32_t days, char out[DATE_TEXT_SIZE])
{
    int year, month, day;

    /* Outside the years that the form can write there is no right answer: the nearest end. */
    if (days < FIRST_DAY)
        days = FIRST_DAY;
    if (days > LAST_DAY)
        days = LAST_DAY;
    civil_from_days(days, &year, &month, &day);
    snprintf(out, DATE_TEXT_SIZE, "%04u-%02u-%02u", (unsigned)year % 10000, (unsigned)month % 100,
             (unsigned)day % 100);
}

bool time_of_day_parse(struct str text, int *ret_minutes)
{
    int hour, minute;

    if (text.length != 5 || !read_digits(text, 0, 2, &hour) || text.data[2] != ':' ||
        !read_digits(text, 3, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *ret_minutes = hour * 60 + minute;
    return true;
}

/* ".123456789" at *at, if there: cut to microseconds. */
static bool read_fraction(struct str text, size_t *at, int64_t *ret_us)
{
    int64_t us = 0, weight = 100000;
    size_t first = *at + 1;

    *ret_us = 0;
    if (!has(text, *at, '.'))
        return true;
    for (*at = first; *at < text.length && text.data[*at] >= '0' && text.data[*at] <= '9';
         (*at)++) {
        us += weight * (text.data[*at] - '0');
        weight /= 10;
    }
    *ret_us = us;
    return *at > first;
}

/* "Z" or "+HH:MM" from `at` to the end of the text. */
static bool read_offset(struct str text, size_t at, int64_t *ret_us)
{
    int minutes;

    if (at + 1 == text.length && (text.data[at] == 'Z' || text.data[at] == 'z')) {
        *ret_us = 0;
        return true;
    }
    if (!has(text, at, '+') && !has(text, at, '-'))
        return false;
    if (!time_of_day_parse((struct str){text.data + at + 1, text.length - at - 1}, &minutes))
        return false;
    *ret_us = (text.data[at] == '-' ? -1 : 1) * (int64_t)minutes * 60 * TIME_US_PER_SECOND;
    return true;
}

bool time_parse_rfc3339(struct str text, int64_t *ret_us)
{
    int32_t days;
    int minutes, second;
    int64_t fraction, offset;
    size_t at = 19;

    if (text.length < 20 || !date_parse((struct str){text.data, 10}, &days))
        return false;
    if ((text.data[10] != 'T' && text.data[10] != 't') ||
        !time_of_day_parse((struct str){text.data + 11, 5}, &minutes) || text.data[16] != ':' ||
        !read_digits(text, 17, 2, &second) || second > 59)
        return false;
    if (!read_fraction(text, &at, &fraction) || !read_offset(text, at, &offset))
        return false;
    int64_t us = (int64_t)days * US_PER_DAY +
                 ((int64_t)minutes * 60 + second) * TIME_US_PER_SECOND + fraction - offset;

    /* An offset can push the first and last hours out of the years that can be written back. */
    if (us < FIRST_US || us > LAST_US)
        return false;
    *ret_us = us;
    return true;
}

void time_format_rfc3339(int64_t us, char out[TIME_TEXT_SIZE])
{
    if (us < FIRST_US)
        us = FIRST_US;
    if (us > LAST_US)
        us = LAST_US;
    int64_t days = us / US_PER_DAY - (us % US_PER_DAY < 0);
    uint64_t rest = (uint64_t)(us - days * US_PER_DAY);
    unsigned seconds = (unsigned)(rest / TIME_US_PER_SECOND);
    char date[DATE_TEXT_SIZE];

    date_format((int32_t)days, date);
    snprintf(out, TIME_TEXT_SIZE, "%sT%02u:%02u:%02u.%06uZ", date, seconds / 3600 % 24,
             seconds / 60 % 60, seconds % 60, (unsigned)(rest % TIME_US_PER_SECOND));
}
