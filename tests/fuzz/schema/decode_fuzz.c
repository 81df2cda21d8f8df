/* What schema_check lets through decodes in protobuf-c: as it is, or joined. */
#include "schema/schema.h"

#include "dialplane/v1/skillbase.pb-c.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct schema_message *message;
    struct str wire = {(const char *)data, size};
    struct violations violations;
    struct buf joined = {0};
    struct err err = {0};

    if (!message)
        message = schema_find_message(
            schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err),
            STR_LITERAL("dialplane.v1.CreateSkillbaseRequest"));
    violations_init(&violations, NULL, 0);
    if (!schema_check(message, wire, NULL, &violations, &err))
        return 0;
    void *request = dialplane__v1__create_skillbase_request__unpack(NULL, size, data);

    if (!request && schema_join_pieces(message, wire, &joined))
        request = dialplane__v1__create_skillbase_request__unpack(NULL, joined.length,
                                                                  (uint8_t *)joined.data);
    if (!request)
        abort();
    dialplane__v1__create_skillbase_request__free_unpacked(request, NULL);
    buf_done(&joined);
    return 0;
}
