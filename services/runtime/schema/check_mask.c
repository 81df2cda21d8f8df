/* The update_mask of an update: it must name fields of the resource, and a REQUIRED field that it
 * names cannot be cleared. Runs after the walk: the bytes are well-formed. */
#include "internal.h"

#include "base/wire.h"

#include <stdio.h>
#include <stdlib.h>

/* Notes which fields of `message` occur in a resource of these bytes. */
static void note_present(const struct schema_message *message, struct str wire, bool *present)
{
    struct wire_reader reader;

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        const struct schema_field *field = schema_find_field_by_number(message, reader.number);

        if (field)
            present[field - message->fields] = true;
    }
}

static void check_path(const struct schema_message *resource, const char *resource_name,
                       struct str path, bool *present, struct violations *violations)
{
    const struct schema_field *field = schema_find_field(resource, path);
    char text[256];

    /* Paths are made of the names of the .proto; handlers compare them as they are. */
    if (!field || !str_equal_cstr(path, field->name)) {
        quote_text(path, text, sizeof(text));
        violations_add(violations, "update_mask", "%s names no field of %s", text, resource_name);
        return;
    }
    if (!field->required || field->output_only || present[field - resource->fields])
        return;
    present[field - resource->fields] = true; /* said once */
    snprintf(text, sizeof(text), "%s.%s", resource_name, field->name);
    violations_add(violations, text, "must not be empty");
}

bool check_mask(const struct schema_message *message, struct str wire, const char *partial_field,
                struct violations *violations, struct err *err)
{
    const struct schema_field *mask = schema_find_field(message, STR_LITERAL("update_mask"));
    const struct schema_field *resource = schema_find_field(message, str_from(partial_field));
    struct wire_reader root, paths;

    if (!mask || mask->type != SCHEMA_MESSAGE || mask->message->well_known != SCHEMA_FIELD_MASK ||
        !resource || resource->type != SCHEMA_MESSAGE)
        return true;
    bool *present = calloc(resource->message->field_count + 1, sizeof(*present));

    if (!present)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "not enough memory to check the request");
    wire_reader_init(&root, wire);
    while (wire_reader_next(&root))
        if (root.number == resource->number && root.type == 2)
            note_present(resource->message, root.bytes, present);
    wire_reader_init(&root, wire);
    while (wire_reader_next(&root)) {
        if (root.number != mask->number || root.type != 2)
            continue;
        wire_reader_init(&paths, root.bytes);
        while (wire_reader_next(&paths))
            if (paths.number == 1 && paths.type == 2)
                check_path(resource->message, resource->name, paths.bytes, present, violations);
    }
    free(present);
    return true;
}
