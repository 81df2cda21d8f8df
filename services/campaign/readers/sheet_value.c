#include "readers/sheet_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_TEXT_MOST 64
#define WHOLE_MOST 9007199254740992.0 /* 2^53: whole numbers are exact up to here */
#define SERIAL_MOST 2958466.0         /* 10000-01-01 */
#define DAYS_1904 1462

/* ---- Formats ---- */

/* Letters of a code that stand for themselves: moves behind them, true. */
static bool skip_literal(struct str code, size_t *at)
{
    char c = code.data[*at];

    if (c == '"') {
        const char *end = memchr(code.data + *at + 1, '"', code.length - *at - 1);

        *at = end ? (size_t)(end - code.data) + 1 : code.length;
        return true;
    }
    if (c == '\\' || c == '_' || c == '*') {
        *at = *at + 2 < code.length ? *at + 2 : code.length;
        return true;
    }
    return false;
}

/* [h], [mm], [s] are elapsed time; every other bracket is a colour, a condition or a language. */
static bool skip_bracket(struct str code, size_t *at, bool *ret_is_elapsed)
{
    const char *end;

    if (code.data[*at] != '[')
        return false;
    end = memchr(code.data + *at, ']', code.length - *at);
    char unit = *at + 1 < code.length ? (char)(code.data[*at + 1] | 0x20) : 0;

    if (end && (unit == 'h' || unit == 'm' || unit == 's')) {
        const char *p = code.data + *at + 1;

        while (p < end && (*p | 0x20) == unit)
            p++;
        *ret_is_elapsed |= p == end;
    }
    *at = end ? (size_t)(end - code.data) + 1 : code.length;
    return true;
}

enum sheet_format sheet_format_of(struct str code)
{
    bool has_date = false, has_time = false, has_m = false, is_elapsed = false;

    if (code.length >= 7 &&
        str_equal_ignore_case((struct str){code.data, 7}, STR_LITERAL("general")))
        return SHEET_NUMBER;
    for (size_t at = 0; at < code.length && code.data[at] != ';';) {
        if (skip_literal(code, &at) || skip_bracket(code, &at, &is_elapsed))
            continue;
        char c = (char)(code.data[at++] | 0x20);

        has_date |= c == 'y' || c == 'd' || c == 'g';
        has_time |= c == 'h' || c == 's';
        has_m |= c == 'm';
    }
    if (is_elapsed)
        return SHEET_ELAPSED;
    if (has_date)
        return has_time ? SHEET_DATE_TIME : SHEET_DATE;
    if (has_time)
        return SHEET_TIME;
    return has_m ? SHEET_DATE : SHEET_NUMBER;
}

enum sheet_format sheet_format_built_in(unsigned id)
{
    if ((id >= 14 && id <= 17) || (id >= 27 && id <= 31) || id == 36 || (id >= 50 && id <= 58))
        return SHEET_DATE;
    if ((id >= 18 && id <= 21) || (id >= 32 && id <= 35) || id == 45 || id == 47)
        return SHEET_TIME;
    if (id == 22)
        return SHEET_DATE_TIME;
    return id == 46 ? SHEET_ELAPSED : SHEET_NUMBER;
}

/* ---- Numbers ---- */

/* "7.9161234567e+10" → plain decimals. */
static size_t without_exponent(const char *scientific, int exponent, char out[SHEET_VALUE_SIZE])
{
    char digits[24];
    size_t count = 0, used = 0;
    bool is_negative = *scientific == '-';

    for (const char *p = scientific + is_negative; *p && *p != 'e'; p++)
        if (*p != '.' && count < sizeof(digits))
            digits[count++] = *p;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (is_negative)
        out[used++] = '-';
    if (exponent < 0) {
        out[used++] = '0';
        out[used++] = '.';
        for (int i = -1; i > exponent; i--)
            out[used++] = '0';
        memcpy(out + used, digits, count);
        return used + count;
    }
    for (size_t i = 0; i <= (size_t)exponent || i < count; i++) {
        if (i == (size_t)exponent + 1)
            out[used++] = '.';
        out[used++] = i < count ? digits[i] : '0';
    }
    return used;
}

