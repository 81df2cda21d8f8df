/* log: one event a line on stderr, JSON or text. Thread-safe. Personal data (phones, names, tokens)
 * never goes in. */
#ifndef DIALPLANE_BASE_LOG_H
#define DIALPLANE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

/* Once at start, before other threads. process is e.g. "dialplane-campaign". */
void log_configure(const char *process, enum log_level least, enum log_format format);
bool log_is_enabled(enum log_level level);

/* A key and its value; made with the helpers below. */
struct log_field {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_DOUBLE } kind;
    const char *text;
    int64_t integer;
    double number;
};
static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){key, LOG_FIELD_TEXT, text, 0, 0};
}
static inline struct log_field log_int(const char *key, int64_t integer)
{
    return (struct log_field){key, LOG_FIELD_INT, 0, integer, 0};
}
static inline struct log_field log_double(const char *key, double number)
{
    return (struct log_field){key, LOG_FIELD_DOUBLE, 0, 0, number};
}

/* log_event(LOG_LEVEL_INFO, "request", log_text("method", m), log_int("duration_us", d));
 * A NULL text is left out. Lines longer than 8 KB are cut. */
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned count);
/* Keeps this thread's lines back until log_flush(), or until 32 KB of them wait or one is a warning
 * or worse: one write(2) for the many lines of a turn of the loop. */
void log_hold(void);
void log_flush(void);
#define log_event(level, event, ...)                                                               \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__},                           \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

#endif
