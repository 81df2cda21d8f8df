#include "gateway/route/transcode.h"

#include "base/time.h"
#include "base/wire.h"
#include "gateway/policy/etag.h"
#include "gateway/policy/problem.h"
#include "gateway/route/bind.h"
#include "gateway/route/percent.h"
#include "gateway/route/template.h"
#include "json/json.h"

#define VIOLATIONS_MAX 100
#define MASK_PATHS_MAX 256

struct mask {
    const struct schema_field *fields[MASK_PATHS_MAX];
    size_t count;
};

static void on_root_key(void *context, const struct schema_field *field)
{
    struct mask *mask = context;

    if (mask->count < MASK_PATHS_MAX) /* more keys than that are duplicates, which are violations */
        mask->fields[mask->count++] = field;
}

const char *transcode_body_name(const struct route *route)
{
    return route->binding->body_field ? route->binding->body_field->name : NULL;
}

static void put_mask(const struct route *route, const struct mask *mask, struct buf *scratch,
                     struct buf *out)
{
    buf_reset(scratch);
    for (size_t i = 0; i < mask->count; i++)
        wire_put_bytes(scratch, 1, str_from(mask->fields[i]->name));
    wire_put_bytes(out, route->update_mask->number, buf_str(scratch));
    out->failed |= scratch->failed;
}

/* The value of a top-level field, last one wins. */
static bool find_field(struct str wire, uint32_t number, struct wire_reader *ret_reader)
{
    struct wire_reader reader;
    bool found = false;

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (reader.number == number) {
            *ret_reader = reader;
            found = true;
        }
    }
    return found && !reader.malformed;
}

/* body: "*" may repeat what the path says, but not contradict it. */
static void check_path_repeated(const struct route *route, struct str from_path,
                                struct str from_body, struct violations *violations)
{
    for (size_t i = 0; i < route->variable_count; i++) {
        struct wire_reader in_path, in_body;
        uint32_t number = route->variables[i].fields[0]->number;

        if (route->variables[i].depth > 1 || !find_field(from_body, number, &in_body) ||
            !find_field(from_path, number, &in_path))
            continue;
        bool equal = in_path.type == in_body.type &&
                     (in_path.type == 2 ? str_equal(in_path.bytes, in_body.bytes)
                                        : in_path.integer == in_body.integer);
        if (!equal)
            violations_add(violations, route->variables[i].path, "differs from the path");
    }
}

static bool parse_body(const struct schema *schema, const struct route *route, struct str body,
                       struct buf *scratch, struct buf *out, struct violations *violations,
                       struct err *err)
{
    const struct schema_binding *binding = route->binding;
    struct mask mask = {.count = 0};
    struct json_parse_options options = {0};
    size_t path_length = out->length;

    if (!binding->body_field && !binding->body_whole) {
        struct str text = str_trim(body);
        if (text.length && !str_equal(text, STR_LITERAL("{}")))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL, "This call takes no body");
        return true;
    }
    if (binding->body_whole) {
        if (!str_trim(body).length)
            return true; /* what is required is asked by the service */
        if (!json_parse(schema, route->method->input, body, &options, out, violations, err))
            return false;
        check_path_repeated(route, (struct str){out->data, path_length},
                            (struct str){out->data + path_length, out->length - path_length},
                            violations);
        return true;
    }
    if (!str_trim(body).length)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "A JSON body is required");
    if (route->update_mask) {
        options.on_root_key = on_root_key;
        options.context = &mask;
    }
    buf_reset(scratch);
    if (!json_parse(schema, binding->body_field->message, body, &options, scratch, violations, err))
        return false;
    wire_put_bytes(out, binding->body_field->number, buf_str(scratch));
    out->failed |= scratch->failed;
    if (route->update_mask)
        put_mask(route, &mask, scratch, out);
    return true;
}

/* Whether something is said of `path` already, or of what it is a part of: that "llm" is no object
 * explains that "llm.model" is missing. The body itself has the path "". */
static bool has_path(const struct violations *violations, const char *path, bool in_body)
{
    for (const struct violation *at = violations->first; at; at = at->next) {
        size_t length = strlen(at->field);
        if (strncmp(at->field, path, length) != 0)
            continue;
        if (length ? path[length] == '\0' || path[length] == '.' || path[length] == '[' : in_body)
            return true;
    }
    return false;
}

/* Something is wrong already: ask what else is, so that it is all told at once. */
static void add_rule_violations(const struct route *route, struct str wire, struct arena *arena,
                                struct violations *violations)
{
    struct violations more;
    struct err ignored = {0}; /* bytes that we wrote ourselves */
    const char *body = transcode_body_name(route);

