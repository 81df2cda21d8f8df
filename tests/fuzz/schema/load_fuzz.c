/* schema_load on any bytes: an error or a schema, never a crash. */
#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct schema *schema = schema_load(data, size, &err);

    schema_free(schema);
    return 0;
}
