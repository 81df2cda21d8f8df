/* --help at every level, and the manual page, from the table of commands. */
#include "app/app.h"
#include "cli.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define INDENT 8

static const char about[] =
    "The command line of Dialplane, the control plane for AI voice agents that call people.";
static const struct {
    const char *name, *help;
} variables[] = {
    {"DIALPLANE_SERVER", "where the platform is, when --server is not given"},
    {"DIALPLANE_PROFILE", "the profile to use, when --profile is not given"},
    {"DIALPLANE_TOKEN", "the token to send, when --token is not given"},
    {"XDG_CONFIG_HOME",
     "the configuration file is dialplane/config below it; else below ~/.config"},
    {"NO_COLOR", "when set and not empty: no colours"},
};
#define VARIABLE_COUNT (sizeof(variables) / sizeof(*variables))

static bool is_of(const struct command *command, const struct command_group *group)
{
    return group ? command->group && strcmp(command->group, group->name) == 0 : !command->group;
}

/* "dialplane campaign start CAMPAIGN [FLAGS]" */
static void put_usage(const struct command *command, bool has_flags, struct buf *out)
{
    buf_printf(out, "dialplane %s%s%s", command->group ? command->group : "",
               command->group ? " " : "", command->name);
    for (size_t i = 0; i < POSITIONALS_MAX && command->positionals[i].title; i++)
        buf_printf(out, command->positionals[i].optional ? " [%s]" : " %s",
                   command->positionals[i].title);
    if (has_flags)
        buf_put_cstr(out, " [FLAGS]");
}

/* "-f, --file FILE" */
static void put_flag_name(const struct flag *flag, struct buf *out)
{
    if (flag->letter)
        buf_printf(out, "-%c, ", flag->letter);
    buf_printf(out, "--%s%s%s", flag->name, flag->value ? " " : "", flag->value ? flag->value : "");
}

static void put_positional_help(const struct schema_method *method,
                                const struct positional *positional, struct buf *out)
{
    const struct schema_field *field =
        method && positional->field ? schema_find_field(method->input, str_from(positional->field))
                                    : NULL;
    buf_put_cstr(out, positional->help ? positional->help : field ? field->comment : "");
    if (positional->resource == RESOURCE_COMPANY)
        buf_put_cstr(out, " Its id, slug or name.");
    else if (positional->resource == RESOURCE_SKILLBASE)
        buf_put_cstr(out, " Its id, slug, COMPANY/SLUG or name.");
    else if (positional->resource == RESOURCE_CAMPAIGN)
        buf_put_cstr(out, " Its id or name.");
}

/* One entry: a name, and what it is in the lines below. */
static void put_entry(struct buf *out, const struct buf *name, const struct buf *help, size_t width)
{
    buf_put_cstr(out, "  ");
    buf_put_str(out, buf_str(name));
    buf_put_char(out, '\n');
    text_put_wrapped(out, buf_str(help), INDENT, width);
}

static void put_flags(const struct flags *flags, size_t width, struct buf *out)
{
    struct buf name, help;
    buf_init(&name, 0);
    buf_init(&help, 0);
    for (size_t i = 0; i < flags->count; i++) {
        buf_reset(&name);
        buf_reset(&help);
        put_flag_name(&flags->items[i], &name);
        buf_put_cstr(&help, flags->items[i].help);
        put_entry(out, &name, &help, width);
    }
    buf_done(&name);
    buf_done(&help);
}