    violations_init(&more, arena, VIOLATIONS_MAX);
    schema_check(route->method->input, wire, route->update_mask ? body : NULL, &more, &ignored);
    transcode_add_violations(route, &more, violations);
}

void transcode_add_violations(const struct route *route, const struct violations *more,
                              struct violations *violations)
{
    const char *body = transcode_body_name(route);

    for (const struct violation *at = more->first; at; at = at->next) {
        const char *path = problem_field(at->field, body);
        bool in_body = path != at->field || route->binding->body_whole;
        if (!has_path(violations, path, in_body) && !has_path(violations, at->field, in_body))
            violations_add(violations, path, "%s", at->message);
    }
}

bool transcode_request(const struct schema *schema, const struct route_match *match,
                       struct str query, struct str body, struct arena *arena, struct buf *scratch,
                       struct buf *out, struct violations **ret_violations, struct err *err)
{
    const struct route *route = match->route;
    struct violations *violations = ARENA_NEW(arena, struct violations);
    size_t start = out->length;

    if (ret_violations)
        *ret_violations = NULL;
    if (!violations)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "The request is too large");
    violations_init(violations, arena, VIOLATIONS_MAX);
    if (!bind_path(match, arena, out, violations, err) ||
        !bind_query(route, query, arena, out, violations, err))
        return false;
    if (!parse_body(schema, route, body, scratch, out, violations, err)) {
        /* Malformed JSON alone; what else is known to be wrong goes along. */
        if (err->code == ERR_INVALID_ARGUMENT && violations->count)
            err->violations = violations;
        return false;
    }
    if (out->failed || arena_is_exhausted(arena))
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "The request is too large");
    if (!violations->count)
        return true;
    /* a message of nothing has no memory yet */
    add_rule_violations(route,
                        (struct str){out->data ? out->data + start : "", out->length - start},
                        arena, violations);
    if (ret_violations)
        *ret_violations = violations;
    return err_set_violations(err, violations);
}

int64_t transcode_revision(const struct route *route, struct str response)
{
    struct wire_reader reader;
    int64_t seconds = 0, nanos = 0;

    if (!route->revision || !find_field(response, route->revision->number, &reader) ||
        reader.type != 2)
        return ETAG_NO_REVISION;
    struct str timestamp = reader.bytes;
    wire_reader_init(&reader, timestamp);
    while (wire_reader_next(&reader)) {
        if (reader.number == 1)
            seconds = (int64_t)reader.integer;
        else if (reader.number == 2)
            nanos = (int64_t)reader.integer;
    }
    if (seconds < 0 || seconds > INT64_C(253402300799))
        return ETAG_NO_REVISION;
    return seconds * TIME_US_PER_SECOND + nanos / 1000;
}

/* The text of a string or integer field at a dotted path. */
static bool put_field_text(const struct schema_message *message, struct str path, struct str wire,
                           struct buf *out)
{
    const struct schema_field *fields[ROUTE_VARIABLE_DEPTH];
    unsigned depth = field_path_resolve(message, path, fields);
    struct wire_reader reader = {0};

    for (unsigned i = 0; i < depth; i++) {
        if (!find_field(wire, fields[i]->number, &reader))
            return false;
        wire = reader.bytes;
    }
    if (!depth)
        return false;
    if (fields[depth - 1]->type == SCHEMA_STRING && reader.type == 2)
        percent_encode(reader.bytes, out);
    else if (reader.type == 0)
        buf_printf(out, "%lld", (long long)reader.integer);
    else
        return false;
    return true;
}

bool transcode_location(const struct route *route, struct str response, struct buf *out)
{
    return route->method->location &&
           transcode_template(route, route->method->location, response, out);
}

bool transcode_template(const struct route *route, const char *text, struct str response,
                        struct buf *out)
{
    const char *at = text;

    while (*at) {
        const char *close = *at == '{' ? strchr(at, '}') : NULL;
        if (!close) {
            buf_put_char(out, *at++);
            continue;
        }
        if (!put_field_text(route->method->output, (struct str){at + 1, (size_t)(close - at - 1)},
                            response, out))
            return false;
        at = close + 1;
    }
    return !out->failed;
}

bool transcode_split_integer(const struct schema_field *field, struct str wire, uint64_t *ret_value,
                             struct buf *out)
{
    struct wire_reader reader;
    const uint8_t *start = (const uint8_t *)wire.data;

    *ret_value = 0;
    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (reader.number == field->number && reader.type != 2)
            *ret_value = reader.integer;
        else
            buf_put(out, start, (size_t)(reader.at - start));
        start = reader.at;
    }
    return !reader.malformed && !out->failed;
}
