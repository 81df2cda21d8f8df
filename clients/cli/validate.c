/* dialplane skillbase validate: a configuration in a file, checked by the service as it would be on
 * create; errors and warnings name their line and column. */
#include "base/wire.h"
#include "cli.h"
#include "locate.h"
#include "text.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

/* What of the file is the configuration: its "config" if it has one (a skillbase), else all of it.
 */
static bool find_config(struct cli *cli, struct str text, const char **ret_prefix,
                        struct str *ret_config, struct failure *failure)
{
    const struct schema_message *any =
        schema_find_message(cli->schema, STR_LITERAL("google.protobuf.Value"));
    struct violations violations;
    struct buf ignored;
    violations_init(&violations, cli->arena, 100);
    buf_init(&ignored, (size_t)256 << 20);
    /* first the syntax of the whole: places in it are for well-formed text only */
    bool ok = json_parse(cli->schema, any, text, NULL, &ignored, &violations, &failure->err);
    buf_done(&ignored);
    if (!ok)
        return false;
    struct place place = json_locate(text, "config");
    *ret_prefix = place.found ? "" : "config.";
    *ret_config =
        place.found ? (struct str){text.data + place.start, place.end - place.start} : text;
    return true;
}

static bool build(struct cli *cli, const struct schema_method *method, const char *name,
                  struct buf *request, struct failure *failure)
{
    const struct schema_field *field = schema_find_field(method->input, STR_LITERAL("config"));
    struct violations found;
    struct str config;
    struct buf wire;
    if (!read_file(cli, name, &failure->source.text, failure))
        return false;
    failure->source.name = strcmp(name, "-") == 0 ? "standard input" : name;
    failure->source.prefix = "";
    violations_init(&found, cli->arena, failure->violations.limit);
    buf_init(&wire, (size_t)256 << 20);
    bool ok = find_config(cli, failure->source.text, &failure->source.prefix, &config, failure) &&
              json_parse(cli->schema, field->message, config, NULL, &wire, &found, &failure->err);
    if (ok) {
        wire_put_bytes(request, field->number, buf_str(&wire));
    } else {
        char message[400];
        snprintf(message, sizeof(message), "%s", failure->err.message);
        err_set(&failure->err, ERR_INVALID_ARGUMENT, failure->err.reason, "%.200s: %.190s",
                failure->source.name, message);
    }
    for (const struct violation *at = found.first; at; at = at->next) {
        const char *path = arena_printf(cli->arena, "config%s%s",
                                        at->field[0] && at->field[0] != '[' ? "." : "", at->field);
        if (path)
            violations_add(&failure->violations, path, "%s", at->message);
    }
    buf_done(&wire);
    return ok;
}

/* Warnings of the answer, one a line; returns how many. */
static size_t print_warnings(const struct failure *failure, const struct str answer)
{
    Dialplane__V1__ValidateSkillbaseConfigResponse *response =
        dialplane__v1__validate_skillbase_config_response__unpack(NULL, answer.length,
                                                                  (const uint8_t *)answer.data);
    size_t count = response ? response->n_warnings : 0, prefix = strlen(failure->source.prefix);
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < count; i++) {
        const Dialplane__V1__ConfigWarning *warning = response->warnings[i];
        bool below = strncmp(warning->field, failure->source.prefix, prefix) == 0;
        struct place place =
            json_locate(failure->source.text, warning->field + (below ? prefix : 0));
        text_put_clean(&out, str_from(failure->source.name));
        buf_printf(&out, ":%u:%u: warning: ", place.line, place.column);
        text_put_clean(&out, str_from(warning->field));
        buf_put_cstr(&out, ": ");
        text_put_clean(&out, str_from(warning->message));
        buf_put_char(&out, '\n');
    }
    output_put(&out, stdout);
    buf_done(&out);
    dialplane_free(response);
    return count;
}

int run_validate(struct cli *cli, const struct invocation *invocation)
{
    const struct schema_method *method = command_method(cli->schema, invocation->command);
    struct failure failure;
    struct buf request;
    struct str answer;
    failure_init(&failure, cli->arena);
    buf_init(&request, (size_t)256 << 20);
    bool ok = build(cli, method, invocation->positionals[0], &request, &failure);
    if (ok) {
        struct failure told; /* what is wrong by itself, and what the service finds beyond */
        failure_init(&told, cli->arena);
        told.violations = failure.violations;
        ok = session_call(cli, method, buf_str(&request), DIALPLANE_CALL, &answer, &told);
        told.source = failure.source;
        failure = told;
        failure.err.violations = &failure.violations;
    }
    buf_done(&request);
    bool is_invalid = failure.violations.count > 0;
    if (is_invalid && (ok || failure.err.code == ERR_INVALID_ARGUMENT)) {
        err_set_violations(&failure.err, &failure.violations);
        ok = false;
    }
    if (!ok)
        return failure_tell(cli, invocation, &failure);
    if (cli->json)
        return output_json(cli, method->output, answer, &failure)
                   ? EXIT_OK
                   : failure_tell(cli, invocation, &failure);
    size_t warnings = print_warnings(&failure, answer);
    printf("%s is valid", failure.source.name);
    if (warnings)
        printf(", with %zu warning%s", warnings, warnings == 1 ? "" : "s");
    printf("\n");
    return EXIT_OK;
}
