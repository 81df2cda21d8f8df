#include "gateway/route/template.h"

#define VARIABLES_MAX 16

struct parser {
    const char *text, *at;
    const struct schema_message *input;
    struct arena *arena;
    struct template *out;
    struct err *err;
};

static bool wrong(struct parser *parser, const char *what)
{
    return err_set(parser->err, ERR_INTERNAL, NULL, "route \"%s\", column %d: %s", parser->text,
                   (int)(parser->at - parser->text) + 1, what);
}

unsigned field_path_resolve(const struct schema_message *message, struct str path,
                            const struct schema_field *ret_fields[ROUTE_VARIABLE_DEPTH])
{
    unsigned depth = 0;

    for (;;) {
        const char *dot = path.length ? memchr(path.data, '.', path.length) : NULL;
        struct str name = {path.data, dot ? (size_t)(dot - path.data) : path.length};
        const struct schema_field *field =
            message && name.length ? schema_find_field(message, name) : NULL;
        if (!field || depth == ROUTE_VARIABLE_DEPTH)
            return 0;
        ret_fields[depth++] = field;
        if (!dot)
            return depth;
        /* Only a singular message of our own has fields that a path can go on into. */
        if (field->repeated || field->map || field->type != SCHEMA_MESSAGE ||
            field->message->well_known != SCHEMA_ORDINARY)
            return 0;
        message = field->message;
        path = (struct str){dot + 1, path.length - name.length - 1};
    }
}

bool field_takes_text(const struct schema_field *field)
{
    if (field->map || field->type == SCHEMA_GROUP)
        return false;
    if (field->type != SCHEMA_MESSAGE)
        return true;
    switch (field->message->well_known) {
    case SCHEMA_TIMESTAMP:
    case SCHEMA_DURATION:
    case SCHEMA_FIELD_MASK:
    case SCHEMA_WRAPPER:
        return true;
    default:
        return false;
    }
}

static bool add_segment(struct parser *parser, struct template_segment segment)
{
    struct template *out = parser->out;

    if (out->segment_count == ROUTE_SEGMENTS_MAX)
        return wrong(parser, "too many segments");
    if (out->segment_count && out->segments[out->segment_count - 1].kind == TEMPLATE_STAR_STAR)
        return wrong(parser, "** must be the last segment");
    out->segments[out->segment_count++] = segment;
    return true;
}

static bool parse_plain_segment(struct parser *parser)
{
    const char *start = parser->at;

    if (strncmp(parser->at, "**", 2) == 0) {
        parser->at += 2;
        return add_segment(parser, (struct template_segment){.kind = TEMPLATE_STAR_STAR});
    }
    if (*parser->at == '*') {
        parser->at++;
        return add_segment(parser, (struct template_segment){.kind = TEMPLATE_STAR});
    }
    while (*parser->at && !strchr("/{}*:=", *parser->at))
        parser->at++;
    if (parser->at == start)
        return wrong(parser, "a segment is missing");
    return add_segment(parser, (struct template_segment){
                                   .kind = TEMPLATE_LITERAL,
                                   .literal = {start, (size_t)(parser->at - start)},
                               });
}

static bool bind_variable(struct parser *parser, struct str name, unsigned first)
{
    struct template *out = parser->out;
    struct route_variable *variable = &out->variables[out->variable_count];
    char path[256];
    size_t used = 0;

    if (out->variable_count == VARIABLES_MAX)
        return wrong(parser, "too many variables");
    variable->depth = field_path_resolve(parser->input, name, variable->fields);
    if (!variable->depth)
        return wrong(parser, "the variable names no field of the request");
    const struct schema_field *leaf = variable->fields[variable->depth - 1];
    if (leaf->repeated || !field_takes_text(leaf))
        return wrong(parser, "the variable's field is not a single scalar");
    for (unsigned i = 0; i < variable->depth; i++) {
        size_t length = strlen(variable->fields[i]->name);
        if (used + length + 2 > sizeof(path))
            return wrong(parser, "the variable's name is too long");
        if (i)
            path[used++] = '.';
        memcpy(path + used, variable->fields[i]->name, length);
        used += length;
    }
    variable->path = arena_strndup(parser->arena, path, used);
    variable->first_segment = first;
    variable->segment_count = out->segments[out->segment_count - 1].kind == TEMPLATE_STAR_STAR
                                  ? 0
                                  : out->segment_count - first;
    out->variable_count++;
    return variable->path != NULL || wrong(parser, "out of memory");
}

/* "{" path [ "=" segments ] "}" */
static bool parse_variable(struct parser *parser)
{
    unsigned first = parser->out->segment_count;
    const char *start = ++parser->at;

    while (*parser->at && !strchr("={}/:", *parser->at))
        parser->at++;
    struct str name = {start, (size_t)(parser->at - start)};
    if (*parser->at == '=') {
        do {
            parser->at++;
            if (!parse_plain_segment(parser))
                return false;
        } while (*parser->at == '/');
    } else if (!add_segment(parser, (struct template_segment){.kind = TEMPLATE_STAR})) {
        return false;
    }
    if (*parser->at != '}')
        return wrong(parser, "expected '}'");
    parser->at++;
    return bind_variable(parser, name, first);
}

bool template_parse(const char *text, const struct schema_message *input, struct arena *arena,
                    struct template *ret_template, struct err *err)
{
    struct parser parser = {text, text, input, arena, ret_template, err};

    memset(ret_template, 0, sizeof(*ret_template));
    ret_template->variables = ARENA_ARRAY(arena, struct route_variable, VARIABLES_MAX);
    if (!ret_template->variables)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory for routes");
    if (*text != '/')
        return wrong(&parser, "expected '/'");
    do {
        parser.at++;
        bool fine = *parser.at == '{' ? parse_variable(&parser) : parse_plain_segment(&parser);
        if (!fine)
            return false;
    } while (*parser.at == '/');
    if (*parser.at == ':') {
        ret_template->custom_verb = str_from(parser.at + 1);
        parser.at += strlen(parser.at);
        if (!ret_template->custom_verb.length)
            return wrong(&parser, "a verb is missing");
    }
    return !*parser.at || wrong(&parser, "expected '/' or the end");
}
