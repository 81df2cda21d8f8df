/* Completion scripts for bash, zsh and fish, from the table of commands. They hold the words and
 * ask nobody. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

/* One command with its flags. */
struct entry {
    const struct command *command;
    struct flags flags;
};

static bool is_file(const struct flag *flag)
{
    return flag->value && (strcmp(flag->value, "FILE") == 0 || strstr(flag->value, "@FILE"));
}

/* The words that a flag can have, with blanks between. */
static void put_words(const struct flag *flag, struct buf *out)
{
    const struct schema_enum *words = flag->field ? flag->field->enumeration : NULL;
    for (size_t i = 0, shown = 0; words && i < words->value_count; i++)
        if (words->values[i].number != 0)
            buf_printf(out, "%s%s", shown++ ? " " : "", words->values[i].word);
}

/* "campaign start", or "rpc". */
static void put_key(const struct command *command, struct buf *out)
{
    buf_printf(out, "%s%s%s", command->group ? command->group : "", command->group ? " " : "",
               command->name);
}

static void put_group_commands(const struct command_group *group, const char *separator,
                               struct buf *out)
{
    bool first = true;
    for (size_t i = 0; i < command_count; i++) {
        bool same = group ? commands[i].group && strcmp(commands[i].group, group->name) == 0
                          : !commands[i].group;
        if (same)
            buf_printf(out, "%s%s", first ? "" : separator, commands[i].name);
        first = first && !same;
    }
}

static void put_top_words(struct buf *out)
{
    for (size_t i = 0; i < command_group_count; i++)
        buf_printf(out, "%s ", command_groups[i].name);
    put_group_commands(NULL, " ", out);
}

static void put_flag_words(const struct flags *flags, struct buf *out)
{
    for (size_t i = 0; i < flags->count; i++)
        buf_printf(out, "%s--%s", i ? " " : "", flags->items[i].name);
}

/* bash and zsh: a function that finds the command among the words typed. Flags with a value are
 * listed, so that the value is not taken for a word. */
static void put_valued(const struct flags *flags, struct buf *out)
{
    for (size_t i = 0; i < flags->count; i++) {
        if (!flags->items[i].value)
            continue;
        buf_printf(out, "|--%s", flags->items[i].name);
        if (flags->items[i].letter)
            buf_printf(out, "|-%c", flags->items[i].letter);
    }
}

static void put_bash_values(const struct entry *entry, struct buf *out)
{
    for (size_t i = 0; i < entry->flags.count; i++) {
        const struct flag *flag = &entry->flags.items[i];
        struct buf words;
        buf_init(&words, 0);
        put_words(flag, &words);
        if (words.length || is_file(flag)) {
            buf_put_cstr(out, "    '");
            put_key(entry->command, out);
            buf_printf(out, " --%s'", flag->name);
            if (flag->letter) {
                buf_put_cstr(out, "|'");
                put_key(entry->command, out);
                buf_printf(out, " -%c'", flag->letter);
            }
            if (words.length)
                buf_printf(out, ") words='%.*s' ;;\n", (int)words.length, words.data);
            else
                buf_put_cstr(out, ") files=1 ;;\n");
        }
        buf_done(&words);
    }
}

static void put_bash_command(const struct entry *entry, struct buf *out)
{
    const struct positional *positionals = entry->command->positionals;
    bool takes_file = false;
    buf_put_cstr(out, "    '");
    put_key(entry->command, out);
    buf_put_cstr(out, "')\n        words='");
    put_flag_words(&entry->flags, out);
    for (size_t i = 0; i < POSITIONALS_MAX && positionals[i].title; i++) {
        takes_file = takes_file || strcmp(positionals[i].title, "FILE") == 0;
        if (positionals[i].words)
            buf_printf(out, " %s", positionals[i].words);
    }
    buf_printf(out, "'%s ;;\n", takes_file ? "; files=1" : "");
}

