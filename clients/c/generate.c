/* Writes dialplane_methods.h or dialplane_methods.c from the embedded descriptors: the typed calls,
 * each with the comment of its RPC. Run by the build.
 *     generate-client-methods h|c > FILE */
#include "base/buf.h"
#include "schema/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* protobuf-c's names: dialplane.v1.CallDetail is Dialplane__V1__CallDetail. */
static void put_type(struct buf *out, const struct schema_message *message)
{
    bool first = true;
    for (const char *at = message->full_name; *at; at++) {
        if (*at == '.')
            buf_put_cstr(out, "__");
        else
            buf_put_char(out, first ? (char)toupper((unsigned char)*at) : *at);
        first = *at == '.';
    }
}

/* CallDetail → call_detail */
static void put_snake(struct buf *out, const char *name)
{
    bool after_lower = false;
    for (const char *at = name; *at && *at != '.'; at++) {
        if (isupper((unsigned char)*at) && after_lower)
            buf_put_char(out, '_');
        after_lower = !isupper((unsigned char)*at);
        buf_put_char(out, (char)tolower((unsigned char)*at));
    }
}

/* dialplane__v1__call_detail__descriptor */
static void put_descriptor(struct buf *out, const struct schema_message *message)
{
    const char *at = message->full_name;
    while (at) {
        put_snake(out, at);
        buf_put_cstr(out, "__");
        at = strchr(at, '.');
        at = at ? at + 1 : NULL;
    }
    buf_put_cstr(out, "descriptor");
}

/* Words of a comment, in lines of at most 100 columns; a line of the .proto begins a line here. */
static void put_comment(struct buf *out, const struct schema_method *method)
{
    size_t column = 2;
    buf_put_cstr(out, "/*");
    for (const char *at = method->comment; *at;) {
        size_t blank = strspn(at, " \t"), word = strcspn(at + blank, " \t\n");
        if (column + 1 + word > 97) {
            buf_put_cstr(out, "\n *");
            column = 2;
        }
        if (word) {
            buf_put_char(out, ' ');
            buf_put(out, at + blank, word);
            column += 1 + word;
        }
        at += blank + word;
        if (*at == '\n' && at[1]) {
            buf_put_cstr(out, "\n *");
            column = 2;
        }
        at += *at == '\n';
    }
    buf_printf(out, "\n * RPC %s", method->path + 1);
    for (size_t i = 0; i < method->error_reason_count; i++)
        buf_printf(out, "%s%s",
                   i ? ", " : ";\n * error reasons of its own: ", method->error_reasons[i]);
    buf_put_cstr(out, ". */\n");
}

static char *text_of(void (*put)(struct buf *, const struct schema_message *),
                     const struct schema_message *message)
{
    struct buf text;
    buf_init(&text, 0);
    put(&text, message);
    return buf_take_cstr(&text);
}

static void put_unary(struct buf *out, bool header, const struct schema_method *method,
                      const char *name, const char *input, const char *output,
                      const char *descriptor)
{
    buf_printf(out,
               "bool dialplane_%s(struct dialplane_client *client, const %s *request,\n"
               "    unsigned deadline_ms, %s **ret_response, struct dialplane_error *error)",
               name, input, output);
    if (!header)
        buf_printf(out,
                   "\n{\n    ProtobufCMessage *response;\n"
                   "    if (!dialplane_call(client, \"%s\", &request->base, &%s, deadline_ms, "
                   "&response, error))\n        return false;\n"
                   "    *ret_response = (%s *)response;\n    return true;\n}\n\n"
                   "static void done_%s(void *context, ProtobufCMessage *response, "
                   "const struct dialplane_error *error)\n{\n"
                   "    const struct dialplane_typed *typed = context;\n"
                   "    ((dialplane_%s_done *)typed->on_done)(typed->context, (%s *)response, "
                   "error);\n}\n\n",
                   method->path, descriptor, output, name, name, output);
    else
        buf_printf(out,
                   ";\ntypedef void dialplane_%s_done(void *context, %s *response,\n"
                   "    const struct dialplane_error *error);\n",
                   name, output);
    buf_printf(out,
               "struct dialplane_pending *dialplane_%s_start(struct dialplane_queue *queue,\n"
               "    struct dialplane_client *client, const %s *request, unsigned deadline_ms,\n"
               "    dialplane_%s_done *on_done, void *context)",
               name, input, name);
    if (!header)
        buf_printf(out,
                   "\n{\n    return dialplane_start_typed(queue, client, \"%s\", &request->base, "
                   "&%s, deadline_ms, done_%s,\n        (struct dialplane_typed){"
                   "(dialplane_any_function *)on_done, context});\n}\n",
                   method->path, descriptor, name);
    buf_put_cstr(out, header ? ";\n\n" : "\n");
}

