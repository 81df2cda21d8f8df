/* Services and methods: streaming, dialplane.method, and the google.api.http bindings. */
#include "internal.h"

#include "google/api/http.pb-c.h"

#define METHOD_OPTION 50102
#define ACCESS_OPTION 50104
#define SERVICE_OPTION 50103
#define HTTP_OPTION 72295728

typedef Google__Api__HttpRule http_rule;

/* True for messages that JSON writes as one scalar. */
static bool is_scalar_in_json(const struct schema_field *field)
{
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

/* "a.b.c" through singular messages to a singular scalar; NULL when it is not one. */
static const struct schema_field *resolve_field_path(const struct schema_message *message,
                                                     struct str path)
{
    const struct schema_field *field = NULL;

    for (;;) {
        const char *dot = path.length ? memchr(path.data, '.', path.length) : NULL;
        struct str part = {path.data, dot ? (size_t)(dot - path.data) : path.length};

        field = message ? schema_find_field(message, part) : NULL;
        if (!field || field->repeated)
            return NULL;
        if (!dot)
            return is_scalar_in_json(field) ? field : NULL;
        message = field->type == SCHEMA_MESSAGE ? field->message : NULL;
        path = (struct str){dot + 1, path.length - part.length - 1};
    }
}

/* Checks the variables of "/a/{field.path}/{other=**}": balanced, each once, each a field of
 * message. */
static bool check_template(struct loader *loader, const char *method, const char *text,
                           const struct schema_message *message,
                           const struct schema_field *body_field)
{
    const char *at = text;

    if (text[0] != '/')
        return loader_fail(loader, method, "\"%s\" must begin with /", text);
    while ((at = strpbrk(at, "{}"))) {
        const char *end = *at == '{' ? strpbrk(at + 1, "{}") : NULL;

        if (!end || *end != '}')
            return loader_fail(loader, method, "\"%s\" has braces that do not match", text);
        const char *name = at + 1;
        struct str path = {name, strcspn(name, "=}")};
        const struct schema_field *field = resolve_field_path(message, path);

        if (!field)
            return loader_fail(loader, method, "\"%.*s\" in \"%s\" is not a single value of %s",
                               (int)path.length, path.data, text, message->full_name);
        if (field == body_field)
            return loader_fail(loader, method, "\"%.*s\" is in both path and body of \"%s\"",
                               (int)path.length, path.data, text);
        for (const char *other = text; (other = strchr(other, '{')) && other < at; other++)
            if (str_equal((struct str){other + 1, strcspn(other + 1, "=}")}, path))
                return loader_fail(loader, method, "\"%.*s\" is twice in \"%s\"", (int)path.length,
                                   path.data, text);
        at = end + 1;
    }
    return true;
}

/* *ret_text NULL when the rule has no pattern. */
static void pattern_of(const http_rule *rule, const char **ret_verb, const char **ret_text)
{
    *ret_verb = *ret_text = NULL;
    switch (rule->pattern_case) {
    case GOOGLE__API__HTTP_RULE__PATTERN_GET:
        *ret_verb = "GET";
        *ret_text = rule->get;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_PUT:
        *ret_verb = "PUT";
        *ret_text = rule->put;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_POST:
        *ret_verb = "POST";
        *ret_text = rule->post;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_DELETE:
        *ret_verb = "DELETE";
        *ret_text = rule->delete_;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_PATCH:
        *ret_verb = "PATCH";
        *ret_text = rule->patch;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_CUSTOM:
        *ret_verb = rule->custom->kind;
        *ret_text = rule->custom->path;
        break;
    default:
        break;
    }
}

static bool read_binding(struct loader *loader, const struct schema_method *method,
                         struct schema_binding *binding, const http_rule *rule)
{
    const char *verb, *text;

    pattern_of(rule, &verb, &text);
    if (!text || !*text || !*verb)
        return loader_fail(loader, method->path, "a google.api.http binding has no path");
    if (rule->response_body && *rule->response_body)
        return loader_fail(loader, method->path, "response_body is not supported");
    binding->verb = loader_keep(loader, verb);
    binding->template_text = loader_keep(loader, text);
    if (!binding->verb || !binding->template_text)
        return false;
    if (rule->body && *rule->body) {
        if (strcmp(verb, "GET") == 0 || strcmp(verb, "DELETE") == 0)
            return loader_fail(loader, method->path, "%s cannot have a body", verb);
        if (strcmp(rule->body, "*") == 0) {
            binding->body_whole = true;
        } else {
            binding->body_field = schema_find_field(method->input, str_from(rule->body));
            if (!binding->body_field)
                return loader_fail(loader, method->path, "body \"%s\" is not a field of %s",
                                   rule->body, method->input->full_name);
        }
    }
    return check_template(loader, method->path, text, method->input, binding->body_field);
}

static bool read_bindings(struct loader *loader, struct schema_method *method,
                          const http_rule *rule)
{
    size_t count = 1 + rule->n_additional_bindings;

    method->bindings = loader_array(loader, count, sizeof(*method->bindings));
    if (!method->bindings || !read_binding(loader, method, &method->bindings[0], rule))
        return false;
    for (size_t i = 1; i < count; i++) {
        const http_rule *more = rule->additional_bindings[i - 1];

        if (more->n_additional_bindings)
            return loader_fail(loader, method->path, "additional_bindings nest");
        if (!read_binding(loader, method, &method->bindings[i], more))
            return false;
    }
    method->binding_count = count;
    return true;
}

/* NULL, or what is wrong with the streaming options. */
static const char *why_bad_streaming(const struct schema_method *method)
{
    bool has_bytes_body = false;

    if (method->websocket && !method->server_streaming)
        return "websocket is for server-streaming methods";
    if (method->download_type &&
        (!method->server_streaming || !method->download_data || method->download_data->repeated ||
         method->download_data->type != SCHEMA_BYTES))
        return "download_type is for server-streaming methods whose messages have bytes \"data\"";
    if (method->stream_cursor && (!method->server_streaming || method->stream_cursor->repeated ||
                                  !type_is_integer(method->stream_cursor->type)))
        return "stream_cursor is an integer field of a server-streaming method";
    if (!method->multipart_part)
        return NULL;
    for (size_t i = 0; i < method->binding_count; i++)
        has_bytes_body |=
            method->bindings[i].body_field && method->bindings[i].body_field->type == SCHEMA_BYTES;
    if (!method->client_streaming || !has_bytes_body)
        return "multipart_part is for client-streaming methods with a bytes body";
    return NULL;
}

static bool read_roles(struct loader *loader, struct schema_method *method,
                       const Dialplane__AccessRules *rules)
{
    for (size_t i = 0; i < rules->n_roles; i++) {
        int role = (int)rules->roles[i];

        if (role < SCHEMA_ROLE_PLATFORM || role >= SCHEMA_ROLES_END)
            return loader_fail(loader, method->path, "role %d is not known", role);
        method->roles |= UINT32_C(1) << role;
    }
    return true;
}

static bool read_headers(struct loader *loader, struct schema_method *method,
                         const Dialplane__MethodRules *rules)
{
    method->headers = loader_array(loader, rules->n_headers, sizeof(*method->headers));
    if (!method->headers)
        return false;
    for (size_t i = 0; i < rules->n_headers; i++) {
        struct schema_header *header = &method->headers[i];

        header->name = loader_keep(loader, rules->headers[i]->header);
        header->field = schema_find_field(method->input, str_from(rules->headers[i]->field));
        if (!header->name)
            return false;
        if (!header->field || header->field->repeated || header->field->type != SCHEMA_STRING)
            return loader_fail(loader, method->path, "header \"%s\": \"%s\" is no string field",
                               header->name, rules->headers[i]->field);
    }
    method->header_count = rules->n_headers;
    return true;
}

static bool read_async(struct loader *loader, struct schema_method *method,
                       const Dialplane__MethodRules *rules)
{
    if (!rules->async_field || !*rules->async_field)
        return true;
    method->async_field = schema_find_field(method->input, str_from(rules->async_field));
    if (!method->async_field || method->async_field->repeated ||
        method->async_field->type != SCHEMA_BOOL)
        return loader_fail(loader, method->path, "async_field \"%s\" is no bool of %s",
                           rules->async_field, method->input->full_name);
    method->async_location = loader_keep(loader, rules->async_location);
    return method->async_location &&
           check_template(loader, method->path, method->async_location, method->output, NULL);
}

static bool read_method_rules(struct loader *loader, struct schema_method *method,
                              const Dialplane__MethodRules *rules)
{
    if (rules->http_status)
        method->http_status = rules->http_status;
    if (method->http_status < 200 || method->http_status > 299)
        return loader_fail(loader, method->path, "http_status %u is no success",
                           method->http_status);
    method->timeout_ms = rules->timeout_ms;
    method->websocket = rules->websocket;
    if (rules->location && *rules->location) {
        method->location = loader_keep(loader, rules->location);
        if (!method->location ||
            !check_template(loader, method->path, method->location, method->output, NULL))
            return false;
    }
    if (rules->multipart_part && *rules->multipart_part &&
        !(method->multipart_part = loader_keep(loader, rules->multipart_part)))
        return false;
    if (rules->stream_cursor && *rules->stream_cursor) {
        method->stream_cursor = schema_find_field(method->input, str_from(rules->stream_cursor));
        if (!method->stream_cursor)
            return loader_fail(loader, method->path, "stream_cursor \"%s\" is not a field of %s",
                               rules->stream_cursor, method->input->full_name);
    }
    if (!read_headers(loader, method, rules) || !read_async(loader, method, rules))
        return false;
    if (rules->download_type && *rules->download_type) {
        method->download_type = loader_keep(loader, rules->download_type);
        method->download_data = schema_find_field(method->output, STR_LITERAL("data"));
        if (!method->download_type)
            return false;
    }
    if ((method->header_count || method->async_field) && !method->client_streaming)
        return loader_fail(loader, method->path,
                           "headers and async_field are for client-streaming methods");
    const char *why = why_bad_streaming(method);

    if (why)
        return loader_fail(loader, method->path, "%s", why);
    method->error_reasons =
        loader_array(loader, rules->n_error_reasons, sizeof(*method->error_reasons));
    if (!method->error_reasons)
        return false;
    for (size_t i = 0; i < rules->n_error_reasons; i++)
        if (!(method->error_reasons[i] = loader_keep(loader, rules->error_reasons[i])))
            return false;
    method->error_reason_count = rules->n_error_reasons;
    return true;
}

static bool load_method_options(struct loader *loader, struct schema_method *method,
                                const method_proto *proto)
{
    ProtobufCMessage *http, *rules, *access;

    if (!proto->options)
        return true;
    if (!options_find(loader, &proto->options->base, HTTP_OPTION,
                      &google__api__http_rule__descriptor, &http))
        return loader_fail(loader, method->path, "google.api.http is malformed");
    if (http && !read_bindings(loader, method, (const http_rule *)http))
        return false;
    if (!options_find(loader, &proto->options->base, METHOD_OPTION,
                      &dialplane__method_rules__descriptor, &rules))
        return loader_fail(loader, method->path, "dialplane.method is malformed");
    if (!options_find(loader, &proto->options->base, ACCESS_OPTION,
                      &dialplane__access_rules__descriptor, &access))
        return loader_fail(loader, method->path, "dialplane.access is malformed");
    return (!access || read_roles(loader, method, (const Dialplane__AccessRules *)access)) &&
           (!rules || read_method_rules(loader, method, (const Dialplane__MethodRules *)rules));
}

static bool load_method(struct loader *loader, const struct schema_service *service,
                        struct schema_method *method, const method_proto *proto)
{
    struct schema *schema = &loader->tables->schema;
    const struct symbol *input = loader_resolve(loader, proto->input_type, SYMBOL_MESSAGE);
    const struct symbol *output = loader_resolve(loader, proto->output_type, SYMBOL_MESSAGE);

    method->name = loader_keep(loader, proto->name);
    method->path =
        arena_printf(loader->arena, "/%s/%s", service->full_name, proto->name ? proto->name : "");
    if (!method->name || !method->path)
        return loader_short_of_memory(loader);
    if (!input || !output)
        return loader_fail(loader, method->path, "its %s is not in the set",
                           input ? "response" : "request");
    method->service = service;
    method->input = &schema->messages[input->index];
    method->output = &schema->messages[output->index];
    method->client_streaming = proto->has_client_streaming && proto->client_streaming;
    method->server_streaming = proto->has_server_streaming && proto->server_streaming;
    method->http_status = 200;
    method->comment = "";
    return load_method_options(loader, method, proto);
}

static bool load_service(struct loader *loader, struct schema_service *service,
                         const service_proto *proto)
{
    ProtobufCMessage *rules = NULL;

    if (proto->options && !options_find(loader, &proto->options->base, SERVICE_OPTION,
                                        &dialplane__service_rules__descriptor, &rules))
        return loader_fail(loader, service->full_name, "dialplane.service is malformed");
    if (rules) {
        service->backend = loader_keep(loader, ((const Dialplane__ServiceRules *)rules)->backend);
        if (!service->backend)
            return false;
    }
    service->methods = loader_array(loader, proto->n_method, sizeof(*service->methods));
    if (!service->methods)
        return false;
    for (size_t i = 0; i < proto->n_method; i++) {
        if (!load_method(loader, service, &service->methods[i], proto->method[i]))
            return false;
        service->method_count++;
    }
    return true;
}

bool load_services(struct loader *loader)
{
    struct schema *schema = &loader->tables->schema;

    for (size_t i = 0; i < schema->service_count; i++) {
        const struct symbol *symbol =
            symbol_find(loader->tables, str_from(schema->services[i].full_name));

        if (symbol)
            loader->file_name = schema->files[symbol->file].name;
        if (!load_service(loader, &schema->services[i], loader->services[i]))
            return false;
    }
    return true;
}
