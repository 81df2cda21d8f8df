/* Settings from flags and variables. Everything wrong here is one line on stderr and exit 2: a
 * process that starts with a setting other than the one that was meant does more harm than one that
 * does not start. */
#include "app/internal.h"

#include "base/log.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const char *process;
    struct app_setting *settings; /* the caller's and the common ones */
    size_t count;
};

static const char *log_level, *log_format;
static const struct app_setting common_settings[] = {
    {.name = "log-level",
     .kind = APP_TEXT,
     .default_text = "info",
     .help = "least important events that are logged: debug, info, warn or error",
     .ret_value = &log_level},
    {.name = "log-format",
     .kind = APP_TEXT,
     .default_text = "json",
     .help = "json (one object a line) or text",
     .ret_value = &log_format},
};
#define COMMON_COUNT (sizeof(common_settings) / sizeof(common_settings[0]))

__attribute__((noreturn, format(printf, 2, 3))) static void refuse(const struct reading *reading,
                                                                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", reading->process);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static size_t put_upper(char *out, size_t at, size_t size, const char *text)
{
    for (; *text && at + 1 < size; text++)
        out[at++] = *text == '-' ? '_' : (char)toupper((unsigned char)*text);
    out[at] = '\0';
    return at;
}

void app_variable_name(const char *process, const struct app_setting *setting, char *out,
                       size_t out_size)
{
    static const char prefix[] = "dialplane-";
    if (strncmp(process, prefix, sizeof(prefix) - 1) == 0)
        process += sizeof(prefix) - 1;
    size_t at = put_upper(out, 0, out_size, prefix);
    if (setting->own) {
        at = put_upper(out, at, out_size, process);
        at = put_upper(out, at, out_size, "-");
    }
    put_upper(out, at, out_size, setting->name);
}

/* `where` names what the person has written: "--listen" or "DIALPLANE_LISTEN". */
static void set(const struct reading *reading, const struct app_setting *setting, const char *where,
                const char *text)
{
    char reason[160];
    if (app_value_set(setting, text, reason, sizeof(reason)))
        return;
    if (setting->secret)
        refuse(reading, "%s %s", where, reason);
    refuse(reading, "%s %s, got \"%.100s\"", where, reason, text);
}

static void set_defaults(const struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        const struct app_setting *setting = &reading->settings[i];
        if (setting->default_text)
            set(reading, setting, setting->name, setting->default_text);
    }
}

/* An empty variable counts as not set: that is what `VARIABLE= command` and compose files mean by
 * it. */
static void read_environment(const struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        char variable[80];
        app_variable_name(reading->process, &reading->settings[i], variable, sizeof(variable));
        const char *text = getenv(variable);
        if (text && text[0])
            set(reading, &reading->settings[i], variable, text);
    }
}

static const struct app_setting *find(const struct reading *reading, const char *name,
                                      size_t length)
{
    for (size_t i = 0; i < reading->count; i++) {
        const char *known = reading->settings[i].name;
        if (strlen(known) == length && strncmp(known, name, length) == 0)
            return &reading->settings[i];
    }
    return NULL;
}

/* One flag; gives how many arguments it took. */
static int read_flag(const struct reading *reading, const char *argument, const char *next)
{
    const char *name = argument + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] ? name + length + 1 : NULL;
    char where[80];
    snprintf(where, sizeof(where), "--%.*s", (int)(length < 64 ? length : 64), name);

    const struct app_setting *setting = find(reading, name, length);
    if (setting && setting->kind == APP_BOOL) {
        set(reading, setting, where, value ? value : "true");
        return 1;
    }
    if (setting) {
        if (!value && !next)
            refuse(reading, "%s needs a value", where);
        set(reading, setting, where, value ? value : next);
        return value ? 1 : 2;
    }
    if (length > 3 && strncmp(name, "no-", 3) == 0) {
        setting = find(reading, name + 3, length - 3);
        if (setting && setting->kind == APP_BOOL && !value) {
            set(reading, setting, where, "false");
            return 1;
        }
    }
    const char *nearest = app_nearest_flag(where + 2, reading->settings, reading->count);
    if (nearest)
        refuse(reading, "unknown flag %s; did you mean --%s?", where, nearest);
    refuse(reading, "unknown flag %s; --help lists all", where);
}

static void read_flags(const struct reading *reading, const char *summary, int argc, char **argv)
{
    for (int i = 1; i < argc;) {
        const char *argument = argv[i];
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            app_print_help(stdout, reading->process, summary, reading->settings, reading->count);
            exit(0);
        }
        if (strcmp(argument, "--version") == 0) {
            printf("%s %s\n", reading->process, app_version);
            exit(0);
        }
        if (strncmp(argument, "--", 2) != 0 || !argument[2])
            refuse(reading, "unexpected argument \"%.100s\"; settings are written --NAME VALUE",
                   argument);
        i += read_flag(reading, argument, i + 1 < argc ? argv[i + 1] : NULL);
    }
}

static void apply_log_settings(const struct reading *reading)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (unsigned level = 0; level < 4; level++) {
        if (strcmp(log_level, levels[level]) != 0)
            continue;
        bool text = strcmp(log_format, "text") == 0;
        if (!text && strcmp(log_format, "json") != 0)
            refuse(reading, "--log-format must be json or text, got \"%.100s\"", log_format);
        log_configure(reading->process, (enum log_level)level,
                      text ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON);
        return;
    }
    refuse(reading, "--log-level must be debug, info, warn or error, got \"%.100s\"", log_level);
}

void app_configure(const char *process, const char *summary, const struct app_setting *settings,
                   size_t count, int argc, char **argv)
{
    struct reading reading = {process, NULL, count + COMMON_COUNT};
    reading.settings = calloc(reading.count, sizeof(*reading.settings));
    if (!reading.settings)
        refuse(&reading, "not enough memory");
    if (count)
        memcpy(reading.settings, settings, count * sizeof(*settings));
    memcpy(reading.settings + count, common_settings, sizeof(common_settings));
    set_defaults(&reading);
    read_environment(&reading);
    read_flags(&reading, summary, argc, argv);
    apply_log_settings(&reading);
    free(reading.settings);
}