static void put_bash(const struct entry *entries, struct buf *out)
{
    buf_put_cstr(out, "# Completion of dialplane for bash. Made from the table of commands.\n"
                      "_dialplane() {\n"
                      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                      "  local group='' name='' key='' words='' files='' i word skip=''\n"
                      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                      "    word=${COMP_WORDS[i]}\n"
                      "    if [ -n \"$skip\" ]; then skip=''; continue; fi\n"
                      "    case $word in\n    --none-such");
    put_valued(&global_flags, out);
    buf_put_cstr(out, ") skip=1 ;;\n    -*) ;;\n    *)\n"
                      "      if [ -z \"$group\" ]; then\n        case $word in\n");
    for (size_t i = 0; i < command_group_count; i++)
        buf_printf(out, "        %s%s%s) group=%s ;;\n", command_groups[i].name,
                   strcmp(command_groups[i].name, command_groups[i].plural) ? "|" : "",
                   strcmp(command_groups[i].name, command_groups[i].plural)
                       ? command_groups[i].plural
                       : "",
                   command_groups[i].name);
    buf_put_cstr(out, "        *) group=$word key=$word ;;\n        esac\n"
                      "      elif [ -z \"$name\" ]; then\n        name=$word\n"
                      "        [ -n \"$key\" ] || key=\"$group $name\"\n      fi ;;\n    esac\n"
                      "  done\n"
                      "  case \"$key $prev\" in\n");
    for (size_t i = 0; i < command_count; i++)
        put_bash_values(&entries[i], out);
    buf_put_cstr(out, "  *)\n    case $prev in\n    --none-such");
    put_valued(&global_flags, out);
    buf_put_cstr(out, ") return ;;\n    esac\n    if [ -z \"$group\" ]; then\n      words='");
    put_top_words(out);
    buf_put_cstr(out, "'\n    elif [ -z \"$key\" ]; then\n      case $group in\n");
    for (size_t i = 0; i < command_group_count; i++) {
        buf_printf(out, "      %s) words='", command_groups[i].name);
        put_group_commands(&command_groups[i], " ", out);
        buf_put_cstr(out, "' ;;\n");
    }
    buf_put_cstr(out, "      esac\n    else\n    case $key in\n");
    for (size_t i = 0; i < command_count; i++)
        put_bash_command(&entries[i], out);
    buf_put_cstr(out, "    esac\n    fi\n    words+=' ");
    put_flag_words(&global_flags, out);
    buf_put_cstr(out, "' ;;\n  esac\n"
                      "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                      "  [ -z \"$files\" ] || COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
                      "}\n"
                      "complete -o filenames -F _dialplane dialplane\n");
}

/* zsh: one call of _arguments for each command. */
static void put_zsh_text(struct buf *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'')
            buf_put_cstr(out, "'\\''");
        else if (strchr("[]:\\", text[i]))
            buf_printf(out, "\\%c", text[i]);
        else
            buf_put_char(out, text[i]);
    }
}

/* A help's first sentence is enough beside a word. */
static size_t sentence(const char *text)
{
    const char *end = strstr(text, ". ");
    size_t length = end ? (size_t)(end - text) : strcspn(text, "\n");
    return length && text[length - 1] == '.' ? length - 1 : length;
}

static void put_zsh_flags(const struct flags *flags, struct buf *out)
{
    for (size_t i = 0; i < flags->count; i++) {
        const struct flag *flag = &flags->items[i];
        struct buf words;
        buf_init(&words, 0);
        put_words(flag, &words);
        buf_printf(out, " \\\n        '%s--%s%s[", flag->repeats ? "*" : "", flag->name,
                   flag->value ? "=" : "");
        put_zsh_text(out, flag->help, sentence(flag->help));
        buf_put_char(out, ']');
        if (flag->value) {
            buf_put_char(out, ':');
            put_zsh_text(out, flag->value, strlen(flag->value));
            if (words.length)
                buf_printf(out, ":(%.*s)", (int)words.length, words.data);
            else if (is_file(flag))
                buf_put_cstr(out, ":_files");
            else
                buf_put_cstr(out, ": ");
        }
        buf_put_char(out, '\'');
        buf_done(&words);
    }
}

