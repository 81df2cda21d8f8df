/* Errors for people and for scripts: what is wrong, where it was given, and the exit status. */
#include "cli.h"
#include "locate.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

const struct exit_help exit_helps[] = {
    {EXIT_OK, "it was done"},
    {EXIT_FAILED, "it failed in a way that has no number of its own"},
    {EXIT_USAGE, "the command line, a file or the configuration is wrong"},
    {EXIT_NOT_FOUND, "what was named does not exist"},
    {EXIT_INVALID, "the platform refuses the values: each is told"},
    {EXIT_CONFLICT, "it conflicts with what is there: a name taken, a wrong state"},
    {EXIT_UNAVAILABLE, "the platform cannot be reached or is overloaded: try again"},
    {EXIT_DENIED, "not allowed"},
    {EXIT_DEADLINE, "no answer within --timeout"},
    {EXIT_ROWS_REFUSED, "the file was uploaded, but some of its rows were refused"},
    {EXIT_INTERRUPTED, "stopped with Ctrl-C"},
    {EXIT_BROKEN_PIPE, "the reader of the output went away"},
};
const size_t exit_help_count = sizeof(exit_helps) / sizeof(*exit_helps);

int failure_status(const struct err *err)
{
    if (strcmp(err->reason, "USAGE") == 0)
        return EXIT_USAGE;
    switch (err->code) {
    case ERR_OK:
        return EXIT_OK;
    case ERR_INVALID_ARGUMENT:
    case ERR_OUT_OF_RANGE:
        return EXIT_INVALID;
    case ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case ERR_ALREADY_EXISTS:
    case ERR_FAILED_PRECONDITION:
    case ERR_ABORTED:
        return EXIT_CONFLICT;
    case ERR_RESOURCE_EXHAUSTED:
        return strcmp(err->reason, REASON_TOO_LARGE) == 0 ? EXIT_INVALID : EXIT_UNAVAILABLE;
    case ERR_UNAVAILABLE:
        return EXIT_UNAVAILABLE;
    case ERR_PERMISSION_DENIED:
    case ERR_UNAUTHENTICATED:
        return EXIT_DENIED;
    case ERR_DEADLINE_EXCEEDED:
        return EXIT_DEADLINE;
    case ERR_CANCELLED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

/* Where one wrong field was given. */
struct origin {
    const char *path;        /* as REST names it: without the resource before it */
    const struct flag *flag; /* or NULL */
    const char *positional;  /* or NULL */
    bool in_file;
    struct place place;
};

/* The flag of the command for the first step of a path: a given one, else any. */
static const struct flag *find_flag(const struct invocation *invocation, const char *path,
                                    bool in_resource, bool *ret_given)
{
    struct str name = {path, strcspn(path, ".[")};
    const struct flag *known = NULL;
    *ret_given = false;
    for (size_t i = 0; i < invocation->flags.count; i++) {
        const struct flag *flag = &invocation->flags.items[i];
        if (!flag->field || flag->in_resource != in_resource ||
            !str_equal_cstr(name, flag->field->name))
            continue;
        known = flag;
        *ret_given = invocation_field_flag(invocation, flag->field, in_resource) != NULL;
    }
    return known;
}

static struct origin find_origin(const struct cli *cli, const struct invocation *invocation,
                                 const struct failure *failure, const char *path)
{
    const struct command *command = invocation ? invocation->command : NULL;
    const struct schema_field *resource =
        command ? command_resource(command_method(cli->schema, command)) : NULL;
    struct origin origin = {.path = path};
    size_t length = resource ? strlen(resource->name) : 0;
    bool in_resource = resource && strncmp(path, resource->name, length) == 0 &&
                       (path[length] == '.' || !path[length]);
    if (in_resource)
        origin.path += length + (path[length] == '.');
    bool given = false;
    const struct flag *flag =
        command && origin.path[0] ? find_flag(invocation, origin.path, in_resource, &given) : NULL;
    for (size_t i = 0; command && !in_resource && i < POSITIONALS_MAX; i++)
        if (command->positionals[i].field && strcmp(command->positionals[i].field, path) == 0)
            origin.positional = command->positionals[i].title;
    const struct source *source = &failure->source;
    size_t prefix = source->name ? strlen(source->prefix) : 0;
    bool below = source->name &&
                 (strncmp(path, source->prefix, prefix) == 0 ||
                  (prefix && strncmp(path, source->prefix, prefix - 1) == 0 && !path[prefix - 1]));
    if (below && !given && !origin.positional) {
        origin.in_file = true;
        origin.place = json_locate(source->text, strlen(path) > prefix ? path + prefix : "");
        return origin;
    }
    origin.flag = flag;
    return origin;
}

/* "salon.json:14:22: config.llm.temperature", "--name", "CAMPAIGN", "config.llm". */
static void put_origin(const struct failure *failure, const struct origin *origin, struct buf *out)
{
    if (origin->in_file) {
        text_put_clean(out, str_from(failure->source.name));
        buf_printf(out, ":%u:%u: ", origin->place.line, origin->place.column);
        text_put_clean(out, str_from(origin->path));
    } else if (origin->positional) {
        buf_put_cstr(out, origin->positional);
    } else if (origin->flag) {
        buf_printf(out, "--%s", origin->flag->name);
        if (origin->path[strcspn(origin->path, ".[")])
            text_put_clean(out, (struct str){": ", 2});
        if (origin->path[strcspn(origin->path, ".[")])
            text_put_clean(out, str_from(origin->path));
    } else {
        text_put_clean(out, str_from(origin->path));
    }
}

/* What the service says of headers, in this program's own words. */
static const char *hint(const struct cli *cli, const struct failure *failure)
{
    if (failure->err.code != ERR_UNAUTHENTICATED)
        return NULL;
    return cli->token ? "the token comes from --token, DIALPLANE_TOKEN or the profile"
                      : "give a token with DIALPLANE_TOKEN or --token, or keep one: dialplane "
                        "config set token -";
}

static void put_people(const struct cli *cli, const struct invocation *invocation,
                       const struct failure *failure, struct buf *out)
{
    const struct violations *violations = &failure->violations;
    const struct violation *only = violations->count == 1 ? violations->first : NULL;
    if (!only) {
        buf_put_cstr(out, "dialplane: ");
        text_put_clean(out, str_from(failure->err.message));
        buf_put_char(out, '\n');
        if (hint(cli, failure))
            buf_printf(out, "  %s\n", hint(cli, failure));
    }
    for (const struct violation *at = violations->first; at; at = at->next) {
        struct origin origin = find_origin(cli, invocation, failure, at->field);
        size_t start = out->length;
        if (!only)
            buf_put_cstr(out, "  ");
        else if (!origin.in_file)
            buf_put_cstr(out, "dialplane: ");
        size_t before = out->length;
        put_origin(failure, &origin, out);
        buf_put_cstr(out, out->length > before ? ": " : "");
        text_put_clean(out, str_from(at->message));
        buf_put_char(out, '\n');
        if (!only && origin.in_file &&
            !out->failed) { /* editors find FILE:LINE:COLUMN at a line's start */
            memmove(out->data + start, out->data + start + 2, out->length - start - 2);
            out->length -= 2;
        }
    }
    if (violations->count > violations->limit)
        buf_printf(out, "  and %zu more\n", violations->count - violations->limit);
}

/* REST's problem without what only HTTP has, and with places. */
static void put_json(const struct cli *cli, const struct invocation *invocation,
                     const struct failure *failure, struct buf *out)
{
    buf_put_cstr(out, "{\"code\":");
    buf_put_json_string(out, str_from(err_code_name(failure->err.code)));
    buf_put_cstr(out, ",\"reason\":");
    if (failure->err.reason[0])
        buf_put_json_string(out, str_from(failure->err.reason));
    else
        buf_put_cstr(out, "null");
    buf_put_cstr(out, ",\"detail\":");
    buf_put_json_string(out, str_from(failure->err.message));
    buf_put_cstr(out, ",\"errors\":[");
    for (const struct violation *at = failure->violations.first; at; at = at->next) {
        struct origin origin = find_origin(cli, invocation, failure, at->field);
        buf_put_cstr(out, at == failure->violations.first ? "{\"field\":" : ",{\"field\":");
        buf_put_json_string(out, str_from(origin.path));
        buf_put_cstr(out, ",\"message\":");
        buf_put_json_string(out, str_from(at->message));
        if (origin.in_file) {
            buf_put_cstr(out, ",\"file\":");
            buf_put_json_string(out, str_from(failure->source.name));
            buf_printf(out, ",\"line\":%u,\"column\":%u", origin.place.line, origin.place.column);
        }
        buf_put_char(out, '}');
    }
    buf_put_cstr(out, "]}\n");
}

int failure_tell(const struct cli *cli, const struct invocation *invocation,
                 const struct failure *failure)
{
    struct buf out;
    buf_init(&out, 0);
    if (cli->json)
        put_json(cli, invocation, failure, &out);
    else
        put_people(cli, invocation, failure, &out);
    fflush(stdout); /* in the order in which it happened */
    if (out.failed)
        fputs("dialplane: out of memory\n", stderr);
    else
        output_put(&out, stderr);
    buf_done(&out);
    return failure_status(&failure->err);
}
