#include "json/times.h"

#include "base/time.h"
#include "json/number.h"

#define SECONDS_PER_DAY 86400
#define FIRST_SECOND INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define LAST_SECOND INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */
#define NANOS_PER_SECOND 1000000000
#define MOST_DURATION_SECONDS INT64_C(315576000000)

/* Exactly two digits below `limit` at text[at]. */
static bool read_two(struct str text, size_t at, int limit, int *ret_value)
{
    if (at + 2 > text.length)
        return false;
    int tens = text.data[at] - '0', ones = text.data[at + 1] - '0';

    *ret_value = tens * 10 + ones;
    return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 && *ret_value < limit;
}

/* ".5" to ".123456789" at *at, if there. */
static bool read_fraction(struct str text, size_t *at, int32_t *ret_nanos)
{
    int32_t weight = NANOS_PER_SECOND / 10;

    *ret_nanos = 0;
    if (*at >= text.length || text.data[*at] != '.')
        return true;
    size_t first = ++*at;

    for (; *at < text.length && text.data[*at] >= '0' && text.data[*at] <= '9'; (*at)++) {
        if (weight == 0)
            return false;
        *ret_nanos += weight * (text.data[*at] - '0');
        weight /= 10;
    }
    return *at > first;
}

bool json_timestamp_read(struct str text, int64_t *ret_seconds, int32_t *ret_nanos)
{
    int32_t days;
    int hour, minute, second, offset_hour = 0, offset_minute = 0;
    size_t at = 19;

    if (text.length < 20 || !date_parse((struct str){text.data, 10}, &days) ||
        text.data[10] != 'T' || !read_two(text, 11, 24, &hour) || text.data[13] != ':' ||
        !read_two(text, 14, 60, &minute) || text.data[16] != ':' ||
        !read_two(text, 17, 60, &second) || !read_fraction(text, &at, ret_nanos) ||
        at >= text.length)
        return false;
    char zone = text.data[at++];

    if (zone == '+' || zone == '-') {
        if (!read_two(text, at, 24, &offset_hour) || at + 2 >= text.length ||
            text.data[at + 2] != ':' || !read_two(text, at + 3, 60, &offset_minute))
            return false;
        at += 5;
    } else if (zone != 'Z') {
        return false;
    }
    int64_t offset = (int64_t)offset_hour * 3600 + (int64_t)offset_minute * 60;

    *ret_seconds = (int64_t)days * SECONDS_PER_DAY + (int64_t)hour * 3600 + (int64_t)minute * 60 +
                   second - (zone == '-' ? -offset : offset);
    /* An offset can push the first and last hours out of the years that can be written back. */
    return at == text.length && *ret_seconds >= FIRST_SECOND && *ret_seconds <= LAST_SECOND;
}

/* Days since the epoch → date, proleptic Gregorian (Hinnant, "chrono-compatible low-level date
 * algorithms"). */
static void put_date(int64_t days, char out[10])
{
    uint32_t z = (uint32_t)(days + 719468); /* positive from year 1 on */
    uint32_t era = z / 146097, day_of_era = z % 146097;
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t shifted = (5 * day_of_year + 2) / 153;
    uint32_t month = shifted < 10 ? shifted + 3 : shifted - 9;

    json_put_digits(year_of_era + era * 400 + (month <= 2), 4, out);
    out[4] = '-';
    json_put_digits(month, 2, out + 5);
    out[7] = '-';
    json_put_digits(day_of_year - (153 * shifted + 2) / 5 + 1, 2, out + 8);
}

size_t json_timestamp_put(int64_t seconds, int32_t nanos, bool nine, char *out)
{
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND || nanos < 0 || nanos >= NANOS_PER_SECOND)
        return 0;
    int64_t days = seconds / SECONDS_PER_DAY - (seconds % SECONDS_PER_DAY < 0);
    uint32_t rest = (uint32_t)(seconds - days * SECONDS_PER_DAY);
    unsigned digits = nine && nanos % 1000 ? 9 : 6;

    put_date(days, out);
    out[10] = 'T';
    json_put_digits(rest / 3600, 2, out + 11);
    out[13] = ':';
    json_put_digits(rest / 60 % 60, 2, out + 14);
    out[16] = ':';
    json_put_digits(rest % 60, 2, out + 17);
    out[19] = '.';
    json_put_digits(digits == 9 ? (uint32_t)nanos : (uint32_t)nanos / 1000, digits, out + 20);
    out[20 + digits] = 'Z';
    return 21 + digits;
}

bool json_duration_read(struct str text, int64_t *ret_seconds, int32_t *ret_nanos)
{
    size_t at = 0;
    bool negative = text.length && text.data[0] == '-';
    int64_t seconds = 0;

    at += negative;
    size_t first = at;

    for (; at < text.length && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
        seconds = seconds * 10 + (text.data[at] - '0');
        if (seconds > MOST_DURATION_SECONDS)
            return false;
    }
    if (at == first || !read_fraction(text, &at, ret_nanos) || at + 1 != text.length ||
        text.data[at] != 's' || (seconds == MOST_DURATION_SECONDS && *ret_nanos))
        return false;
    *ret_seconds = negative ? -seconds : seconds;
    *ret_nanos = negative ? -*ret_nanos : *ret_nanos;
    return true;
}

size_t json_duration_put(int64_t seconds, int32_t nanos, char *out)
{
    if (seconds > MOST_DURATION_SECONDS || seconds < -MOST_DURATION_SECONDS ||
        nanos <= -NANOS_PER_SECOND || nanos >= NANOS_PER_SECOND || (seconds > 0 && nanos < 0) ||
        (seconds < 0 && nanos > 0) ||
        ((seconds == MOST_DURATION_SECONDS || seconds == -MOST_DURATION_SECONDS) && nanos))
        return 0;
    bool negative = seconds < 0 || nanos < 0;
    uint32_t fraction = (uint32_t)(nanos < 0 ? -nanos : nanos);
    size_t length = 0;

    if (negative)
        out[length++] = '-';
    length += json_number_put_uint64((uint64_t)(seconds < 0 ? -seconds : seconds), out + length);
    if (fraction) {
        unsigned digits = fraction % 1000 ? 9 : fraction % 1000000 ? 6 : 3;

        for (unsigned i = digits; i < 9; i++)
            fraction /= 10;
        out[length++] = '.';
        json_put_digits(fraction, digits, out + length);
        length += digits;
    }
    out[length++] = 's';
    return length;
}
