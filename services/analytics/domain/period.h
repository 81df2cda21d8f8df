/* period: first and last day of a figure's period. Pure. */
#ifndef ANALYTICS_DOMAIN_PERIOD_H
#define ANALYTICS_DOMAIN_PERIOD_H

#include "base/err.h"

/* Longest period, days: ten years. */
#define PERIOD_DAYS_LIMIT 3660

/* For a `check`: end_date not before start_date, not longer than the limit. NULL or "" means not
 * given; a malformed date has been reported before. */
void period_check(const char *start_date, const char *end_date, struct violations *violations);

#endif