size_t sheet_print_number(double value, char out[SHEET_VALUE_SIZE])
{
    char text[NUMBER_TEXT_MOST];

    if (value == 0)
        value = 0; /* no minus zero */
    if (fabs(value) < WHOLE_MOST && value == floor(value))
        return (size_t)snprintf(out, SHEET_VALUE_SIZE, "%.0f", value);
    snprintf(text, sizeof(text), "%.14e", value);
    const char *mark = strchr(text, 'e');
    int exponent = mark ? atoi(mark + 1) : 0;

    if (!mark || exponent > 20 || exponent < -9)
        return (size_t)snprintf(out, SHEET_VALUE_SIZE, "%.15g", value);
    return without_exponent(text, exponent, out);
}

/* Plain digits with a point that need no other form: as nearly all of them are. */
static bool is_plain(struct str text)
{
    size_t digits = 0, at = text.length && text.data[0] == '-';
    bool has_point = false;

    if (at == text.length || text.length > 17 || text.data[at] == '.' ||
        (text.data[at] == '0' && at + 1 < text.length && text.data[at + 1] != '.'))
        return false;
    for (; at < text.length; at++) {
        if (text.data[at] == '.' && !has_point)
            has_point = true;
        else if (text.data[at] >= '0' && text.data[at] <= '9')
            digits++;
        else
            return false;
    }
    char last = text.data[text.length - 1];

    /* "-0" goes the long way, too */
    return digits <= 15 && !(has_point && (last == '0' || last == '.')) &&
           !(text.data[0] == '-' && text.length == 2);
}

static bool read_double(struct str text, double *ret_value)
{
    char copy[NUMBER_TEXT_MOST], *end;

    text = str_trim(text);
    if (!text.length || text.length >= sizeof(copy) ||
        !strchr("+-.0123456789", text.data[0])) /* no "nan", no "inf" */
        return false;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    if (strpbrk(copy, "xXnNiI")) /* no hexadecimal, no "+inf" */
        return false;
    *ret_value = strtod(copy, &end);
    return !*end && isfinite(*ret_value);
}

struct str sheet_number(struct str text, char out[SHEET_VALUE_SIZE])
{
    double value;

    if (is_plain(text) || !read_double(text, &value))
        return text;
    return (struct str){out, sheet_print_number(value, out)};
}

/* ---- Dates ---- */

/* Civil date of a day counted from 1970-01-01 (Howard Hinnant's days_from_civil, the other way). */
static void civil(int64_t days, int *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = days / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * of_year + 2) / 153;

    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int)(year_of_era + era * 400) + (*month <= 2);
}

struct str sheet_date(struct str text, enum sheet_format format, bool is_1904,
                      char out[SHEET_VALUE_SIZE])
{
    double serial;

    if (format == SHEET_NUMBER || !read_double(text, &serial) || serial < 0 ||
        serial >= SERIAL_MOST - (is_1904 ? DAYS_1904 : 0))
        return sheet_number(text, out);
    int64_t seconds = (int64_t)floor(serial * 86400 + 0.5), days = seconds / 86400;
    unsigned of_day = (unsigned)(seconds % 86400);
    unsigned hours = of_day / 3600, minutes = of_day / 60 % 60, rest = of_day % 60;

    if (format == SHEET_ELAPSED)
        return (struct str){out, (size_t)snprintf(out, SHEET_VALUE_SIZE, "%lld:%02u:%02u",
                                                  (long long)(seconds / 3600), minutes, rest)};
    if (format == SHEET_TIME && days == 0)
        return (struct str){
            out, (size_t)snprintf(out, SHEET_VALUE_SIZE, "%02u:%02u:%02u", hours, minutes, rest)};
    int year;
    unsigned month, day;
    size_t used;

    if (is_1904)
        days += DAYS_1904;
    /* 1900 counts as a leap year there: day 60 is 29 February 1900. */
    else if (days < 60)
        days++;
    if (!is_1904 && floor(serial) == 60) {
        used = (size_t)snprintf(out, SHEET_VALUE_SIZE, "1900-02-29");
    } else {
        civil(days - 25569, &year, &month, &day);
        used = (size_t)snprintf(out, SHEET_VALUE_SIZE, "%04d-%02u-%02u", year, month, day);
    }
    if (format != SHEET_DATE || of_day)
        used += (size_t)snprintf(out + used, SHEET_VALUE_SIZE - used, "T%02u:%02u:%02u", hours,
                                 minutes, rest);
    return (struct str){out, used};
}
