/* The table of commands against the descriptors, and command lines against the table. */
#include "arguments.h"
#include "commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct schema *schema;

/* Commands with code of their own are not run here, only named. */
#define NOT_RUN(name)                                                                              \
    int name(struct cli *cli, const struct invocation *invocation)                                 \
    {                                                                                              \
        (void)cli;                                                                                 \
        (void)invocation;                                                                          \
        return 1;                                                                                  \
    }
NOT_RUN(run_upload)
NOT_RUN(run_watch_campaign)
NOT_RUN(run_watch_call)
NOT_RUN(run_validate)
NOT_RUN(run_rpc)
NOT_RUN(run_config_show)
NOT_RUN(run_config_set)
NOT_RUN(run_config_unset)
NOT_RUN(run_config_use)
NOT_RUN(run_config_path)
NOT_RUN(run_completion)
NOT_RUN(run_man)
NOT_RUN(run_help)
NOT_RUN(run_version)

static int load(void **state)
{
    struct err err = {0};
    (void)state;
    schema = schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);
    return schema ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    schema_free(schema);
    return 0;
}

/* The field at a dotted path; NULL when there is none. */
static const struct schema_field *find(const struct schema_message *message, const char *path)
{
    const struct schema_field *field = NULL;
    while (message && *path) {
        size_t length = strcspn(path, ".");
        field = schema_find_field(message, (struct str){path, length});
        if (!field)
            return NULL;
        message = field->message;
        path += length + (path[length] == '.');
    }
    return field;
}

static void test_table_fits_the_descriptors(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = &commands[i];
        const struct schema_method *method = command_method(schema, command);
        print_message("%s %s\n", command->group ? command->group : "", command->name);
        assert_true(!command->group || command_find_group(command->group));
        assert_true(command_summary(schema, command).length > 0);
        assert_true(method || !command->method);
        assert_true(method || command->run);
        for (size_t k = 0; k < POSITIONALS_MAX && command->positionals[k].title; k++)
            assert_true(!command->positionals[k].field ||
                        find(method->input, command->positionals[k].field));
        if (!command->rows)
            continue;
        const struct schema_field *rows = find(method->output, command->rows);
        assert_true(rows && rows->repeated);
        for (const struct column *column = command->columns; column->title; column++)
            assert_non_null(find(rows->message, column->path));
    }
}

/* Two flags of one name would be one too many. */
static void test_flags_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        struct arena *arena = arena_new(1 << 20);
        struct flags flags;
        assert_true(flags_of(schema, &commands[i], arena, &flags));
        for (size_t a = 0; a < flags.count; a++) {
            assert_true(flags.items[a].help[0] != '\0');
            for (size_t b = 0; b < flags.count + global_flags.count; b++) {
                const struct flag *other =
                    b < flags.count ? &flags.items[b] : &global_flags.items[b - flags.count];
                if (other == &flags.items[a] || strcmp(other->name, "version") == 0)
                    continue; /* --version of the program gives way to a command's own */
                assert_string_not_equal(flags.items[a].name, other->name);
                assert_true(!flags.items[a].letter || flags.items[a].letter != other->letter);
            }
        }
        arena_free(arena);
    }
}

struct line {
    struct arena *arena;
    struct invocation *invocation;
    struct err err;
    bool ok;
};

/* Words of `text` behind the program's name. */
static struct line parse(const char *text)
{
    struct line line = {.arena = arena_new(1 << 22)};
    char *copy = arena_strdup(line.arena, text), *argv[40] = {"dialplane"}, *save = NULL;
    int argc = 1;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    line.invocation = ARENA_NEW(line.arena, struct invocation);
    line.ok = arguments_parse(schema, argc, argv, line.arena, line.invocation, &line.err);
    return line;
}

static void test_lines(void **state)
{
    (void)state;
    struct line line = parse("--server a:1 campaigns list --status=running --company x --json");
    assert_true(line.ok);
    assert_string_equal(line.invocation->command->method, "CampaignService/ListCampaigns");
    assert_string_equal(invocation_value(line.invocation, "server"), "a:1");
    assert_true(invocation_has(line.invocation, "json"));
    assert_int_equal(line.invocation->given_count, 4);
    arena_free(line.arena);

    line = parse("skillbase list --no-is-active --is-published=false --company-id=c");
    assert_true(line.ok);
    assert_string_equal(line.invocation->given[0].value, "false");
    assert_string_equal(line.invocation->given[1].value, "false");
    assert_string_equal(line.invocation->given[2].flag->field->name, "company_id");
    arena_free(line.arena);

    line = parse("campaign create -fvalues.json --days-of-week monday --days-of-week friday");
    assert_true(line.ok);
    assert_string_equal(invocation_value(line.invocation, "file"), "values.json");
    arena_free(line.arena);

    line = parse("campaign upload X -");
    assert_true(line.ok);
    assert_string_equal(line.invocation->positionals[1], "-");
    arena_free(line.arena);

    line = parse("company get -- --json");
    assert_true(line.ok);
    assert_string_equal(line.invocation->positionals[0], "--json");
    arena_free(line.arena);

    line = parse("campaign start --help");
    assert_true(line.ok && line.invocation->wants_help);
    arena_free(line.arena);
}

static void test_wrong_lines(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "dialplane needs a command"},
        {"campaign", "campaign needs a command"},
        {"campain list", "did you mean \"campaign\"?"},
        {"campaign strat x", "did you mean \"start\"?"},
        {"campaign list --statsu running", "did you mean \"--status\"?"},
        {"campaign list --status", "--status needs a value"},
        {"campaign list --status running --status paused", "--status is given twice"},
        {"campaign start", "CAMPAIGN is missing"},
        {"campaign start a b", "\"b\" is too much"},
        {"campaign create --is-published", "unknown flag"},
        {"skillbase create --is-published=perhaps", "must be true or false"},
        {"campaign list --no-status", "unknown flag"},
        {"--status running campaign list", "a command's own flags come after it"},
        {"company list --tokn=verysecret", "did you mean \"--token\"?"},
        {"company update x --id y", "unknown flag"},
        {"campaign update x --company y", "unknown flag"}, /* cannot change */
        {"company create --created-at y", "unknown flag"}, /* made by the server */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct line line = parse(cases[i].text);
        print_message("%s: %s\n", cases[i].text, line.err.message);
        assert_false(line.ok);
        assert_int_equal(line.err.code, ERR_INVALID_ARGUMENT);
        assert_non_null(strstr(line.err.message, cases[i].message));
        assert_null(strstr(line.err.message, "verysecret"));
        arena_free(line.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_fits_the_descriptors),
        cmocka_unit_test(test_flags_are_unique),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_wrong_lines),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
