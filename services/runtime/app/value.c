/* Values of settings: from text to the type, with the range. */
#include "app/internal.h"

#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", TIME_US_PER_SECOND},
    {"m", 60 * TIME_US_PER_SECOND},
    {"h", 3600 * TIME_US_PER_SECOND},
    {NULL, 0},
};
static const struct unit size_units[] = {
    {"B", 1}, {"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {NULL, 0},
};

/* "250ms": digits and a unit, nothing else. A bare 0 needs none. */
static bool parse_with_unit(const char *text, const struct unit *units, int64_t *ret_value)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number;
    if (!str_parse_int64((struct str){text, digits}, &number))
        return false;
    if (number == 0 && !text[digits]) {
        *ret_value = 0;
        return true;
    }
    for (const struct unit *unit = units; unit->name; unit++) {
        if (strcmp(unit->name, text + digits) == 0)
            return !__builtin_mul_overflow(number, unit->factor, ret_value);
    }
    return false;
}

static bool parse_bool(const char *text, bool *ret_value)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *ret_value = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* "0.05": one digit and a fraction, nothing else. */
static bool parse_ratio(const char *text, double *ret_value)
{
    size_t digits = strspn(text, "0123456789");
    const char *end = text + digits;
    if (*end == '.' && end[1])
        end += 1 + strspn(end + 1, "0123456789");
    if (!digits || *end)
        return false;
    *ret_value = strtod(text, NULL);
    return *ret_value <= 1;
}

/* In the unit in which a person would write it. */
static void format_number(const struct app_setting *setting, int64_t value, char *out, size_t size)
{
    const struct unit *units = setting->kind == APP_DURATION ? duration_units
                               : setting->kind == APP_SIZE   ? size_units
                                                             : NULL;
    const struct unit *best = NULL;
    for (const struct unit *unit = units; unit && unit->name; unit++) {
        if (value && value % unit->factor == 0)
            best = unit;
    }
    snprintf(out, size, "%lld%s", (long long)(best ? value / best->factor : value),
             best ? best->name : "");
}

static bool in_range(const struct app_setting *setting, int64_t value, char *reason, size_t size)
{
    if ((!setting->minimum && !setting->maximum) ||
        (value >= setting->minimum && value <= setting->maximum))
        return true;
    char least[32], most[32];
    format_number(setting, setting->minimum, least, sizeof(least));
    format_number(setting, setting->maximum, most, sizeof(most));
    snprintf(reason, size, "must be between %s and %s", least, most);
    return false;
}

bool app_value_set(const struct app_setting *setting, const char *text, char *reason,
                   size_t reason_size)
{
    int64_t number = 0;
    bool good = false;
    switch (setting->kind) {
    case APP_TEXT:
        *(const char **)setting->ret_value = text;
        return true;
    case APP_BOOL:
        good = parse_bool(text, setting->ret_value);
        snprintf(reason, reason_size, "must be true or false");
        return good;
    case APP_RATIO:
        snprintf(reason, reason_size, "must be a number from 0 to 1, such as 0.05");
        return parse_ratio(text, setting->ret_value);
    case APP_INT:
        good = str_parse_int64(str_from(text), &number);
        snprintf(reason, reason_size, "must be a whole number");
        break;
    case APP_DURATION:
        good = parse_with_unit(text, duration_units, &number);
        snprintf(reason, reason_size, "must be a duration such as 250ms, 5s or 2m");
        break;
    case APP_SIZE:
        good = parse_with_unit(text, size_units, &number);
        snprintf(reason, reason_size, "must be a size such as 64KB or 8MB");
        break;
    }
    if (!good || !in_range(setting, number, reason, reason_size))
        return false;
    *(int64_t *)setting->ret_value = number;
    return true;
}