static void put_command_help(const struct schema *schema, const struct command *command,
                             size_t width, struct buf *out)
{
    const struct schema_method *method = command_method(schema, command);
    struct arena *arena = arena_new((size_t)1 << 20);
    struct flags flags = {NULL, 0};
    struct buf name, help;
    if (!arena || !flags_of(schema, command, arena, &flags))
        out->failed = true;
    buf_init(&name, 0);
    buf_init(&help, 0);
    text_put_wrapped(out, command_summary(schema, command), 0, width);
    if (command_more(schema, command).length) {
        buf_put_char(out, '\n');
        text_put_wrapped(out, command_more(schema, command), 0, width);
    }
    buf_put_cstr(out, "\nUsage: ");
    put_usage(command, flags.count > 0, out);
    buf_put_cstr(out, "\n\n");
    for (size_t i = 0; i < POSITIONALS_MAX && command->positionals[i].title; i++) {
        buf_reset(&name);
        buf_reset(&help);
        buf_put_cstr(&name, command->positionals[i].title);
        put_positional_help(method, &command->positionals[i], &help);
        put_entry(out, &name, &help, width);
    }
    if (flags.count) {
        buf_put_cstr(out, command->positionals[0].title ? "\nFlags:\n" : "Flags:\n");
        put_flags(&flags, width, out);
    }
    buf_put_cstr(out,
                 "\nFlags of every command: --server, --profile, --token, --timeout, --json …: "
                 "see dialplane --help\n");
    buf_done(&name);
    buf_done(&help);
    arena_free(arena);
}

static void put_command_list(const struct schema *schema, const struct command_group *group,
                             struct buf *out)
{
    for (size_t i = 0; i < command_count; i++) {
        if (!is_of(&commands[i], group))
            continue;
        struct str summary = command_summary(schema, &commands[i]);
        buf_printf(out, "  %-11s %.*s\n", commands[i].name, (int)summary.length, summary.data);
    }
}

void help_print(const struct schema *schema, const struct command_group *group,
                const struct command *command, size_t width, struct buf *out)
{
    if (command) {
        put_command_help(schema, command, width, out);
        return;
    }
    if (group) {
        buf_printf(out, "dialplane %s: %s\n\nUsage: dialplane %s COMMAND …\n\nCommands:\n",
                   group->name, group->summary, group->name);
        put_command_list(schema, group, out);
        buf_printf(out, "\nMore: dialplane %s COMMAND --help\n", group->name);
        return;
    }
    text_put_wrapped(out, str_from(about), 0, width);
    buf_put_cstr(out, "\nUsage: dialplane GROUP COMMAND …\n\nGroups:\n");
    for (size_t i = 0; i < command_group_count; i++)
        buf_printf(out, "  %-11s %s\n", command_groups[i].name, command_groups[i].summary);
    buf_put_cstr(out, "\nAlso:\n");
    put_command_list(schema, NULL, out);
    buf_put_cstr(out, "\nFlags of every command:\n");
    put_flags(&global_flags, width, out);
    buf_put_cstr(out, "\nVariables:\n");
    for (size_t i = 0; i < VARIABLE_COUNT; i++)
        buf_printf(out, "  %-18s %s\n", variables[i].name, variables[i].help);
    buf_put_cstr(out, "\nExit statuses:\n");
    for (size_t i = 0; i < exit_help_count; i++)
        buf_printf(out, "  %3d  %s\n", exit_helps[i].status, exit_helps[i].help);
    buf_put_cstr(out, "\nMore: dialplane GROUP --help, dialplane GROUP COMMAND --help\n");
}

/* roff: what a line begins with and what has a meaning inside it is escaped. */
static void put_roff(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '\\')
            buf_put_cstr(out, "\\e");
        else if (c == '-')
            buf_put_cstr(out, "\\-");
        else if ((c == '.' || c == '\'') && (i == 0 || text.data[i - 1] == '\n'))
            buf_printf(out, "\\&%c", c);
        else
            buf_put_char(out, c);
    }
}

static void put_roff_entry(struct buf *out, struct str name, struct str help)
{
    buf_put_cstr(out, ".TP\n\\fB");
    put_roff(out, name);
    buf_put_cstr(out, "\\fR\n");
    put_roff(out, help);
    buf_put_char(out, '\n');
}

