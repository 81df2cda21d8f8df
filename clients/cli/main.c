/* dialplane: the platform's command line. The commands are the table of commands.c. */
#include "app/app.h"
#include "cli.h"
#include "live.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bounds what one run keeps: requests, answers and what is shown of them. */
#define ARENA_LIMIT ((size_t)1 << 30)

int run_version(struct cli *cli, const struct invocation *invocation)
{
    (void)cli;
    (void)invocation;
    printf("dialplane %s\n", app_version);
    return EXIT_OK;
}

static void print_help(struct cli *cli, FILE *file, const struct command_group *group,
                       const struct command *command)
{
    struct buf out;
    size_t width = terminal_width(fileno(file));
    buf_init(&out, 0);
    help_print(cli->schema, group, command, width && width < 100 ? width : 100, &out);
    output_put(&out, file);
    buf_done(&out);
}

int run_help(struct cli *cli, const struct invocation *invocation)
{
    const char *first = invocation->positionals[0], *second = invocation->positionals[1];
    const struct command_group *group = first ? command_find_group(first) : NULL;
    const struct command *command = NULL;
    if (first && !group)
        command = command_find(NULL, first);
    else if (second)
        command = command_find(group, second);
    if ((first && !group && !command) || (second && !command)) {
        struct failure failure;
        failure_init(&failure, cli->arena);
        err_set(&failure.err, ERR_INVALID_ARGUMENT, "USAGE", "there is no command \"%.60s%s%.60s\"",
                first, second ? " " : "", second ? second : "");
        return failure_tell(cli, NULL, &failure);
    }
    print_help(cli, stdout, group, command);
    return EXIT_OK;
}

int run_completion(struct cli *cli, const struct invocation *invocation)
{
    struct buf out;
    buf_init(&out, 0);
    bool known = completion_print(cli->schema, invocation->positionals[0], &out);
    output_put(&out, stdout);
    buf_done(&out);
    if (known)
        return EXIT_OK;
    struct failure failure;
    failure_init(&failure, cli->arena);
    err_set(&failure.err, ERR_INVALID_ARGUMENT, "USAGE", "the shells are bash, zsh and fish");
    return failure_tell(cli, invocation, &failure);
}

int run_man(struct cli *cli, const struct invocation *invocation)
{
    struct buf out;
    (void)invocation;
    buf_init(&out, 0);
    man_print(cli->schema, &out);
    output_put(&out, stdout);
    buf_done(&out);
    return EXIT_OK;
}

static bool ask(const struct command *command, const char *what)
{
    char answer[16] = "";
    fprintf(stderr, "%s: %s? [y/N] ", command->confirm, what);
    fflush(stderr);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* What cannot be undone is done only when a person, or --yes, says so. */
static bool is_confirmed(struct cli *cli, const struct invocation *invocation, int *ret_status)
{
    const struct command *command = invocation->command;
    struct failure failure;
    if (!command->confirm || invocation_has(invocation, "yes"))
        return true;
    failure_init(&failure, cli->arena);
    size_t last = invocation->positional_count - 1;
    if (!isatty(STDIN_FILENO) || !cli->err_is_terminal) {
        err_set(&failure.err, ERR_INVALID_ARGUMENT, "USAGE",
                "without a terminal to ask at, this needs --yes");
    } else if (ask(command, invocation->positionals[last])) {
        return true;
    } else {
        err_set(&failure.err, ERR_CANCELLED, NULL, "nothing was done");
    }
    *ret_status = failure_tell(cli, invocation, &failure);
    return false;
}

static int run_command(struct cli *cli, const struct invocation *invocation)
{
    const struct command *command = invocation->command;
    bool is_local = !command->group && !command->method && command->run != run_rpc;
    struct failure failure;
    int status;
    failure_init(&failure, cli->arena);
    if (!is_local && !session_configure(cli, invocation, &failure))
        return failure_tell(cli, invocation, &failure);
    if (!is_confirmed(cli, invocation, &status))
        return status;
    return command->run ? command->run(cli, invocation) : run_generic(cli, invocation);
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct invocation *invocation = ARENA_NEW(cli->arena, struct invocation);
    struct failure failure;
    failure_init(&failure, cli->arena);
    if (!invocation) {
        fputs("dialplane: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    bool ok = arguments_parse(cli->schema, argc, argv, cli->arena, invocation, &failure.err);
    cli->json = invocation_has(invocation, "json");
    if (!ok && argc == 1) {
        print_help(cli, stderr, NULL, NULL);
        return EXIT_USAGE;
    }
    if (!ok) {
        int status = failure_tell(cli, invocation, &failure);
        if (!cli->json)
            fprintf(stderr, "Try: dialplane%s%s%s%s --help\n", invocation->group ? " " : "",
                    invocation->group ? invocation->group->name : "",
                    invocation->command ? " " : "",
                    invocation->command ? invocation->command->name : "");
        return status;
    }
    if (invocation->wants_help) {
        print_help(cli, stdout, invocation->group, invocation->command);
        return EXIT_OK;
    }
    if (invocation->wants_version)
        return run_version(cli, invocation);
    return run_command(cli, invocation);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct cli *cli = calloc(1, sizeof(*cli)); /* the configuration alone is some KB */
    signal(SIGPIPE, SIG_IGN);                  /* a reader that went away is an exit status */
    if (cli)
        cli->arena = arena_new(ARENA_LIMIT);
    struct schema *schema =
        schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);
    if (!cli || !cli->arena || !schema) {
        fprintf(stderr, "dialplane: %s\n", err.message[0] ? err.message : "out of memory");
        return EXIT_FAILED;
    }
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    cli->schema = schema;
    cli->out_is_terminal = isatty(STDOUT_FILENO);
    cli->err_is_terminal = isatty(STDERR_FILENO);
    cli->styled =
        cli->out_is_terminal && !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
    if (!interrupt_start(cli)) {
        fputs("dialplane: no thread\n", stderr);
        return EXIT_FAILED;
    }
    int status = output_finish(run(cli, argc, argv));
    interrupt_stop();
#ifndef __SANITIZE_ADDRESS__
    /* Everything is written. gRPC's orderly end takes a tenth of a second and more, in which a
     * person would wait for nothing; only who looks for leaks gets it. */
    _exit(status);
#endif
    session_close(cli);
    schema_free(schema);
    arena_free(cli->arena);
    free(cli);
    return status;
}
