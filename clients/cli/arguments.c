#include "arguments.h"

#include "app/app.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Reading one command line. */
struct reading {
    const struct schema *schema;
    struct arena *arena;
    int argc, at;
    char *const *argv;
    bool flags_ended; /* after "--" */
    struct invocation *invocation;
    struct err *err;
};

/* nearest: what was probably meant, or NULL. Values are never repeated: one may be a token. */
static bool usage_error(struct reading *reading, const char *nearest, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool usage_error(struct reading *reading, const char *nearest, const char *format, ...)
{
    char message[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    return err_set(reading->err, ERR_INVALID_ARGUMENT, "USAGE", "%s%s%s%s", message,
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

/* The nearer of two names to what was typed; best starts as the farthest that is still a slip. */
static void consider(const char *typed, const char *name, size_t *best, const char **nearest)
{
    size_t distance = name ? app_name_distance(typed, name) : SIZE_MAX;
    if (distance <= *best && distance < strlen(name)) {
        *best = distance;
        *nearest = name;
    }
}

static const struct flag *find_flag(const struct flags *flags, struct str name)
{
    for (size_t i = 0; i < flags->count; i++) {
        const struct flag *flag = &flags->items[i];
        if (str_equal_cstr(name, flag->name) ||
            (flag->synonym && str_equal_cstr(name, flag->synonym)))
            return flag;
    }
    return NULL;
}

static bool unknown_flag(struct reading *reading, const char *typed)
{
    const struct flags *sets[] = {&reading->invocation->flags, &global_flags};
    const char *dashes = strncmp(typed, "--", 2) == 0 ? typed + 2 : typed + 1;
    char name[64]; /* without the value */
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(dashes, "="), dashes);
    size_t best = strlen(name) / 3 + 1;
    const char *nearest = NULL;
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sets[s]->count; i++)
            consider(name, sets[s]->items[i].name, &best, &nearest);
    char flag[80];
    snprintf(flag, sizeof(flag), "--%s", nearest ? nearest : "");
    int shown = (int)strcspn(typed, "="); /* not the value */
    if (!reading->invocation->command && !nearest)
        return usage_error(reading, NULL,
                           "unknown flag \"%.*s\" (a command's own flags come after it)", shown,
                           typed);
    return usage_error(reading, nearest ? flag : NULL, "unknown flag \"%.*s\"", shown, typed);
}

static bool add_given(struct reading *reading, const struct flag *flag, const char *value)
{
    struct invocation *invocation = reading->invocation;
    for (size_t i = 0; !flag->repeats && i < invocation->given_count; i++)
        if (invocation->given[i].flag == flag)
            return usage_error(reading, NULL, "--%s is given twice", flag->name);
    if (invocation->given_count == GIVEN_MAX)
        return usage_error(reading, NULL, "more than %d flags", GIVEN_MAX);
    invocation->given[invocation->given_count++] = (struct given){flag, value};
    if (strcmp(flag->name, "help") == 0)
        invocation->wants_help = true;
    if (strcmp(flag->name, "version") == 0 && !flag->field)
        invocation->wants_version = true;
    return true;
}

static bool read_bool(struct reading *reading, const struct flag *flag, const char *value)
{
    bool is_true = false;
    char reason[80];
    const struct app_setting setting = {.kind = APP_BOOL, .ret_value = &is_true};
    if (value && !app_value_set(&setting, value, reason, sizeof(reason)))
        return usage_error(reading, NULL, "--%s must be true or false", flag->name);
    return add_given(reading, flag, !value || is_true ? "true" : "false");
}

/* A flag that takes a value: behind "=", or the next word. */
static bool read_value(struct reading *reading, const struct flag *flag, const char *value)
{
    if (!value && reading->at + 1 < reading->argc)
        value = reading->argv[++reading->at];
    if (!value)
        return usage_error(reading, NULL, "--%s needs a value: %s", flag->name, flag->value);
    return add_given(reading, flag, value);
}

static bool read_long_flag(struct reading *reading, const char *typed)
{
    const char *equals = strchr(typed, '=');
    struct str name = {typed + 2, equals ? (size_t)(equals - typed - 2) : strlen(typed + 2)};
    const struct flag *flag = find_flag(&reading->invocation->flags, name);
    if (!flag)
        flag = find_flag(&global_flags, name);
    if (!flag && !equals && str_starts_with(name, STR_LITERAL("no-"))) {
        struct str rest = {name.data + 3, name.length - 3};
        flag = find_flag(&reading->invocation->flags, rest);
        if (!flag)
            flag = find_flag(&global_flags, rest);
        return flag && flag->is_bool ? add_given(reading, flag, "false")
                                     : unknown_flag(reading, typed);
    }
    if (!flag)
        return unknown_flag(reading, typed);
    return flag->is_bool ? read_bool(reading, flag, equals ? equals + 1 : NULL)
                         : read_value(reading, flag, equals ? equals + 1 : NULL);
}

/* "-f FILE", "-fFILE", "-y". */
static bool read_short_flag(struct reading *reading, const char *typed)
{
    const struct flags *sets[] = {&reading->invocation->flags, &global_flags};
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sets[s]->count; i++) {
            const struct flag *flag = &sets[s]->items[i];
            if (flag->letter != typed[1])
                continue;
            if (!flag->is_bool)
                return read_value(reading, flag, typed[2] ? typed + 2 : NULL);
            if (typed[2])
                return usage_error(reading, NULL, "\"%s\": switches are given one by one", typed);
            return add_given(reading, flag, "true");
        }
    }
    return unknown_flag(reading, typed);
}

