/* A line is built on the stack and leaves in one write(2), so that lines of several threads and
 * processes never mix. */
#include "base/log.h"

#include "base/json_escape.h"
#include "base/time.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 8192
#define TAIL_BYTES 8 /* kept free for what closes a cut line */

static struct {
    const char *process;
    enum log_level least;
    enum log_format format;
} settings = {"dialplane", LOG_LEVEL_INFO, LOG_FORMAT_JSON};

#define HELD_BYTES (32 * 1024)

static _Thread_local struct {
    char data[HELD_BYTES];
    size_t length;
    bool holding;
} held;

struct line {
    char data[LINE_BYTES];
    size_t length;
    bool full; /* something did not fit: nothing more goes in */
};

void log_configure(const char *process, enum log_level least, enum log_format format)
{
    settings.process = process;
    settings.least = least;
    settings.format = format;
}

bool log_is_enabled(enum log_level level)
{
    return level >= settings.least;
}

/* All of it or nothing. */
static void put(struct line *line, const char *data, size_t size)
{
    if (line->full || line->length + size > LINE_BYTES - TAIL_BYTES) {
        line->full = true;
        return;
    }
    memcpy(line->data + line->length, data, size);
    line->length += size;
}

static void put_cstr(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* As a JSON string that is closed even when its text had to be cut. */
static void put_json_string(struct line *line, const char *text)
{
    size_t length = strlen(text), at = 0;

    if (line->full)
        return;
    put(line, "\"", 1);
    if (line->full)
        return;
    while (at < length && !line->full) {
        char escaped[JSON_ESCAPE_SIZE];
        size_t consumed;
        size_t size = json_escape_one(text + at, length - at, &consumed, escaped);

        put(line, escaped, size);
        at += consumed;
    }
    line->data[line->length++] = '"'; /* from the tail */
}

static void put_number(struct line *line, const struct log_field *field)
{
    char text[40];

    if (field->kind == LOG_FIELD_INT)
        snprintf(text, sizeof(text), "%lld", (long long)field->integer);
    else if (isfinite(field->number))
        snprintf(text, sizeof(text), "%.9g", field->number);
    else
        snprintf(text, sizeof(text), "null"); /* JSON has no NaN */
    put_cstr(line, text);
}

static void put_json_field(struct line *line, const struct log_field *field)
{
    size_t before = line->length;

    put(line, ",", 1);
    put_json_string(line, field->key);
    put(line, ":", 1);
    size_t after_key = line->length;

    if (field->kind == LOG_FIELD_TEXT)
        put_json_string(line, field->text);
    else
        put_number(line, field);
    /* A key whose value found no room at all would break the object. */
    if (line->full && line->length == after_key)
        line->length = before;
}

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void write_json(struct line *line, enum log_level level, const char *event, const char *now,
                       const struct log_field *fields, unsigned count)
{
    put_cstr(line, "{\"time\":\"");
    put_cstr(line, now);
    put_cstr(line, "\",\"level\":\"");
    put_cstr(line, level_names[level]);
    put_cstr(line, "\",\"process\":");
    put_json_string(line, settings.process);
    put_cstr(line, ",\"event\":");
    put_json_string(line, event);
    for (unsigned i = 0; i < count; i++)
        if (fields[i].kind != LOG_FIELD_TEXT || fields[i].text)
            put_json_field(line, &fields[i]);
    line->data[line->length++] = '}'; /* from the tail */
}

/* Bare words stay bare; anything else is quoted as in JSON, so that one event stays one line. */
static bool is_bare_word(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (!json_is_plain((unsigned char)*text) || *text == ' ' || *text == '=')
            return false;
    return true;
}

static void write_text(struct line *line, enum log_level level, const char *event, const char *now,
                       const struct log_field *fields, unsigned count)
{
    put_cstr(line, now);
    put(line, " ", 1);
    put_cstr(line, level_names[level]);
    put(line, " ", 1);
    put_cstr(line, settings.process);
    put_cstr(line, ": ");
    if (is_bare_word(event))
        put_cstr(line, event);
    else
        put_json_string(line, event);
    for (unsigned i = 0; i < count; i++) {
        if (fields[i].kind == LOG_FIELD_TEXT && !fields[i].text)
            continue;
        put(line, " ", 1);
        put_cstr(line, fields[i].key);
        put(line, "=", 1);
        if (fields[i].kind != LOG_FIELD_TEXT)
            put_number(line, &fields[i]);
        else if (is_bare_word(fields[i].text))
            put_cstr(line, fields[i].text);
        else
            put_json_string(line, fields[i].text);
    }
}

static void write_out(const char *data, size_t length)
{
    /* A log that cannot be written has nowhere to say so; the process goes on. */
    int saved = errno;
    ssize_t written;

    do {
        written = write(STDERR_FILENO, data, length);
    } while (written < 0 && errno == EINTR);
    errno = saved;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned count)
{
    struct line line;
    char now[TIME_TEXT_SIZE];
    const struct clock *clock = clock_system();

    if (!log_is_enabled(level))
        return;
    line.length = 0;
    line.full = false;
    time_format_rfc3339(clock->wall_us(clock), now);
    if (settings.format == LOG_FORMAT_JSON)
        write_json(&line, level, event, now, fields, count);
    else
        write_text(&line, level, event, now, fields, count);
    line.data[line.length++] = '\n';
    if (!held.holding) {
        write_out(line.data, line.length);
        return;
    }
    if (line.length > HELD_BYTES - held.length) {
        write_out(held.data, held.length);
        held.length = 0;
    }
    memcpy(held.data + held.length, line.data, line.length);
    held.length += line.length;
    if (level >= LOG_LEVEL_WARN)
        log_flush();
}

void log_hold(void)
{
    held.holding = true;
}

void log_flush(void)
{
    held.holding = false;
    if (held.length)
        write_out(held.data, held.length);
    held.length = 0;
}
