/* sheet_value: numbers of a spreadsheet as the text that people see, and dates as ISO 8601. */
#ifndef DIALPLANE_CAMPAIGN_READERS_SHEET_VALUE_H
#define DIALPLANE_CAMPAIGN_READERS_SHEET_VALUE_H

#include "base/str.h"

#define SHEET_VALUE_SIZE 48

/* What a number format shows. */
enum sheet_format { SHEET_NUMBER, SHEET_DATE, SHEET_DATE_TIME, SHEET_TIME, SHEET_ELAPSED };

/* By a format code ("dd.mm.yyyy hh:mm", "[h]:mm"); only its first section counts. */
enum sheet_format sheet_format_of(struct str code);
/* Of the formats that have a number and no code in the file (ECMA-376 part 1, 18.8.30). */
enum sheet_format sheet_format_built_in(unsigned id);

/* Plain decimals with no more digits than a spreadsheet keeps, which is 15, or all of a whole
 * number: 79161234567, 6828.09; beyond 10^20 and below 10^-9 with an exponent. */
size_t sheet_print_number(double value, char out[SHEET_VALUE_SIZE]);
/* The same from a file's text of it ("7.9161234567E10", "6828.0900000000001"); what is no number
 * is given back. The result is `text` or lies in `out`. */
struct str sheet_number(struct str text, char out[SHEET_VALUE_SIZE]);
/* "2026-09-04", "2026-09-04T10:20:30", "10:20:30", "36:30:00"; a number that is no date stays a
 * number. is_1904: days count from 1904-01-01. */
struct str sheet_date(struct str text, enum sheet_format format, bool is_1904,
                      char out[SHEET_VALUE_SIZE]);

#endif
