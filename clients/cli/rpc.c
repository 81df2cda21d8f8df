/* dialplane rpc: any RPC by its name, JSON in and out. */
#include "cli.h"
#include "live.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct schema_method *find_method(struct cli *cli, const char *name,
                                               struct failure *failure)
{
    char path[200];
    const char *prefix = strchr(name, '.') ? "" : "dialplane.v1.";
    snprintf(path, sizeof(path), "/%s%s", prefix, name + (*name == '/'));
    const struct schema_method *method = schema_find_method(cli->schema, str_from(path));
    if (!method || !method->service->backend[0]) {
        err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                "there is no RPC \"%.100s\" (SERVICE/METHOD, as in CompanyService/GetCompany)",
                name);
        return NULL;
    }
    if (method->client_streaming) {
        err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                "%s takes a stream of requests, which this command cannot send", method->name);
        return NULL;
    }
    return method;
}

static bool read_request(struct cli *cli, const struct invocation *invocation,
                         const struct schema_method *method, struct buf *out,
                         struct failure *failure)
{
    const char *file = invocation_value(invocation, "file");
    const char *data = invocation_value(invocation, "data");
    struct source *source = &failure->source;
    if (file && data)
        return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                       "the request comes from --file or from --data, not from both");
    source->text = str_from(data ? data : "{}");
    if (file && !read_file(cli, file, &source->text, failure))
        return false;
    if (file) {
        source->name = strcmp(file, "-") == 0 ? "standard input" : file;
        source->prefix = "";
    }
    return json_parse(cli->schema, method->input, source->text, NULL, out, &failure->violations,
                      &failure->err);
}

static bool print_stream(struct cli *cli, const struct schema_method *method,
                         const struct buf *request, struct failure *failure)
{
    struct dialplane_client *client = session_client(cli, session_backend(method), failure);
    struct dialplane_error error = {0};
    struct dialplane_bytes message;
    if (!client)
        return false;
    interrupt_catch();
    struct dialplane_stream *stream = dialplane_stream_start(client, method->path, 0);
    bool ok = stream != NULL;
    if (ok && dialplane_stream_send_bytes(stream, request->data, request->length))
        dialplane_stream_end_sending(stream);
    while (ok && dialplane_stream_next_bytes(stream, &message, &error)) {
        ok = output_json(cli, method->output,
                         (struct str){(const char *)message.data, message.size}, failure);
        free(message.data);
        fflush(stdout);
        if (ferror(stdout))
            break;
    }
    dialplane_stream_close(stream);
    if (ok && error.code && !ferror(stdout)) {
        failure_from_error(cli, session_backend(method), &error, failure);
        return false;
    }
    return ok;
}

int run_rpc(struct cli *cli, const struct invocation *invocation)
{
    struct failure failure;
    struct buf request;
    struct str answer;
    failure_init(&failure, cli->arena);
    buf_init(&request, (size_t)256 << 20);
    const struct schema_method *method = find_method(cli, invocation->positionals[0], &failure);
    bool ok = method && read_request(cli, invocation, method, &request, &failure);
    if (ok && failure.violations.count)
        ok = err_set_violations(&failure.err, &failure.violations);
    if (ok && method->server_streaming)
        ok = print_stream(cli, method, &request, &failure);
    else if (ok)
        ok = session_call(cli, method, buf_str(&request), DIALPLANE_CALL, &answer, &failure) &&
             output_json(cli, method->output, answer, &failure);
    buf_done(&request);
    if (interrupt_happened())
        return EXIT_INTERRUPTED;
    return ok ? EXIT_OK : failure_tell(cli, invocation, &failure);
}
