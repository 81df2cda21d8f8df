/* The operations: one for each google.api.http binding, grouped by path. */
#include "gateway/pages/openapi.h"

#include "gateway/pages/openapi_writer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTION_LIMIT_BYTES (64 << 10)

/* One binding of one method. */
struct operation {
    const struct schema_method *method;
    const struct schema_binding *binding;
    char id[160]; /* "WatchCall"; the method's second binding is "WatchCall2" */
};

static int by_path(const void *a, const void *b)
{
    const struct operation *x = a, *y = b;
    int order = strcmp(x->binding->template_text, y->binding->template_text);
    return order ? order : strcmp(x->binding->verb, y->binding->verb);
}

static struct operation *collect(const struct schema *schema, size_t *ret_count)
{
    size_t count = 0;
    for (size_t s = 0; s < schema->service_count; s++)
        for (size_t m = 0; m < schema->services[s].method_count; m++)
            count += schema->services[s].methods[m].binding_count;
    struct operation *operations = calloc(count ? count : 1, sizeof(*operations));
    *ret_count = 0;
    for (size_t s = 0; operations && s < schema->service_count; s++) {
        for (size_t m = 0; m < schema->services[s].method_count; m++) {
            const struct schema_method *method = &schema->services[s].methods[m];
            for (size_t b = 0; b < method->binding_count; b++) {
                struct operation *operation = &operations[(*ret_count)++];
                *operation = (struct operation){.method = method, .binding = &method->bindings[b]};
                snprintf(operation->id, sizeof(operation->id), b ? "%s%zu" : "%s", method->name,
                         b + 1);
            }
        }
    }
    if (operations)
        qsort(operations, *ret_count, sizeof(*operations), by_path);
    return operations;
}

/* What the description adds to the comment: what holds for every method of its kind. */
static void put_notes(struct buf *text, const struct operation *operation)
{
    const struct schema_method *method = operation->method;
    if (method->client_streaming)
        buf_put_cstr(text,
                     "\n\nThe file comes as the part `file` of a form, or as the body itself.");
    if (method->server_streaming && !method->download_type)
        buf_put_cstr(text,
                     "\n\nServed as lines of JSON (`Accept: application/x-ndjson`) or server-sent "
                     "events (`Accept: text/event-stream`).");
    if (method->websocket)
        buf_put_cstr(text, " With `Upgrade: websocket` the same messages come over a WebSocket.");
    if (method->server_streaming && !method->download_type)
        buf_put_cstr(text, " Where no header can be sent, `?ticket=` of `CreateWsTicket` says who "
                           "is asking, once.");
    if (method->server_streaming && method->stream_cursor)
        buf_printf(text, " To resume, name the last `seq` as `%s` or `Last-Event-ID`.",
                   method->stream_cursor->name);
    buf_printf(text, "\n\nOver gRPC: `%s`.", method->path);
}

/* Who may call it: dialplane.access, by the words that tokens use. */
static void put_roles(struct buf *text, const struct schema *schema,
                      const struct schema_method *method, bool quoted)
{
    const char *between = "";

    for (size_t e = 0; e < schema->enum_count; e++) {
        const struct schema_enum *roles = &schema->enums[e];
        if (strcmp(roles->full_name, "dialplane.Role") != 0)
            continue;
        for (size_t i = 0; i < roles->value_count; i++) {
            const struct schema_enum_value *role = &roles->values[i];
            if (role->number <= 0 || role->number > 31 ||
                !(method->roles & UINT32_C(1) << role->number))
                continue;
            buf_printf(text, quoted ? "%s\"%s\"" : "%s%s", between, role->word);
            between = quoted ? "," : ", ";
        }
    }
}

static void write_security(struct writer *writer, const struct schema_method *method)
{
    struct buf roles;

    buf_init(&roles, 256);
    buf_put_char(&roles, '[');
    put_roles(&roles, writer->schema, method, true);
    buf_put_char(&roles, ']');
    write_raw(writer, "\"security\":[{\"bearer\":[]}]");
    write_key(writer, "x-roles");
    write_raw_str(writer, buf_str(&roles));
    writer->out->failed |= roles.failed;
    buf_done(&roles);
}

