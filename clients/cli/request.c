/* The request of a command: positionals, flags and a file, in protobuf's wire format. */
#include "base/uuid.h"
#include "base/wire.h"
#include "cli.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

#define MASK_MAX 64

/* A request while it is being made. */
struct making {
    struct cli *cli;
    const struct invocation *invocation;
    const struct schema_method *method;
    const struct schema_field *resource, *update_mask; /* NULL: the request has none */
    struct buf wire, values;                           /* of the request; of the resource */
    const struct schema_field *mask[MASK_MAX];
    size_t mask_count;
    struct failure *failure;
};

static bool no_memory(struct making *making)
{
    return err_set(&making->failure->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}

/* The path of a field as the service names it: "campaign.name". */
static const char *path_of(struct making *making, const struct schema_field *field,
                           bool in_resource)
{
    return arena_printf(making->cli->arena, "%s%s%s", in_resource ? making->resource->name : "",
                        in_resource ? "." : "", field->name);
}

static void add_to_mask(void *context, const struct schema_field *field)
{
    struct making *making = context;
    for (size_t i = 0; i < making->mask_count; i++)
        if (making->mask[i] == field)
            return;
    if (making->mask_count < MASK_MAX)
        making->mask[making->mask_count++] = field;
}

/* What json_parse found, under the path of what it parsed. */
static void add_violations(struct making *making, const struct violations *found,
                           const char *prefix)
{
    for (const struct violation *at = found->first; at; at = at->next) {
        const char *dot = prefix[0] && at->field[0] && at->field[0] != '[' ? "." : "";
        const char *path = arena_printf(making->cli->arena, "%s%s%s", prefix, dot, at->field);
        if (path)
            violations_add(&making->failure->violations, path, "%s", at->message);
    }
}

/* The message of -f FILE: the resource where there is one, else the request. */
static bool read_source(struct making *making, struct buf *out)
{
    const char *name = invocation_value(making->invocation, "file");
    struct source *source = &making->failure->source;
    struct violations found;
    struct json_parse_options options = {.on_root_key = making->update_mask ? add_to_mask : NULL,
                                         .context = making};
    if (!name)
        return true;
    if (!read_file(making->cli, name, &source->text, making->failure))
        return false;
    source->name = strcmp(name, "-") == 0 ? "standard input" : name;
    const char *prefix = making->resource ? making->resource->name : "";
    source->prefix = making->resource ? arena_printf(making->cli->arena, "%s.", prefix) : "";
    violations_init(&found, making->cli->arena, making->failure->violations.limit);
    if (!json_parse(making->cli->schema,
                    making->resource ? making->resource->message : making->method->input,
                    source->text, &options, out, &found, &making->failure->err)) {
        char message[400];
        snprintf(message, sizeof(message), "%s", making->failure->err.message);
        return err_set(&making->failure->err, ERR_INVALID_ARGUMENT, making->failure->err.reason,
                       "%.200s: %.190s", source->name, message);
    }
    add_violations(making, &found, prefix);
    return true;
}

/* Copies the fields of wire that no flag overrides. */
static void put_rest(struct making *making, struct str wire, const struct schema_message *message,
                     bool in_resource, struct buf *out)
{
    struct wire_reader reader;
    const uint8_t *start = (const uint8_t *)wire.data;
    if (!wire.length)
        return;
    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        const struct schema_field *field = schema_find_field_by_number(message, reader.number);
        if (!field || !invocation_field_flag(making->invocation, field, in_resource))
            buf_put(out, start, (size_t)(reader.at - start));
        start = reader.at;
    }
}

/* A field whose value is JSON, or @FILE with it. */
static bool put_json(struct making *making, const struct schema_field *field, const char *value,
                     const char *path, struct buf *out)
{
    struct str text = str_from(value);
    struct violations found;
    struct buf wire;
    struct err err = {0};
    if (value[0] == '@' && !read_file(making->cli, value + 1, &text, making->failure))
        return false;
    violations_init(&found, making->cli->arena, making->failure->violations.limit);
    buf_init(&wire, (size_t)64 << 20);
    bool whole = field->type == SCHEMA_MESSAGE && !field->repeated && !field->map, ok;
    if (whole) {
        ok = json_parse(making->cli->schema, field->message, text, NULL, &wire, &found, &err);
        if (ok)
            wire_put_bytes(out, field->number, buf_str(&wire));
        if (ok)
            add_violations(making, &found, path);
    } else {
        /* Lists and maps have no message of their own: as the one member of what holds them. */
        const struct schema_message *holder =
            making->resource &&
                    schema_find_field_by_number(making->resource->message, field->number) == field
                ? making->resource->message
                : making->method->input;
        struct buf wrapped;
        buf_init(&wrapped, (size_t)64 << 20);
        buf_printf(&wrapped, "{\"%s\":", field->name);
        buf_put_str(&wrapped, text);
        buf_put_char(&wrapped, '}');
        ok = json_parse(making->cli->schema, holder, buf_str(&wrapped), NULL, out, &found, &err);
        if (ok)
            add_violations(making, &found,
                           holder == making->method->input ? "" : making->resource->name);
        buf_done(&wrapped);
    }
    buf_done(&wire);
    if (!ok)
        violations_add(&making->failure->violations, path, "%s%s%s",
                       value[0] == '@' ? value + 1 : "", value[0] == '@' ? ": " : "", err.message);
    return true;
}

