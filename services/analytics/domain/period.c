#include "domain/period.h"

#include "base/str.h"
#include "base/time.h"

void period_check(const char *start_date, const char *end_date, struct violations *violations)
{
    int32_t start, end;
    if (!start_date || !end_date || !date_parse(str_from(start_date), &start) ||
        !date_parse(str_from(end_date), &end))
        return;
    if (end < start)
        violations_add(violations, "end_date", "must not be before start_date (%s), got %s",
                       start_date, end_date);
    else if (end - start >= PERIOD_DAYS_LIMIT)
        violations_add(violations, "start_date", "must be less than %d days before end_date",
                       PERIOD_DAYS_LIMIT);
}
