#include "gateway/route/bind.h"

#include "base/wire.h"
#include "gateway/route/percent.h"
#include "gateway/route/template.h"
#include "json/json.h"

#define PARAMETERS_MAX 256

struct bind_seen {
    struct {
        const char *path;
        const struct schema_field *leaf;
        size_t parent_length; /* of the path up to the last dot */
    } entries[PARAMETERS_MAX];
    size_t count;
};

struct bind_seen *bind_seen_new(struct arena *arena)
{
    struct bind_seen *seen = arena_alloc(arena, sizeof(*seen));

    if (seen)
        seen->count = 0;
    return seen;
}

/* Writes the leaf's value wrapped in the messages on its way. */
static void put_nested(const struct schema_field *const *fields, unsigned depth, struct str text,
                       const char *path, struct buf *out, struct violations *violations)
{
    if (depth == 1) {
        json_parse_scalar(fields[0], text, path, out, violations);
        return;
    }
    struct buf inner;
    buf_init(&inner, 0);
    put_nested(fields + 1, depth - 1, text, path, &inner, violations);
    if (inner.length)
        wire_put_bytes(out, fields[0]->number, buf_str(&inner));
    out->failed |= inner.failed;
    buf_done(&inner);
}

static const char *canonical_path(const struct schema_field *const *fields, unsigned depth,
                                  struct arena *arena)
{
    size_t length = 0;
    char *path, *at;

    if (depth == 1)
        return fields[0]->name;
    for (unsigned i = 0; i < depth; i++)
        length += strlen(fields[i]->name) + 1;
    if (!(path = at = arena_alloc(arena, length)))
        return NULL;
    for (unsigned i = 0; i < depth; i++) {
        size_t part = strlen(fields[i]->name);
        memcpy(at, fields[i]->name, part);
        at += part;
        *at++ = i + 1 < depth ? '.' : '\0';
    }
    return path;
}

/* The segments that a variable takes, with '/' between them again. */
static bool variable_text(const struct route_match *match, const struct route_variable *variable,
                          struct arena *arena, struct str *ret_text)
{
    unsigned last = variable->segment_count ? variable->first_segment + variable->segment_count
                                            : match->segment_count;
    size_t length = 0;

    if (variable->segment_count == 1) {
        *ret_text = match->segments[variable->first_segment];
        return true;
    }
    for (unsigned i = variable->first_segment; i < last; i++)
        length += match->segments[i].length + 1;
    char *text = arena_alloc(arena, length), *at = text;
    if (!text)
        return false;
    for (unsigned i = variable->first_segment; i < last; i++) {
        if (at > text)
            *at++ = '/';
        if (match->segments[i].length)
            memcpy(at, match->segments[i].data, match->segments[i].length);
        at += match->segments[i].length;
    }
    *ret_text = (struct str){text, (size_t)(at - text)};
    return true;
}

bool bind_path(const struct route_match *match, struct arena *arena, struct buf *out,
               struct violations *violations, struct err *err)
{
    for (size_t i = 0; i < match->route->variable_count; i++) {
        const struct route_variable *variable = &match->route->variables[i];
        struct str text;

        if (!variable_text(match, variable, arena, &text))
            return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "The path is too long");
        put_nested(variable->fields, variable->depth, text, variable->path, out, violations);
    }
    return true;
}

/* Already bound by the path, or part of the body? Gives the violation's words, or NULL. */
static const char *taken_by(const struct route *route, const struct schema_field *first,
                            const char *path)
{
    for (size_t i = 0; i < route->variable_count; i++)
        if (strcmp(route->variables[i].path, path) == 0)
            return "is already given by the path";
    if (route->binding->body_whole)
        return "belongs in the body";
    if (route->binding->body_field == first)
        return "is given by the body";
    if (route->update_mask == first)
        return "is made from the keys of the body";
    for (size_t i = 0; i < route->method->header_count; i++)
        if (route->method->headers[i].field == first)
            return "is given by a header";
    return route->method->async_field == first ? "is given by the header Prefer" : NULL;
}

/* A second value of a single field, or a second member of one oneof? */
static bool is_new(struct bind_seen *seen, const char *path, const struct schema_field *leaf,
                   struct violations *violations)
{
    const char *dot = strrchr(path, '.');
    size_t parent_length = dot ? (size_t)(dot - path) : 0;

    for (size_t i = 0; i < seen->count; i++) {
        if (seen->entries[i].leaf == leaf && strcmp(seen->entries[i].path, path) == 0) {
            if (leaf->repeated)
                return true;
            violations_add(violations, path, "is given more than once");
            return false;
        }
        if (leaf->oneof >= 0 && seen->entries[i].leaf->oneof == leaf->oneof &&
            seen->entries[i].parent_length == parent_length &&
            strncmp(seen->entries[i].path, path, parent_length) == 0) {
            violations_add(violations, path, "cannot be given together with %s",
                           seen->entries[i].path);
            return false;
        }
    }
    if (seen->count == PARAMETERS_MAX) {
        violations_add(violations, path, "too many parameters");
        return false;
    }
    seen->entries[seen->count].path = path;
    seen->entries[seen->count].leaf = leaf;
    seen->entries[seen->count++].parent_length = parent_length;
    return true;
}

