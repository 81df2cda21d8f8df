#include "load_echo.h"

#include <stdio.h>
#include <stdlib.h>

#define SIZE_LIMIT ((size_t)4 << 20)

static char bytes[SIZE_LIMIT];

struct schema *load_echo(void)
{
    FILE *file = fopen(ECHO_PROTOSET, "rb");
    if (!file) {
        perror(ECHO_PROTOSET);
        return NULL;
    }
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    struct err err = {0};
    struct schema *schema = schema_load(bytes, size, &err);
    if (!schema)
        fprintf(stderr, "%s: %s\n", ECHO_PROTOSET, err.message);
    return schema;
}
