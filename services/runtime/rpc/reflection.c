/* Server reflection, v1 and v1alpha: the messages are the same but for their package, so v1's serve
 * both. The descriptors are the raw files of the embedded set; a file comes with all that it
 * imports, dependencies first. */
#include "rpc/internal.h"

#include <grpc/reflection/v1/reflection.pb-c.h>
#include <string.h>

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;
typedef Grpc__Reflection__V1__FileDescriptorResponse file_response;
typedef Grpc__Reflection__V1__ListServiceResponse list_response;
typedef Grpc__Reflection__V1__ServiceResponse service_response;
typedef Grpc__Reflection__V1__ErrorResponse error_response;

static const struct schema_file *find_file(const struct schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->file_count; i++) {
        if (strcmp(schema->files[i].name, name) == 0)
            return &schema->files[i];
    }
    return NULL;
}

static void answer(struct rpc_call *call, reflection_request *request,
                   reflection_response *response)
{
    response->valid_host = request->host;
    response->original_request = request;
    struct str bytes = rpc_pack(&response->base, call->message_arena);
    if (!bytes.data) {
        rpc_fail_code(call, ERR_RESOURCE_EXHAUSTED, NULL, "the descriptors do not fit");
        return;
    }
    rpc_stream_send(call, bytes);
}

static void answer_error(struct rpc_call *call, reflection_request *request,
                         reflection_response *response, int code, char *message)
{
    error_response error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    error.error_code = code;
    error.error_message = message;
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    response->error_response = &error;
    answer(call, request, response);
}

/* Adds what `file` imports, then itself; each once. The set is small (dozens), so a linear search
 * will do. */
static void add_file(const struct schema *schema, const struct schema_file *file,
                     const struct schema_file **list, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        if (list[i] == file)
            return;
    }
    /* Imports are acyclic (protoc sees to it), and the list has room for every file of the set. */
    for (size_t i = 0; i < file->dependency_count; i++) {
        const struct schema_file *dependency = find_file(schema, file->dependencies[i]);
        if (dependency)
            add_file(schema, dependency, list, count);
    }
    list[(*count)++] = file;
}

static void answer_file(struct rpc_call *call, reflection_request *request,
                        reflection_response *response, const struct schema_file *file)
{
    const struct schema *schema = call->server->schema;
    if (!file) {
        answer_error(call, request, response, ERR_NOT_FOUND, "no such file or symbol");
        return;
    }
    struct arena *arena = call->message_arena;
    const struct schema_file **list =
        ARENA_ARRAY(arena, const struct schema_file *, schema->file_count);
    ProtobufCBinaryData *data = ARENA_ARRAY(arena, ProtobufCBinaryData, schema->file_count);
    if (!list || !data) {
        rpc_fail_code(call, ERR_RESOURCE_EXHAUSTED, NULL, "the descriptors do not fit");
        return;
    }
    size_t count = 0;
    add_file(schema, file, list, &count);
    /* The file that was asked for comes first: some clients look at the first only. */
    for (size_t i = 0; i < count; i++) {
        struct str raw = list[count - 1 - i]->raw;
        data[i] = (ProtobufCBinaryData){raw.length, (uint8_t *)(uintptr_t)raw.data};
    }
    file_response files = GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    files.n_file_descriptor_proto = count;
    files.file_descriptor_proto = data;
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    response->file_descriptor_response = &files;
    answer(call, request, response);
}

static void answer_services(struct rpc_call *call, reflection_request *request,
                            reflection_response *response)
{
    struct rpc_server *server = call->server;
    service_response *services =
        ARENA_ARRAY(call->message_arena, service_response, server->service_count);
    service_response **pointers =
        ARENA_ARRAY(call->message_arena, service_response *, server->service_count);
    if (!services || !pointers) {
        rpc_fail_code(call, ERR_RESOURCE_EXHAUSTED, NULL, "the list does not fit");
        return;
    }
    for (size_t i = 0; i < server->service_count; i++) {
        grpc__reflection__v1__service_response__init(&services[i]);
        services[i].name = (char *)(uintptr_t)server->service_names[i];
        pointers[i] = &services[i];
    }
    list_response list = GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    list.n_service = server->service_count;
    list.service = pointers;
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    response->list_services_response = &list;
    answer(call, request, response);
}

/* One answer at a time: the next request is asked for when the answer has left. */
static void on_answered(void *context)
{
    rpc_stream_next(context);
}

static void on_request(struct rpc_call *call, const void *message)
{
    reflection_request *request = (reflection_request *)(uintptr_t)message;
    const struct schema *schema = call->server->schema;
    reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    rpc_stream_on_writable(call, on_answered, call);
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        answer_services(call, request, &response);
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        answer_file(call, request, &response, find_file(schema, request->file_by_filename));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        answer_file(call, request, &response,
                    schema_find_file_of_symbol(schema, str_from(request->file_containing_symbol)));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        answer_error(call, request, &response, ERR_NOT_FOUND, "extensions are not listed here");
        break;
    default:
        answer_error(call, request, &response, ERR_INVALID_ARGUMENT,
                     "the request asks for nothing");
        break;
    }
}

static void on_end(struct rpc_call *call)
{
    rpc_stream_end(call);
}

#define REFLECTION_HANDLER(version)                                                                \
    {                                                                                              \
        .path = "/grpc.reflection." version ".ServerReflection/ServerReflectionInfo",              \
        .request = &grpc__reflection__v1__server_reflection_request__descriptor,                   \
        .response = &grpc__reflection__v1__server_reflection_response__descriptor,                 \
        .on_message = on_request, .on_end = on_end, .on_gone = on_end,                             \
        .arena_limit = (size_t)8 << 20,                                                            \
    }

const struct rpc_handler rpc_reflection_handlers[] = {
    REFLECTION_HANDLER("v1"),
    REFLECTION_HANDLER("v1alpha"),
};
const size_t rpc_reflection_handler_count =
    sizeof(rpc_reflection_handlers) / sizeof(rpc_reflection_handlers[0]);