static const char *example_of(const struct schema_field *field)
{
    switch (field->type) {
    case SCHEMA_BOOL:
        return "true or false";
    case SCHEMA_ENUM:
        return "one of its words";
    case SCHEMA_MESSAGE:
        return field->message->well_known == SCHEMA_TIMESTAMP ? "a time" : "a value";
    case SCHEMA_BYTES:
        return "base64";
    default:
        return "a number";
    }
}

/* "column.phone_number" (the key is all that follows the first dot) or "column[phone_number]", as
 * OpenAPI's deepObject has it, for a map<string, string> `column`. NULL when there is no such map.
 */
static const struct schema_field *find_map(const struct route *route, struct str name,
                                           struct str *ret_key)
{
    size_t mark = 0;

    while (mark < name.length && name.data[mark] != '.' && name.data[mark] != '[')
        mark++;
    bool bracket = mark < name.length && name.data[mark] == '[';

    if (!mark || mark == name.length || (bracket && name.data[name.length - 1] != ']'))
        return NULL;
    const struct schema_field *field =
        schema_find_field(route->method->input, (struct str){name.data, mark});

    if (!field || !field->map || field->message->fields[0].type != SCHEMA_STRING ||
        field->message->fields[1].type != SCHEMA_STRING)
        return NULL;
    *ret_key = (struct str){name.data + mark + 1, name.length - mark - 1 - (bracket ? 1 : 0)};
    return field;
}

/* One entry of a map: { key = 1, value = 2 }. False when memory is short. */
static bool bind_entry(const struct route *route, const struct schema_field *map, struct str key,
                       struct str value, struct bind_seen *seen, struct arena *arena,
                       struct buf *out, struct violations *violations)
{
    const char *path = arena_printf(arena, "%s.%.*s", map->name,
                                    (int)(key.length < 100 ? key.length : 100), key.data);
    const char *taken = taken_by(route, map, map->name);
    struct buf entry;

    if (!path)
        return false;
    if (taken) {
        violations_add(violations, path, "%s", taken);
        return true;
    }
    if (!is_new(seen, path, &map->message->fields[1], violations))
        return true;
    buf_init(&entry, 0);
    wire_put_bytes(&entry, 1, key);
    wire_put_bytes(&entry, 2, value);
    wire_put_bytes(out, map->number, buf_str(&entry));
    out->failed |= entry.failed;
    buf_done(&entry);
    return true;
}

bool bind_value(const struct route *route, struct str name, struct str value,
                struct bind_seen *seen, struct arena *arena, struct buf *out,
                struct violations *violations)
{
    const struct schema_field *fields[ROUTE_VARIABLE_DEPTH];
    unsigned depth = field_path_resolve(route->method->input, name, fields);
    const struct schema_field *leaf = depth ? fields[depth - 1] : NULL;

    if (!leaf) {
        struct str key;
        const struct schema_field *map = find_map(route, name, &key);

        if (map)
            return bind_entry(route, map, key, value, seen, arena, out, violations);
        /* Named as sent, but never more of it than a reader needs. */
        char *shown = arena_strndup(arena, name.length ? name.data : "",
                                    name.length < 100 ? name.length : 100);
        violations_add(violations, shown ? shown : "", "unknown parameter");
        return true;
    }
    const char *path = canonical_path(fields, depth, arena);
    if (!path)
        return false;
    const char *taken = taken_by(route, fields[0], path);
    if (taken) {
        violations_add(violations, path, "%s", taken);
    } else if (!field_takes_text(leaf) || (leaf->repeated && leaf->map)) {
        violations_add(violations, path, "cannot be given as a parameter");
    } else if (!is_new(seen, path, leaf, violations)) {
        return true;
    } else if (!value.length && leaf->type != SCHEMA_STRING) {
        violations_add(violations, path, "is empty: leave it out or give %s", example_of(leaf));
    } else {
        put_nested(fields, depth, value, path, out, violations);
    }
    return true;
}

static bool decode(struct str text, struct arena *arena, struct str *ret_text, struct err *err)
{
    enum percent_result result = percent_decode(text, true, arena, ret_text);

    if (result == PERCENT_OK)
        return true;
    if (result == PERCENT_NO_MEMORY)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "The query is too large");
    return err_set(err, ERR_INVALID_ARGUMENT, NULL, "The query %s", percent_problem(result));
}

bool bind_query(const struct route *route, struct str query, struct arena *arena, struct buf *out,
                struct violations *violations, struct err *err)
{
    struct bind_seen *seen;

    if (!query.length)
        return true;
    if (!(seen = bind_seen_new(arena)))
        return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "The query is too large");
    while (query.length) {
        const char *ampersand = memchr(query.data, '&', query.length);
        struct str pair = {query.data, ampersand ? (size_t)(ampersand - query.data) : query.length};
        const char *equals = pair.length ? memchr(pair.data, '=', pair.length) : NULL;
        struct str name = {pair.data, equals ? (size_t)(equals - pair.data) : pair.length};
        struct str value = {equals ? equals + 1 : NULL, equals ? pair.length - name.length - 1 : 0};

        query = ampersand ? (struct str){ampersand + 1, query.length - pair.length - 1}
                          : (struct str){NULL, 0};
        if (!pair.length)
            continue; /* "a=1&&b=2" */
        if (!decode(name, arena, &name, err) || !decode(value, arena, &value, err))
            return false;
        if (!bind_value(route, name, value, seen, arena, out, violations))
            return err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "The query is too large");
    }
    return true;
}
