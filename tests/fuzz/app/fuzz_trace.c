/* What is read as a traceparent is written back as it was; an endpoint is taken or refused. */
#include "app/trace.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace_context context;
    char text[TRACEPARENT_SIZE], address[64], endpoint[256];
    struct err err = {0};

    if (trace_context_parse((struct str){(const char *)data, size}, &context)) {
        trace_context_format(&context, text);
        if (memcmp(text + 2, data + 2, 53) != 0)
            abort();
    }
    if (size >= sizeof(endpoint))
        return 0;
    memcpy(endpoint, data, size);
    endpoint[size] = '\0';
    if (!trace_endpoint_parse(endpoint, address, sizeof(address), &err) && !err_is_set(&err))
        abort();
    return 0;
}