/* The first line of a comment is the summary, the rest the description. */
static void write_summary(struct writer *writer, const struct operation *operation)
{
    const struct schema_method *method = operation->method;
    const char *end = strchr(method->comment, '\n');
    size_t length = end ? (size_t)(end - method->comment) : strlen(method->comment);
    struct buf text;
    while (length > 0 && (method->comment[length - 1] == '.' ||
                          isspace((unsigned char)method->comment[length - 1])))
        length--;
    write_key(writer, "summary");
    buf_init(&text, DESCRIPTION_LIMIT_BYTES);
    buf_put_json_string(&text, (struct str){method->comment, length});
    write_raw_str(writer, buf_str(&text));
    buf_reset(&text);
    buf_put_cstr(&text, end ? end + 1 : method->comment);
    put_notes(&text, operation);
    buf_put_cstr(&text, "\n\nRoles: ");
    put_roles(&text, writer->schema, method, false);
    buf_put_char(&text, '.');
    write_key(writer, "description");
    struct buf quoted;
    buf_init(&quoted, 2 * DESCRIPTION_LIMIT_BYTES);
    buf_put_json_string(&quoted, buf_str(&text));
    if (text.failed || quoted.failed)
        writer->out->failed = true;
    write_raw_str(writer, buf_str(&quoted));
    buf_done(&quoted);
    buf_done(&text);
}

static void write_parameter(struct writer *writer, const struct operation *operation,
                            const struct schema_field *field, bool in_path)
{
    char part[96];
    write_open(writer, '{');
    write_member(writer, "name", field->name);
    write_member(writer, "in", in_path ? "path" : "query");
    if (field->comment[0])
        write_member(writer, "description", field->comment);
    write_key(writer, "required");
    write_bool(writer, in_path || openapi_is_required(field));
    write_key(writer, "schema");
    write_parameter_schema(writer, field);
    /* What is not required has no example: it would be filled in where the call is tried out. */
    snprintf(part, sizeof(part), "%s.%s", in_path ? "path" : "query", field->name);
    write_example(writer, operation->id, part);
    write_close(writer, '}');
}

static bool is_body_field(const struct operation *operation, const struct schema_field *field)
{
    return operation->binding->body_whole || operation->binding->body_field == field;
}

/* Fields that headers carry. */
static bool is_header(const struct schema_method *method, const struct schema_field *field)
{
    for (size_t i = 0; i < method->header_count; i++)
        if (method->headers[i].field == field)
            return true;
    return method->async_field == field;
}

/* What a field mask holds is derived from the body's keys; nobody sends it as a parameter. The name
 * and type of an uploaded file come with its part of the form. */
static bool is_derived(const struct operation *operation, const struct schema_field *field)
{
    return (field->type == SCHEMA_MESSAGE && field->message->well_known == SCHEMA_FIELD_MASK) ||
           (operation->method->client_streaming && !strcmp(field->name, "content_type"));
}

static void write_header_parameter(struct writer *writer, const char *name, const char *description)
{
    write_open(writer, '{');
    write_member(writer, "name", name);
    write_raw(writer, "\"in\":\"header\"");
    write_member(writer, "description", description);
    write_raw(writer, "\"required\":false");
    write_raw(writer, "\"schema\":{\"type\":\"string\"}");
    write_close(writer, '}');
}

/* An entry is "<map>.<key>" or, as OpenAPI can say it, "<map>[<key>]". */
static bool is_text_map(const struct schema_field *field)
{
    return field->map && field->message->fields[1].type == SCHEMA_STRING;
}

static void write_map_parameter(struct writer *writer, const struct schema_field *field)
{
    write_open(writer, '{');
    write_member(writer, "name", field->name);
    write_member(writer, "in", "query");
    write_member(writer, "description", field->comment);
    write_raw(writer, "\"required\":false,\"style\":\"deepObject\",\"explode\":true,\"schema\":{"
                      "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}");
    write_close(writer, '}');
}