static bool unknown_command(struct reading *reading, const char *typed)
{
    const struct command_group *group = reading->invocation->group;
    size_t best = strlen(typed) / 3 + 1;
    const char *nearest = NULL;
    for (size_t i = 0; !group && i < command_group_count; i++) {
        consider(typed, command_groups[i].name, &best, &nearest);
        consider(typed, command_groups[i].plural, &best, &nearest);
    }
    for (size_t i = 0; i < command_count; i++)
        if (group ? commands[i].group && strcmp(commands[i].group, group->name) == 0
                  : !commands[i].group)
            consider(typed, commands[i].name, &best, &nearest);
    return usage_error(reading, nearest, "unknown command \"%s%s%.100s\"", group ? group->name : "",
                       group ? " " : "", typed);
}

static bool read_word(struct reading *reading, const char *typed)
{
    struct invocation *invocation = reading->invocation;
    if (!invocation->command) {
        const struct command_group *group = invocation->group ? NULL : command_find_group(typed);
        if (group) {
            invocation->group = group;
            return true;
        }
        invocation->command = command_find(invocation->group, typed);
        if (!invocation->command)
            return unknown_command(reading, typed);
        if (!flags_of(reading->schema, invocation->command, reading->arena, &invocation->flags))
            return err_set(reading->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return true;
    }
    size_t count = invocation->positional_count;
    if (count == POSITIONALS_MAX || !invocation->command->positionals[count].title)
        return usage_error(reading, NULL, "\"%.100s\" is too much", typed);
    invocation->positionals[invocation->positional_count++] = typed;
    return true;
}

/* What is there, and the first thing that is missing. */
static bool check_whole(struct reading *reading)
{
    const struct invocation *invocation = reading->invocation;
    if (invocation->wants_help || invocation->wants_version)
        return true;
    if (!invocation->command)
        return usage_error(reading, NULL, "%s needs a command",
                           invocation->group ? invocation->group->name : "dialplane");
    for (size_t i = invocation->positional_count; i < POSITIONALS_MAX; i++) {
        const struct positional *positional = &invocation->command->positionals[i];
        if (positional->title && !positional->optional)
            return usage_error(reading, NULL, "%s is missing", positional->title);
    }
    return true;
}

bool arguments_parse(const struct schema *schema, int argc, char *const *argv, struct arena *arena,
                     struct invocation *ret_invocation, struct err *err)
{
    struct reading reading = {.schema = schema,
                              .arena = arena,
                              .argc = argc,
                              .argv = argv,
                              .invocation = ret_invocation,
                              .err = err};
    *ret_invocation = (struct invocation){.command = NULL};
    for (reading.at = 1; reading.at < argc; reading.at++) {
        const char *typed = argv[reading.at];
        bool ok;
        if (!reading.flags_ended && strcmp(typed, "--") == 0) {
            reading.flags_ended = true;
            continue;
        }
        if (reading.flags_ended || typed[0] != '-' || !typed[1]) /* "-" is standard input */
            ok = read_word(&reading, typed);
        else
            ok = typed[1] == '-' ? read_long_flag(&reading, typed)
                                 : read_short_flag(&reading, typed);
        if (!ok)
            return false;
    }
    return check_whole(&reading);
}

const char *invocation_value(const struct invocation *invocation, const char *name)
{
    for (size_t i = invocation->given_count; i-- > 0;)
        if (!invocation->given[i].flag->field && strcmp(invocation->given[i].flag->name, name) == 0)
            return invocation->given[i].value;
    return NULL;
}

bool invocation_has(const struct invocation *invocation, const char *name)
{
    const char *value = invocation_value(invocation, name);
    return value && strcmp(value, "false") != 0;
}

const struct flag *invocation_field_flag(const struct invocation *invocation,
                                         const struct schema_field *field, bool in_resource)
{
    for (size_t i = 0; i < invocation->given_count; i++)
        if (invocation->given[i].flag->field == field &&
            invocation->given[i].flag->in_resource == in_resource)
            return invocation->given[i].flag;
    return NULL;
}
