/* The operations: one for each google.api.http binding, grouped by path. */
#include "gateway/pages/openapi.h"

#include "gateway/pages/openapi_writer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One binding of one method. */
struct operation {
    const struct schema_method *method;
    const struct schema_binding *binding;
    size_t index; /* among the method's bindings */
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
            for (size_t b = 0; b < method->binding_count; b++)
                operations[(*ret_count)++] = (struct operation){method, &method->bindings[b], b};
        }
    }
    if (operations)
        qsort(operations, *ret_count, sizeof(*operations), by_path);
    return operations;
}

static bool is_path_variable(const struct schema_binding *binding, const char *name)
{
    char variable[128];
    snprintf(variable, sizeof(variable), "{%s}", name);
    return strstr(binding->template_text, variable) != NULL;
}

/* The first line of a comment is the summary, the rest the description. */
static void write_summary(struct writer *writer, const struct schema_method *method)
{
    const char *end = strchr(method->comment, '\n');
    size_t length = end ? (size_t)(end - method->comment) : strlen(method->comment);
    while (length > 0 && (method->comment[length - 1] == '.' ||
                          isspace((unsigned char)method->comment[length - 1])))
        length--;
    write_key(writer, "summary");
    if (writer->needs_comma)
        buf_put_char(writer->out, ',');
    buf_put_json_string(writer->out, (struct str){method->comment, length});
    writer->needs_comma = true;
    write_member(writer, "description", end ? end + 1 : method->comment);
}

static void write_parameter(struct writer *writer, const struct schema_field *field,
                            const char *where)
{
    write_open(writer, '{');
    write_member(writer, "name", field->name);
    write_member(writer, "in", where);
    if (field->comment[0])
        write_member(writer, "description", field->comment);
    write_key(writer, "required");
    write_bool(writer, !strcmp(where, "path") || field->required);
    write_key(writer, "schema");
    write_field_schema(writer, field);
    write_close(writer, '}');
}

static bool is_body_field(const struct operation *operation, const struct schema_field *field)
{
    return operation->binding->body_whole || operation->binding->body_field == field;
}

/* What a field mask holds is derived from the body's keys; nobody sends it as a parameter. */
static bool is_derived(const struct schema_field *field)
{
    return field->type == SCHEMA_MESSAGE && field->message->well_known == SCHEMA_FIELD_MASK;
}

/* Fields that an upload's headers carry, under the headers' names. */
static bool is_header(const struct schema_method *method, const struct schema_field *field)
{
    for (size_t i = 0; i < method->header_count; i++)
        if (method->headers[i].field == field)
            return true;
    return method->async_field == field;
}

static void write_header_parameter(struct writer *writer, const char *name, const char *comment)
{
    write_open(writer, '{');
    write_member(writer, "name", name);
    write_member(writer, "in", "header");
    write_member(writer, "description", comment);
    write_raw(writer, "\"required\":false,\"schema\":{\"type\":\"string\"}");
    write_close(writer, '}');
}