static void put_roff_flags(const struct flags *flags, struct buf *out)
{
    struct buf name;
    buf_init(&name, 0);
    for (size_t i = 0; i < flags->count; i++) {
        buf_reset(&name);
        put_flag_name(&flags->items[i], &name);
        put_roff_entry(out, buf_str(&name), str_from(flags->items[i].help));
    }
    buf_done(&name);
}

static void put_roff_command(const struct schema *schema, const struct command *command,
                             struct buf *out)
{
    const struct schema_method *method = command_method(schema, command);
    struct arena *arena = arena_new((size_t)1 << 20);
    struct flags flags = {NULL, 0};
    struct buf text;
    buf_init(&text, 0);
    if (!arena || !flags_of(schema, command, arena, &flags))
        out->failed = true;
    put_usage(command, flags.count > 0, &text);
    buf_put_cstr(out, ".SS ");
    put_roff(out, buf_str(&text));
    buf_put_char(out, '\n');
    put_roff(out, command_summary(schema, command));
    buf_put_char(out, '\n');
    struct str more = command_more(schema, command);
    while (more.length) { /* a line of its own stays one */
        size_t length = strcspn(more.data, "\n");
        buf_put_cstr(out, ".br\n");
        put_roff(out, (struct str){more.data, length});
        buf_put_char(out, '\n');
        length += more.data[length] == '\n';
        more.data += length;
        more.length -= length;
    }
    for (size_t i = 0; i < POSITIONALS_MAX && command->positionals[i].title; i++) {
        buf_reset(&text);
        put_positional_help(method, &command->positionals[i], &text);
        put_roff_entry(out, str_from(command->positionals[i].title), buf_str(&text));
    }
    put_roff_flags(&flags, out);
    buf_done(&text);
    arena_free(arena);
}

void man_print(const struct schema *schema, struct buf *out)
{
    char number[16];
    buf_printf(out,
               ".\\\" Made from the table of commands: do not edit.\n"
               ".TH DIALPLANE 1 \"\" \"dialplane %s\" \"Dialplane\"\n.SH NAME\n"
               "dialplane \\- speak to a Dialplane platform\n.SH SYNOPSIS\n"
               "\\fBdialplane\\fR GROUP COMMAND [\\fIARGUMENT\\fR ...] [\\fIFLAG\\fR ...]\n"
               ".SH DESCRIPTION\n",
               app_version);
    put_roff(out, str_from(about));
    buf_put_cstr(out, "\nIt speaks gRPC to the three services. Answers are tables for people and, "
                      "with \\fB\\-\\-json\\fR, the JSON of the REST contract.\n.SH FLAGS OF EVERY "
                      "COMMAND\n");
    put_roff_flags(&global_flags, out);
    buf_put_cstr(out, ".SH COMMANDS\n");
    for (size_t g = 0; g <= command_group_count; g++) {
        const struct command_group *group = g < command_group_count ? &command_groups[g] : NULL;
        for (size_t i = 0; i < command_count; i++)
            if (is_of(&commands[i], group))
                put_roff_command(schema, &commands[i], out);
    }
    buf_put_cstr(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < exit_help_count; i++) {
        snprintf(number, sizeof(number), "%d", exit_helps[i].status);
        put_roff_entry(out, str_from(number), str_from(exit_helps[i].help));
    }
    buf_put_cstr(out, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < VARIABLE_COUNT; i++)
        put_roff_entry(out, str_from(variables[i].name), str_from(variables[i].help));
    buf_put_cstr(out, ".SH FILES\n");
    put_roff_entry(
        out, STR_LITERAL("~/.config/dialplane/config"),
        STR_LITERAL("Profiles: \"profile = NAME\" chooses one; below a line [NAME] stand "
                    "\"server = ADDRESS\", \"token = TOKEN\" and \"timeout = DURATION\", "
                    "one a line; lines that begin with # are comments. A file with a "
                    "token must be readable by its owner alone."));
}