/* Headers that mean something to this method. */
static void write_header_parameters(struct writer *writer, const struct operation *operation)
{
    const struct schema_method *method = operation->method;
    if (!strcmp(operation->binding->verb, "GET") && !method->server_streaming)
        write_header_parameter(writer, "If-None-Match",
                               "The ETag of an earlier answer: unchanged, it is 304.");
    if (openapi_has_reason(method, "ETAG_MISMATCH"))
        write_header_parameter(writer, "If-Match",
                               "The ETag that was read: changed since, nothing is done and it is "
                               "412.");
    if (method->server_streaming && method->stream_cursor)
        write_header_parameter(writer, "Last-Event-ID",
                               "The last seq that was seen, as browsers send it when they "
                               "reconnect.");
    for (size_t i = 0; i < method->header_count; i++)
        write_header_parameter(writer, method->headers[i].name, method->headers[i].field->comment);
    if (method->async_field)
        write_header_parameter(writer, "prefer",
                               "respond-async: answer 202 as soon as the file is safe, and work on "
                               "it afterwards.");
}

static void write_parameters(struct writer *writer, const struct operation *operation)
{
    const struct schema_message *input = operation->method->input;
    write_key(writer, "parameters");
    write_open(writer, '[');
    for (size_t i = 0; i < input->field_count; i++) {
        const struct schema_field *field = &input->fields[i];
        if (is_path_variable(operation->binding, field->name))
            write_parameter(writer, operation, field, true);
        else if (is_header(operation->method, field))
            continue;
        else if (!is_body_field(operation, field) && is_text_map(field))
            write_map_parameter(writer, field);
        else if (!is_body_field(operation, field) && !is_derived(operation, field) &&
                 (field->type != SCHEMA_MESSAGE || field->message->well_known == SCHEMA_TIMESTAMP))
            write_parameter(writer, operation, field, false);
    }
    write_header_parameters(writer, operation);
    write_close(writer, ']');
}

/* One media type that is the file itself. */
static void write_file_type(struct writer *writer, const struct operation *operation,
                            const char *type, bool is_text)
{
    write_key(writer, type);
    write_open(writer, '{');
    write_key(writer, "schema");
    write_open(writer, '{');
    if (is_text)
        write_member(writer, "type", "string");
    write_member(writer, "contentMediaType", type);
    write_close(writer, '}');
    if (is_text)
        write_example(writer, operation->id, "request");
    write_close(writer, '}');
}

static void write_upload(struct writer *writer, const struct operation *operation)
{
    const char *part = operation->method->multipart_part;
    if (!part)
        part = "file";
    write_open(writer, '{');
    write_raw(writer, "\"required\":true");
    write_key(writer, "content");
    write_open(writer, '{');
    write_key(writer, "multipart/form-data");
    write_open(writer, '{');
    write_key(writer, "schema");
    write_open(writer, '{');
    write_member(writer, "type", "object");
    write_key(writer, "properties");
    write_open(writer, '{');
    write_key(writer, part);
    /* `format: binary` is 3.0's word, and the one by which Swagger UI shows a file chooser. */
    write_raw(writer, "{\"type\":\"string\",\"format\":\"binary\",\"description\":\"The file.\"}");
    write_close(writer, '}');
    write_key(writer, "required");
    write_open(writer, '[');
    write_text(writer, part);
    write_close(writer, ']');
    write_close(writer, '}');
    write_close(writer, '}');
    write_file_type(writer, operation, "text/csv", true);
    write_file_type(writer, operation, "application/octet-stream", false);
    write_close(writer, '}');
    write_close(writer, '}');
}

static void write_request_body(struct writer *writer, const struct operation *operation)
{
    const struct schema_binding *binding = operation->binding;
    if (!binding->body_field && !binding->body_whole)
        return;
    write_key(writer, "requestBody");
    writer->form = OPENAPI_INPUT;
    if (operation->method->client_streaming) {
        write_upload(writer, operation);
        return;
    }
    write_open(writer, '{');
    write_raw(writer, "\"required\":true");
    write_key(writer, "content");
    write_open(writer, '{');
    write_key(writer, "application/json");
    write_open(writer, '{');
    write_key(writer, "schema");
    if (!binding->body_field)
        write_body_reference(writer, operation->method->input, OPENAPI_BODY);
    else if (binding->body_field->type == SCHEMA_MESSAGE)
        write_body_reference(writer, binding->body_field->message,
                             strcmp(binding->verb, "POST") ? OPENAPI_UPDATE : OPENAPI_CREATE);
    else
        write_field_schema(writer, binding->body_field);
    write_example(writer, operation->id, "request");
    write_close(writer, '}');
    write_close(writer, '}');
    write_close(writer, '}');
}