static void write_headers(struct writer *writer, const struct schema_method *method)
{
    for (size_t i = 0; i < method->header_count; i++)
        write_header_parameter(writer, method->headers[i].name, method->headers[i].field->comment);
    if (method->async_field)
        write_header_parameter(writer, "prefer",
                               "respond-async: answer 202 as soon as the file is safe, and work on "
                               "it afterwards.");
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

static void write_parameters(struct writer *writer, const struct operation *operation)
{
    const struct schema_message *input = operation->method->input;
    write_key(writer, "parameters");
    write_open(writer, '[');
    write_headers(writer, operation->method);
    for (size_t i = 0; i < input->field_count; i++) {
        const struct schema_field *field = &input->fields[i];
        if (is_header(operation->method, field))
            continue;
        if (is_path_variable(operation->binding, field->name))
            write_parameter(writer, field, "path");
        else if (!is_body_field(operation, field) && is_text_map(field))
            write_map_parameter(writer, field);
        else if (!is_body_field(operation, field) && !is_derived(field) &&
                 (field->type != SCHEMA_MESSAGE || field->message->well_known == SCHEMA_TIMESTAMP))
            write_parameter(writer, field, "query");
    }
    write_close(writer, ']');
}

static void write_upload(struct writer *writer, const struct schema_method *method)
{
    write_open(writer, '{');
    write_raw(writer, "\"required\":true");
    write_key(writer, "content");
    write_open(writer, '{');
    write_key(writer, "multipart/form-data");
    write_raw(writer, "{\"schema\":{\"type\":\"object\",\"properties\":{");
    buf_put_json_string(writer->out,
                        str_from(method->multipart_part ? method->multipart_part : "file"));
    buf_put_cstr(writer->out, ":{\"type\":\"string\",\"contentMediaType\":\"application/"
                              "octet-stream\",\"description\":\"The file.\"}}}}");
    write_key(writer, "text/csv");
    write_raw(writer, "{\"schema\":{\"type\":\"string\"}}");
    write_key(writer, "application/octet-stream");
    write_raw(writer, "{\"schema\":{\"type\":\"string\",\"contentMediaType\":\"application/"
                      "octet-stream\"}}");
    write_close(writer, '}');
    write_close(writer, '}');
}

static void write_request_body(struct writer *writer, const struct operation *operation)
{
    const struct schema_binding *binding = operation->binding;
    if (!binding->body_field && !binding->body_whole)
        return;
    write_key(writer, "requestBody");
    if (operation->method->client_streaming) {
        write_upload(writer, operation->method);
        return;
    }
    write_open(writer, '{');
    write_raw(writer, "\"required\":true");
    write_key(writer, "content");
    write_open(writer, '{');
    write_key(writer, "application/json");
    write_open(writer, '{');
    write_key(writer, "schema");
    write_message_reference(writer, binding->body_field ? binding->body_field->message
                                                        : operation->method->input);
    write_close(writer, '}');
    write_close(writer, '}');
    write_close(writer, '}');
}

static void write_content(struct writer *writer, const struct schema_method *method)
{
    static const char *const stream_types[] = {"text/event-stream", "application/x-ndjson"};
    size_t count = method->server_streaming ? 2 : 1;
    write_key(writer, "content");
    write_open(writer, '{');
    if (method->download_type) {
        write_key(writer, method->download_type);
        write_raw(writer, "{\"schema\":{\"type\":\"string\"}}");
        write_close(writer, '}');
        return;
    }
    for (size_t i = 0; i < count; i++) {
        write_key(writer, method->server_streaming ? stream_types[i] : "application/json");
        write_open(writer, '{');
        write_key(writer, "schema");
        write_message_reference(writer, method->output);
        write_close(writer, '}');
    }
    write_close(writer, '}');
}

/* The errors that a call of this shape can have, beside those that every call can. */
static void write_error_responses(struct writer *writer, const struct operation *operation)
{
    static const struct {
        const char *status, *when;
    } errors[] = {
        {"400", "The request is not valid; errors lists everything that is wrong."},
        {"404", "There is no such thing."},
        {"409", "It conflicts with what is there, or the state does not allow it."},
        {"412", "It has been changed since: If-Match does not match."},
        {"413", "The body is larger than allowed."},
        {"503", "A service behind the gateway is away; try again after Retry-After."},
    };
    bool reads = !strcmp(operation->binding->verb, "GET");
    bool has_body = operation->binding->body_field || operation->binding->body_whole;
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        if ((!strcmp(errors[i].status, "404") && !strchr(operation->binding->template_text, '{')) ||
            ((!strcmp(errors[i].status, "409") || !strcmp(errors[i].status, "412")) && reads) ||
            (!strcmp(errors[i].status, "413") && !has_body))
            continue;
        write_key(writer, errors[i].status);
        write_open(writer, '{');
        write_member(writer, "description", errors[i].when);
        write_raw(writer, "\"content\":{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/"
                          "components/schemas/Problem\"}}}");
        write_close(writer, '}');
    }
    write_raw(writer, "\"default\":{\"$ref\":\"#/components/responses/Problem\"}");
}

