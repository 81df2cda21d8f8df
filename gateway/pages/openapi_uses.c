/* Which messages the document needs, and in which forms: a walk from every binding. */
#include "gateway/pages/openapi_writer.h"

#include <stdlib.h>
#include <string.h>

static void mark_nested(const struct schema *schema, struct openapi_use *uses,
                        const struct schema_message *message, bool answer);

/* The message and all it holds; what is marked already ends the walk, so that a message within
 * itself is no circle. */
static void mark(const struct schema *schema, struct openapi_use *uses,
                 const struct schema_message *message, bool answer)
{
    struct openapi_use *use = &uses[message - schema->messages];
    bool *marked = answer ? &use->answer : &use->input;
    if (*marked || (!has_own_schema(message) && !message->map_entry))
        return;
    *marked = true;
    mark_nested(schema, uses, message, answer);
}

static void mark_nested(const struct schema *schema, struct openapi_use *uses,
                        const struct schema_message *message, bool answer)
{
    for (size_t i = 0; i < message->field_count; i++)
        if (message->fields[i].type == SCHEMA_MESSAGE &&
            (answer || !message->fields[i].output_only))
            mark(schema, uses, message->fields[i].message, answer);
}

static void mark_binding(const struct schema *schema, struct openapi_use *uses,
                         const struct schema_method *method, const struct schema_binding *binding)
{
    if (method->http_status != 204 && !method->download_type)
        mark(schema, uses, method->output, true);
    if (method->client_streaming)
        return;
    if (binding->body_whole) {
        uses[method->input - schema->messages].body = binding;
        mark_nested(schema, uses, method->input, false);
    } else if (binding->body_field && binding->body_field->type == SCHEMA_MESSAGE) {
        const struct schema_message *resource = binding->body_field->message;
        struct openapi_use *use = &uses[resource - schema->messages];
        if (strcmp(binding->verb, "POST") == 0)
            use->create = true;
        else
            use->update = true;
        mark_nested(schema, uses, resource, false);
    }
}

struct openapi_use *openapi_uses(const struct schema *schema)
{
    size_t count = schema->message_count ? schema->message_count : 1;
    struct openapi_use *uses = calloc(count, sizeof(*uses));
    for (size_t s = 0; uses && s < schema->service_count; s++) {
        for (size_t m = 0; m < schema->services[s].method_count; m++) {
            const struct schema_method *method = &schema->services[s].methods[m];
            for (size_t b = 0; b < method->binding_count; b++)
                mark_binding(schema, uses, method, &method->bindings[b]);
        }
    }
    return uses;
}