static void write_operation(struct writer *writer, const struct operation *operation)
{
    const struct schema_method *method = operation->method;
    char verb[16] = "";
    for (size_t i = 0; operation->binding->verb[i] && i + 1 < sizeof(verb); i++)
        verb[i] = (char)tolower((unsigned char)operation->binding->verb[i]);
    write_key(writer, verb);
    write_open(writer, '{');
    write_key(writer, "tags");
    write_open(writer, '[');
    write_text(writer, short_name(method->service->full_name));
    write_close(writer, ']');
    write_member(writer, "operationId", operation->id);
    write_summary(writer, operation);
    write_security(writer, method);
    write_parameters(writer, operation);
    write_request_body(writer, operation);
    writer->form = OPENAPI_ANSWER;
    write_responses(writer, method, operation->binding, operation->id);
    write_close(writer, '}');
}

static void write_tags(struct writer *writer, const struct schema *schema)
{
    write_key(writer, "tags");
    write_open(writer, '[');
    for (size_t s = 0; s < schema->service_count; s++) {
        const struct schema_service *service = &schema->services[s];
        bool has_routes = false;
        for (size_t m = 0; m < service->method_count; m++)
            has_routes = has_routes || service->methods[m].binding_count > 0;
        if (!has_routes)
            continue;
        write_open(writer, '{');
        write_member(writer, "name", short_name(service->full_name));
        write_member(writer, "description", service->comment);
        write_close(writer, '}');
    }
    write_close(writer, ']');
}

static void write_head(struct writer *writer, const char *version)
{
    write_member(writer, "openapi", "3.1.0");
    write_key(writer, "info");
    write_open(writer, '{');
    write_member(writer, "title", "Dialplane");
    write_member(writer, "version", version);
    write_member(writer, "description",
                 "The control plane of AI voice agents that call people: skillbases, campaigns, "
                 "dispatch and analytics.\n\n"
                 "Every key of an answer is always there; what has no value is null. Bodies are "
                 "understood in snake_case and in lowerCamelCase; an unknown key is an error. "
                 "Errors are problems (RFC 9457) that say at once all that is wrong.");
    write_raw(writer, "\"contact\":{\"name\":\"The operator of this server\"}");
    write_close(writer, '}');
    write_raw(writer, "\"servers\":[{\"url\":\"/\",\"description\":\"This server\"}]");
    write_raw(writer, "\"security\":[{\"bearer\":[]}]");
}

static void write_paths(struct writer *writer, const struct operation *operations, size_t count)
{
    write_key(writer, "paths");
    write_open(writer, '{');
    for (size_t i = 0; i < count; i++) {
        const char *path = operations[i].binding->template_text;
        if (i == 0 || strcmp(path, operations[i - 1].binding->template_text) != 0) {
            write_key(writer, path);
            write_open(writer, '{');
        }
        write_operation(writer, &operations[i]);
        if (i + 1 == count || strcmp(path, operations[i + 1].binding->template_text) != 0)
            write_close(writer, '}');
    }
    write_close(writer, '}');
}

static void write_components(struct writer *writer, const struct operation *operations,
                             size_t count)
{
    bool has_websocket = false;
    for (size_t i = 0; i < count; i++)
        has_websocket = has_websocket || operations[i].method->websocket;
    write_key(writer, "components");
    write_open(writer, '{');
    write_schemas(writer);
    write_shared_responses(writer, has_websocket);
    write_raw(writer,
              "\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\","
              "\"bearerFormat\":\"JWT\",\"description\":\"A signed token that says who "
              "asks, in which roles and for which company; `./dev token` prints one. Over a "
              "WebSocket a browser gives it as the subprotocols `bearer` and the token; in "
              "an address it is refused. A platform that was started with --auth off asks "
              "nobody.\"}}");
    write_close(writer, '}');
}

bool openapi_write(const struct schema *schema, const char *version, struct buf *out)
{
    size_t count;
    struct operation *operations = collect(schema, &count);
    struct openapi_use *uses = openapi_uses(schema);
    struct writer writer = {.out = out, .schema = schema, .uses = uses};
    if (operations && uses) {
        write_open(&writer, '{');
        write_head(&writer, version);
        write_tags(&writer, schema);
        write_paths(&writer, operations, count);
        write_components(&writer, operations, count);
        write_close(&writer, '}');
    }
    bool ok = operations && uses && !out->failed;
    free(uses);
    free(operations);
    return ok;
}