static void put_server_streaming(struct buf *out, bool header, const struct schema_method *method,
                                 const char *name, const char *input, const char *output,
                                 const char *descriptor)
{
    buf_printf(out,
               "struct dialplane_stream *dialplane_%s_open(struct dialplane_client *client,\n"
               "    const %s *request, unsigned deadline_ms)",
               name, input);
    if (!header)
        buf_printf(out,
                   "\n{\n    return dialplane_stream_open(client, \"%s\", &request->base, "
                   "deadline_ms);\n}\n\n",
                   method->path);
    else
        buf_put_cstr(out, ";\n");
    buf_printf(out,
               "%s *dialplane_%s_next(struct dialplane_stream *stream,\n"
               "    struct dialplane_error *error)",
               output, name);
    if (!header)
        buf_printf(out, "\n{\n    return (%s *)dialplane_stream_next(stream, &%s, error);\n}\n",
                   output, descriptor);
    buf_put_cstr(out, header ? ";\n\n" : "\n");
}

static void put_client_streaming(struct buf *out, bool header, const struct schema_method *method,
                                 const char *name, const char *input, const char *output,
                                 const char *descriptor)
{
    buf_printf(out,
               "struct dialplane_stream *dialplane_%s_open(struct dialplane_client *client,\n"
               "    unsigned deadline_ms)",
               name);
    if (!header)
        buf_printf(out,
                   "\n{\n    return dialplane_stream_start(client, \"%s\", deadline_ms);\n}\n\n",
                   method->path);
    else
        buf_put_cstr(out, ";\n");
    buf_printf(out,
               "bool dialplane_%s_send(struct dialplane_stream *stream,\n    const %s *message)",
               name, input);
    buf_put_cstr(out, header ? ";\n"
                             : "\n{\n    return dialplane_stream_send(stream, "
                               "&message->base);\n}\n\n");
    buf_printf(out,
               "bool dialplane_%s_finish(struct dialplane_stream *stream,\n"
               "    %s **ret_response, struct dialplane_error *error)",
               name, output);
    if (!header)
        buf_printf(out,
                   "\n{\n    ProtobufCMessage *response;\n"
                   "    if (!dialplane_stream_finish(stream, &%s, &response, error))\n"
                   "        return false;\n    *ret_response = (%s *)response;\n"
                   "    return true;\n}\n",
                   descriptor, output);
    buf_put_cstr(out, header ? ";\n\n" : "\n");
}

static void put_method(struct buf *out, bool header, const struct schema_method *method)
{
    struct buf snake;
    buf_init(&snake, 0);
    put_snake(&snake, method->name);
    char *name = buf_take_cstr(&snake), *input = text_of(put_type, method->input);
    char *output = text_of(put_type, method->output);
    char *descriptor = text_of(put_descriptor, method->output);
    if (header)
        put_comment(out, method);
    if (method->client_streaming && !method->server_streaming)
        put_client_streaming(out, header, method, name, input, output, descriptor);
    else if (method->server_streaming && !method->client_streaming)
        put_server_streaming(out, header, method, name, input, output, descriptor);
    else if (!method->client_streaming)
        put_unary(out, header, method, name, input, output, descriptor);
    free(name);
    free(input);
    free(output);
    free(descriptor);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct schema *schema =
        schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);
    if (!schema || argc != 2) {
        fprintf(stderr, "generate: %s\n", schema ? "usage: generate h|c" : err.message);
        return 1;
    }
    bool header = strcmp(argv[1], "h") == 0;
    struct buf out;
    buf_init(&out, 0);
    buf_put_cstr(&out, "/* dialplane_methods: the typed calls of every RPC. Made from the .proto "
                       "files by generate.c: do not edit. */\n");
    buf_put_cstr(&out, header ? "#ifndef DIALPLANE_METHODS_H\n#define DIALPLANE_METHODS_H\n\n"
                              : "#include \"dialplane.h\"\n\n");
    for (size_t i = 0; header && i < schema->file_count; i++) {
        const char *name = schema->files[i].name;
        if (strncmp(name, "dialplane/v1/", 13) == 0)
            buf_printf(&out, "#include \"%.*s.pb-c.h\"\n", (int)(strlen(name) - 6), name);
    }
    for (size_t i = 0; i < schema->service_count; i++) {
        const struct schema_service *service = &schema->services[i];
        if (!service->backend[0])
            continue;
        if (header)
            buf_printf(&out, "\n/* %s: of the %s process. */\n\n", service->full_name,
                       service->backend);
        for (size_t k = 0; k < service->method_count; k++)
            put_method(&out, header, &service->methods[k]);
    }
    if (header)
        buf_put_cstr(&out, "#endif\n");
    bool ok =
        !out.failed && fwrite(out.data, 1, out.length, stdout) == out.length && fflush(stdout) == 0;
    buf_done(&out);
    schema_free(schema);
    return ok ? 0 : 1;
}