static bool put_flag(struct making *making, const struct given *given, struct buf *out)
{
    const struct flag *flag = given->flag;
    const char *path = path_of(making, flag->field, flag->in_resource), *value = given->value;
    if (!path)
        return no_memory(making);
    if (flag->in_resource && making->update_mask)
        add_to_mask(making, flag->field);
    if (flag->value && strcmp(flag->value, "JSON|@FILE") == 0)
        return put_json(making, flag->field, value, path, out);
    if (flag->resource != RESOURCE_NONE &&
        !resolve_id(making->cli, flag->resource, value, &value, making->failure))
        return false;
    json_parse_scalar(flag->field, str_from(value), path, out, &making->failure->violations);
    return true;
}

static bool put_flags(struct making *making)
{
    for (size_t i = 0; i < making->invocation->given_count; i++) {
        const struct given *given = &making->invocation->given[i];
        if (given->flag->field &&
            !put_flag(making, given, given->flag->in_resource ? &making->values : &making->wire))
            return false;
    }
    return true;
}

static bool put_positionals(struct making *making)
{
    for (size_t i = 0; i < making->invocation->positional_count; i++) {
        const struct positional *positional = &making->invocation->command->positionals[i];
        const char *value = making->invocation->positionals[i];
        const struct schema_field *field =
            positional->field
                ? schema_find_field(making->method->input, str_from(positional->field))
                : NULL;
        if (!field)
            continue;
        if (positional->resource != RESOURCE_NONE &&
            !resolve_id(making->cli, positional->resource, value, &value, making->failure))
            return false;
        json_parse_scalar(field, str_from(value), positional->field, &making->wire,
                          &making->failure->violations);
    }
    return true;
}

/* --clear FIELD: named in the mask, without a value. */
static bool put_cleared(struct making *making)
{
    for (size_t i = 0; i < making->invocation->given_count; i++) {
        const struct given *given = &making->invocation->given[i];
        if (given->flag->field || strcmp(given->flag->name, "clear") != 0)
            continue;
        char *name = arena_strdup(making->cli->arena, given->value);
        if (!name)
            return no_memory(making);
        for (char *c = name; *c; c++)
            if (*c == '-')
                *c = '_';
        const struct schema_field *field =
            schema_find_field(making->resource->message, str_from(name));
        if (!field || field->output_only)
            return err_set(&making->failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                           "--clear: there is no field \"%.64s\" to clear", given->value);
        if (invocation_field_flag(making->invocation, field, true))
            return err_set(&making->failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                           "%.64s is both given and cleared", given->value);
        add_to_mask(making, field);
    }
    return true;
}

static void put_mask(struct making *making)
{
    struct buf paths;
    buf_init(&paths, 0);
    for (size_t i = 0; i < making->mask_count; i++)
        wire_put_bytes(&paths, 1, str_from(making->mask[i]->name));
    wire_put_bytes(&making->wire, making->update_mask->number, buf_str(&paths));
    making->wire.failed |= paths.failed;
    buf_done(&paths);
}

/* Positionals, file and flags, later ones over earlier ones. */
static bool put_all(struct making *making)
{
    struct buf from_file;
    buf_init(&from_file, (size_t)256 << 20);
    bool ok = put_positionals(making) && read_source(making, &from_file);
    if (ok && making->resource)
        put_rest(making, buf_str(&from_file), making->resource->message, true, &making->values);
    else if (ok)
        put_rest(making, buf_str(&from_file), making->method->input, false, &making->wire);
    making->values.failed |= from_file.failed;
    buf_done(&from_file);
    if (!ok || !put_flags(making))
        return false;
    if (making->update_mask) {
        if (!put_cleared(making))
            return false;
        if (making->mask_count == 0)
            return err_set(&making->failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                           "nothing to change: give a flag for each new value, or --file");
        put_mask(making);
    }
    if (making->resource)
        wire_put_bytes(&making->wire, making->resource->number, buf_str(&making->values));
    making->wire.failed |= making->values.failed;
    return !making->wire.failed || no_memory(making);
}

bool request_build(struct cli *cli, const struct invocation *invocation, struct str *ret_request,
                   struct failure *failure)
{
    const struct schema_method *method = command_method(cli->schema, invocation->command);
    struct making making = {.cli = cli,
                            .invocation = invocation,
                            .method = method,
                            .resource = command_resource(method),
                            .update_mask =
                                schema_find_field(method->input, STR_LITERAL("update_mask")),
                            .failure = failure};
    buf_init(&making.wire, (size_t)256 << 20);
    buf_init(&making.values, (size_t)256 << 20);
    bool ok = put_all(&making);
    if (ok) {
        const char *copy = arena_memdup(cli->arena, making.wire.length ? making.wire.data : "",
                                        making.wire.length);
        *ret_request = (struct str){copy, making.wire.length};
        ok = copy || no_memory(&making);
    }
    buf_done(&making.wire);
    buf_done(&making.values);
    if (!ok || failure->violations.count == 0)
        return ok;
    /* Something is wrong already: what else is, the service says without doing anything. */
    struct failure more;
    struct str ignored;
    failure_init(&more, cli->arena);
    session_call(cli, method, *ret_request, DIALPLANE_CHECK_ONLY, &ignored, &more);
    for (const struct violation *at = more.violations.first; at; at = at->next) {
        bool known = false;
        for (const struct violation *one = failure->violations.first; one; one = one->next)
            known = known || strncmp(at->field, one->field, strlen(one->field)) == 0;
        if (!known)
            violations_add(&failure->violations, at->field, "%s", at->message);
    }
    return err_set_violations(&failure->err, &failure->violations);
}
