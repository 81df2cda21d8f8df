/* window_check: what the values of a campaign's window must be to each other. (Whether it is open
 * at a moment is for SQL to say, inside the claim's own transaction: see services/migrations/0002.)
 */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_WINDOW_CHECK_H
#define DIALPLANE_CAMPAIGN_DOMAIN_WINDOW_CHECK_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Adds a violation of campaign.end_time unless it is after start_time; either may be missing (has_…
 * false). */
void window_check_period(bool has_start, int64_t start_us, bool has_end, int64_t end_us,
                         struct violations *violations);

#define WINDOW_DAYS_TEXT_SIZE 16
/* ISO days 1..7 as "1,2,5", in order and each once; no day at all means all seven. `days` may hold
 * anything. */
void window_format_days(const int *days, size_t count, char out[WINDOW_DAYS_TEXT_SIZE]);

#endif