static void write_responses(struct writer *writer, const struct operation *operation)
{
    const struct schema_method *method = operation->method;
    char status[8];
    snprintf(status, sizeof(status), "%u", method->http_status);
    write_key(writer, "responses");
    write_open(writer, '{');
    write_key(writer, status);
    write_open(writer, '{');
    write_member(writer, "description",
                 method->http_status == 204   ? "Done."
                 : method->http_status == 201 ? "Created; Location names it."
                 : method->download_type
                     ? "The file. Cut off without its last chunk, it is not whole."
                 : method->websocket
                     ? "The stream. With an upgrade request the same messages come as a WebSocket."
                 : method->server_streaming ? "The stream."
                                            : "The answer.");
    if (method->location)
        write_raw(writer, "\"headers\":{\"Location\":{\"description\":\"Where it "
                          "is.\",\"schema\":{\"type\":\"string\"}}}");
    if (method->http_status != 204)
        write_content(writer, method);
    write_close(writer, '}');
    if (method->async_field) {
        write_key(writer, "202");
        write_open(writer, '{');
        write_member(writer, "description",
                     "With Prefer: respond-async: the file is safe; Location tells how far it is.");
        write_raw(writer, "\"headers\":{\"Location\":{\"description\":\"Where it "
                          "is.\",\"schema\":{\"type\":\"string\"}}}");
        write_content(writer, method);
        write_close(writer, '}');
    }
    write_error_responses(writer, operation);
    write_close(writer, '}');
}

static void write_operation(struct writer *writer, const struct operation *operation)
{
    const struct schema_method *method = operation->method;
    char verb[16] = "", id[160];
    for (size_t i = 0; operation->binding->verb[i] && i + 1 < sizeof(verb); i++)
        verb[i] = (char)tolower((unsigned char)operation->binding->verb[i]);
    snprintf(id, sizeof(id), operation->index ? "%s%zu" : "%s", method->name, operation->index + 1);
    write_key(writer, verb);
    write_open(writer, '{');
    write_key(writer, "tags");
    write_open(writer, '[');
    write_text(writer, short_name(method->service->full_name));
    write_close(writer, ']');
    write_member(writer, "operationId", id);
    write_summary(writer, method);
    write_parameters(writer, operation);
    write_request_body(writer, operation);
    write_responses(writer, operation);
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

bool openapi_write(const struct schema *schema, const char *version, struct buf *out)
{
    size_t count;
    struct operation *operations = collect(schema, &count);
    if (!operations)
        return false;
    struct writer writer = {.out = out};
    write_open(&writer, '{');
    write_member(&writer, "openapi", "3.1.0");
    write_key(&writer, "info");
    write_open(&writer, '{');
    write_member(&writer, "title", "Dialplane");
    write_member(&writer, "version", version);
    write_member(&writer, "description",
                 "The control plane of AI voice agents that call people: skillbases, campaigns, "
                 "dispatch and analytics. "
                 "Every key of an answer is always there; what has no value is null.");
    write_close(&writer, '}');
    write_raw(&writer, "\"servers\":[{\"url\":\"/\"}]");
    write_tags(&writer, schema);
    write_key(&writer, "paths");
    write_open(&writer, '{');
    for (size_t i = 0; i < count; i++) {
        bool first = i == 0 || strcmp(operations[i].binding->template_text,
                                      operations[i - 1].binding->template_text) != 0;
        bool last = i + 1 == count || strcmp(operations[i].binding->template_text,
                                             operations[i + 1].binding->template_text) != 0;
        if (first) {
            write_key(&writer, operations[i].binding->template_text);
            write_open(&writer, '{');
        }
        write_operation(&writer, &operations[i]);
        if (last)
            write_close(&writer, '}');
    }
    write_close(&writer, '}');
    write_components(&writer, schema);
    write_close(&writer, '}');
    free(operations);
    return !out->failed;
}