static void put_zsh_entry(const struct entry *entry, struct buf *out)
{
    buf_put_cstr(out, "    '");
    put_key(entry->command, out);
    buf_put_cstr(out, "')\n      _arguments");
    put_zsh_flags(&entry->flags, out);
    put_zsh_flags(&global_flags, out);
    for (size_t i = 0; i < POSITIONALS_MAX && entry->command->positionals[i].title; i++) {
        const struct positional *positional = &entry->command->positionals[i];
        buf_printf(out, " \\\n        '%s:%s:", positional->optional ? ":" : "", positional->title);
        if (positional->words)
            buf_printf(out, "(%s)'", positional->words);
        else
            buf_put_cstr(out, strcmp(positional->title, "FILE") == 0 ? "_files'" : " '");
    }
    buf_put_cstr(out, " ;;\n");
}

static void put_zsh_list(const struct schema *schema, const struct command_group *group,
                         struct buf *out)
{
    for (size_t i = 0; i < command_count; i++) {
        if (group ? !commands[i].group || strcmp(commands[i].group, group->name) != 0
                  : commands[i].group != NULL)
            continue;
        struct str summary = command_summary(schema, &commands[i]);
        buf_printf(out, " '%s:", commands[i].name);
        put_zsh_text(out, summary.data, summary.length);
        buf_put_char(out, '\'');
    }
}

static void put_zsh(const struct schema *schema, const struct entry *entries, struct buf *out)
{
    buf_put_cstr(out, "#compdef dialplane\n"
                      "# Completion of dialplane for zsh. Made from the table of commands.\n"
                      "_dialplane() {\n"
                      "  local -a list\n  local group=''\n"
                      "  case $words[2] in\n");
    for (size_t i = 0; i < command_group_count; i++)
        buf_printf(out, "  %s|%s) group=%s ;;\n", command_groups[i].name, command_groups[i].plural,
                   command_groups[i].name);
    buf_put_cstr(out, "  esac\n  if ((CURRENT == 2)); then\n    list=(");
    for (size_t i = 0; i < command_group_count; i++) {
        buf_printf(out, " '%s:", command_groups[i].name);
        put_zsh_text(out, command_groups[i].summary, strlen(command_groups[i].summary));
        buf_put_char(out, '\'');
    }
    put_zsh_list(schema, NULL, out);
    buf_put_cstr(out, ")\n    _describe command list\n    return\n  fi\n"
                      "  if [[ -n $group ]] && ((CURRENT == 3)); then\n    case $group in\n");
    for (size_t i = 0; i < command_group_count; i++) {
        buf_printf(out, "    %s) list=(", command_groups[i].name);
        put_zsh_list(schema, &command_groups[i], out);
        buf_put_cstr(out, ") ;;\n");
    }
    buf_put_cstr(out, "    esac\n    _describe command list\n    return\n  fi\n"
                      "  local key=$words[2]\n"
                      "  if [[ -n $group ]]; then key=\"$group $words[3]\"; shift words; "
                      "((CURRENT--)); fi\n"
                      "  shift words; ((CURRENT--))\n"
                      "  case $key in\n");
    for (size_t i = 0; i < command_count; i++)
        put_zsh_entry(&entries[i], out);
    buf_put_cstr(out, "  esac\n}\n"
                      "if [[ $funcstack[1] == _dialplane ]]; then _dialplane \"$@\"; "
                      "else compdef _dialplane dialplane; fi\n");
}

/* fish: one `complete` a word, each under a condition. */
static void put_fish_text(struct buf *out, const char *text, size_t length)
{
    buf_put_char(out, '\'');
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'' || text[i] == '\\')
            buf_put_char(out, '\\');
        buf_put_char(out, text[i]);
    }
    buf_put_char(out, '\'');
}

