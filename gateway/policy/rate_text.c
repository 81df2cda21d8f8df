/* Rates as they are written: in settings, and in answers. */
#include "gateway/policy/rate_limit.h"

#include <stdio.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define RATE_MAX 1000000u

const char *const rate_class_names[RATE_CLASSES] = {"reads", "writes", "uploads", "streams"};

/* "200", "30/m" → the time between two. 0: malformed. */
static int64_t parse_interval(struct str text)
{
    const char *slash = text.length ? memchr(text.data, '/', text.length) : NULL;
    int64_t unit_ns = NS_PER_SECOND;
    uint64_t count;

    if (slash) {
        struct str unit = {slash + 1, text.length - (size_t)(slash + 1 - text.data)};
        text.length = (size_t)(slash - text.data);
        if (str_equal_cstr(unit, "m"))
            unit_ns *= 60;
        else if (str_equal_cstr(unit, "h"))
            unit_ns *= 3600;
        else if (!str_equal_cstr(unit, "s"))
            return 0;
    }
    if (!str_parse_uint64(text, &count) || count < 1 || count > RATE_MAX)
        return 0;
    return unit_ns / (int64_t)count;
}

bool rate_rule_parse(const char *text, struct rate_rule *ret_rule, struct err *err)
{
    struct str rate = str_from(text), burst = {NULL, 0};
    const char *colon = strchr(text, ':');
    uint64_t tokens = 0;

    *ret_rule = (struct rate_rule){0, 0};
    if (str_equal_cstr(rate, "off"))
        return true;
    if (colon) {
        rate.length = (size_t)(colon - text);
        burst = str_from(colon + 1);
    }
    ret_rule->interval_ns = parse_interval(rate);
    if (!ret_rule->interval_ns ||
        (colon && (!str_parse_uint64(burst, &tokens) || tokens < 1 || tokens > RATE_BURST_MAX)))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "\"%s\" is no rate such as 200:400 (200 a second, 400 at once), 30/m:10, "
                       "5/h or off; up to 1000000 each",
                       text);
    if (!colon)
        tokens = (uint64_t)(NS_PER_SECOND / ret_rule->interval_ns);
    ret_rule->burst = tokens ? (uint32_t)tokens : 1;
    return true;
}

static char *put_text(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    return at;
}

/* By hand: this is on the way of every request, and snprintf() takes half a microsecond. */
static char *put_number(char *at, uint64_t value)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count)
        *at++ = digits[--count];
    return at;
}

static size_t format(const char *name, const char *first_name, uint64_t first,
                     const char *second_name, uint64_t second, char out[RATE_TEXT_SIZE])
{
    char *at = out;

    *at++ = '"';
    at = put_text(at, name);
    at = put_text(at, first_name);
    at = put_number(at, first);
    at = put_text(at, second_name);
    at = put_number(at, second);
    *at = '\0';
    return (size_t)(at - out);
}

size_t rate_format_policy(const char *name, const struct rate_rule *rule, char out[RATE_TEXT_SIZE])
{
    int64_t window_ns = rule->interval_ns * rule->burst;
    uint64_t seconds = (uint64_t)((window_ns + NS_PER_SECOND - 1) / NS_PER_SECOND);

    return format(name, "\";q=", rule->burst, ";w=", seconds, out);
}

size_t rate_format_answer(const char *name, const struct rate_answer *answer,
                          char out[RATE_TEXT_SIZE])
{
    uint64_t seconds = (uint64_t)((answer->full_us + TIME_US_PER_SECOND - 1) / TIME_US_PER_SECOND);

    return format(name, "\";r=", answer->remaining, ";t=", seconds, out);
}
