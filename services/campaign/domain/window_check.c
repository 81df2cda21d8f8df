#include "domain/window_check.h"

void window_check_period(bool has_start, int64_t start_us, bool has_end, int64_t end_us,
                         struct violations *violations)
{
    if (has_start && has_end && end_us <= start_us)
        violations_add(violations, "campaign.end_time", "must be after start_time");
}

void window_format_days(const int *days, size_t count, char out[WINDOW_DAYS_TEXT_SIZE])
{
    unsigned chosen = 0;
    size_t used = 0;

    for (size_t i = 0; i < count; i++)
        if (days[i] >= 1 && days[i] <= 7)
            chosen |= 1u << days[i];
    if (!chosen)
        chosen = 0xFE;
    for (int day = 1; day <= 7; day++) {
        if (!(chosen & 1u << day))
            continue;
        if (used)
            out[used++] = ',';
        out[used++] = (char)('0' + day);
    }
    out[used] = 0;
}