static void put_fish_flags(const struct flags *flags, const char *condition, struct buf *out)
{
    for (size_t i = 0; i < flags->count; i++) {
        const struct flag *flag = &flags->items[i];
        struct buf words;
        buf_init(&words, 0);
        put_words(flag, &words);
        buf_printf(out, "complete -c dialplane%s -l %s", condition, flag->name);
        if (flag->letter)
            buf_printf(out, " -s %c", flag->letter);
        if (flag->value)
            buf_put_cstr(out, is_file(flag) ? " -rF" : " -x");
        if (words.length) {
            buf_put_cstr(out, " -a ");
            put_fish_text(out, words.data, words.length);
        }
        buf_put_cstr(out, " -d ");
        put_fish_text(out, flag->help, sentence(flag->help));
        buf_put_char(out, '\n');
        buf_done(&words);
    }
}

static void put_fish(const struct schema *schema, const struct entry *entries, struct buf *out)
{
    buf_put_cstr(out, "# Completion of dialplane for fish. Made from the table of commands.\n"
                      "complete -c dialplane -f\n");
    for (size_t i = 0; i < command_group_count; i++) {
        buf_printf(out, "complete -c dialplane -n __fish_use_subcommand -a %s -d ",
                   command_groups[i].name);
        put_fish_text(out, command_groups[i].summary, strlen(command_groups[i].summary));
        buf_put_char(out, '\n');
    }
    put_fish_flags(&global_flags, "", out);
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = entries[i].command;
        struct str summary = command_summary(schema, command);
        char condition[300], list[200] = "";
        size_t length = 0;
        for (size_t k = 0; command->group && k < command_count; k++)
            if (commands[k].group && strcmp(commands[k].group, command->group) == 0)
                length +=
                    (size_t)snprintf(list + length, sizeof(list) - length, " %s", commands[k].name);
        if (command->group)
            buf_printf(out,
                       "complete -c dialplane -n '__fish_seen_subcommand_from %s %s; and not "
                       "__fish_seen_subcommand_from%s' -a %s -d ",
                       command->group, command_find_group(command->group)->plural, list,
                       command->name);
        else
            buf_printf(out, "complete -c dialplane -n __fish_use_subcommand -a %s -d ",
                       command->name);
        put_fish_text(out, summary.data, summary.length);
        buf_put_char(out, '\n');
        snprintf(condition, sizeof(condition), " -n '__fish_seen_subcommand_from %s%s%s%s%s'",
                 command->group ? command->group : "", command->group ? " " : "",
                 command->group ? command_find_group(command->group)->plural : "",
                 command->group ? "; and __fish_seen_subcommand_from " : "", command->name);
        put_fish_flags(&entries[i].flags, condition, out);
        for (size_t k = 0; k < POSITIONALS_MAX && command->positionals[k].title; k++) {
            if (strcmp(command->positionals[k].title, "FILE") == 0)
                buf_printf(out, "complete -c dialplane%s -F\n", condition);
            else if (command->positionals[k].words)
                buf_printf(out, "complete -c dialplane%s -a '%s'\n", condition,
                           command->positionals[k].words);
        }
    }
}

bool completion_print(const struct schema *schema, const char *shell, struct buf *out)
{
    struct arena *arena = arena_new((size_t)16 << 20);
    struct entry *entries = arena ? arena_calloc(arena, command_count, sizeof(*entries)) : NULL;
    bool known = true, ok = entries != NULL;
    for (size_t i = 0; ok && i < command_count; i++) {
        entries[i].command = &commands[i];
        ok = flags_of(schema, &commands[i], arena, &entries[i].flags);
    }
    if (!ok)
        out->failed = true;
    else if (strcmp(shell, "bash") == 0)
        put_bash(entries, out);
    else if (strcmp(shell, "zsh") == 0)
        put_zsh(schema, entries, out);
    else if (strcmp(shell, "fish") == 0)
        put_fish(schema, entries, out);
    else
        known = false;
    arena_free(arena);
    return known;
}
