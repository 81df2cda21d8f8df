/* Comments: SourceCodeInfo names what it describes by a path of field numbers and indices into the
 * FileDescriptorProto. */
#include "internal.h"

/* Field numbers in descriptor.proto. */
enum {
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    ENUM_VALUE = 2,
    SERVICE_METHOD = 2,
};

typedef Google__Protobuf__SourceCodeInfo__Location location_proto;

/* Without the one space after each comment marker and the white space around the whole. */
static const char *trimmed(struct loader *loader, const char *comment)
{
    char *text = arena_strdup(loader->arena, comment);
    char *to = text;
    bool at_line_start = true;

    if (!text) {
        loader_short_of_memory(loader);
        return NULL;
    }
    for (const char *from = comment; *from; from++) {
        if (at_line_start && *from == ' ') {
            at_line_start = false;
            continue;
        }
        at_line_start = *from == '\n';
        while (at_line_start && to > text && to[-1] == ' ')
            to--;
        *to++ = *from;
    }
    *to = '\0';
    struct str inner = str_trim(str_from(text));

    text[(inner.data - text) + (ptrdiff_t)inner.length] = '\0';
    return inner.data;
}

static struct symbol const *child(struct loader *loader, const char *scope, const char *name)
{
    const char *full = scope && *scope ? arena_printf(loader->scratch, "%s.%s", scope, name) : name;

    return full ? symbol_find(loader->tables, str_from(full)) : NULL;
}

static const char **enum_comment(struct loader *loader, const struct symbol *symbol,
                                 const int32_t *path, size_t length)
{
    struct schema_enum *enumeration = &loader->tables->schema.enums[symbol->index];

    if (length == 0)
        return &enumeration->comment;
    if (length == 2 && path[0] == ENUM_VALUE && path[1] >= 0 &&
        (size_t)path[1] < enumeration->value_count)
        return &enumeration->values[path[1]].comment;
    return NULL;
}

static const char **service_comment(struct loader *loader, const struct symbol *symbol,
                                    const int32_t *path, size_t length)
{
    struct schema_service *service = &loader->tables->schema.services[symbol->index];

    if (length == 0)
        return &service->comment;
    if (length == 2 && path[0] == SERVICE_METHOD && path[1] >= 0 &&
        (size_t)path[1] < service->method_count)
        return &service->methods[path[1]].comment;
    return NULL;
}

/* `path` is what follows the message's own. */
static const char **message_comment(struct loader *loader, const struct symbol *symbol,
                                    const int32_t *path, size_t length)
{
    for (;;) {
        struct schema_message *message = &loader->tables->schema.messages[symbol->index];
        const message_proto *proto = loader->messages[symbol->index].proto;

        if (length == 0)
            return &message->comment;
        if (length < 2 || path[1] < 0)
            return NULL;
        size_t index = (size_t)path[1];

        if (path[0] == MESSAGE_FIELD && length == 2 && index < message->field_count)
            return &message->fields[index].comment;
        if (path[0] == MESSAGE_ENUM && index < proto->n_enum_type) {
            symbol = child(loader, message->full_name, proto->enum_type[index]->name);
            return symbol ? enum_comment(loader, symbol, path + 2, length - 2) : NULL;
        }
        if (path[0] != MESSAGE_NESTED || index >= proto->n_nested_type)
            return NULL;
        symbol = child(loader, message->full_name, proto->nested_type[index]->name);
        if (!symbol)
            return NULL;
        path += 2;
        length -= 2;
    }
}

/* Where the comment of a location belongs; NULL for what the schema does not keep (imports,
 * options, single tokens). */
static const char **destination(struct loader *loader, const file_proto *file,
                                const location_proto *location)
{
    const int32_t *path = location->path;
    const struct symbol *symbol;

    if (location->n_path < 2 || path[1] < 0)
        return NULL;
    size_t index = (size_t)path[1], rest = location->n_path - 2;

    if (path[0] == FILE_MESSAGE && index < file->n_message_type) {
        symbol = child(loader, file->package, file->message_type[index]->name);
        return symbol ? message_comment(loader, symbol, path + 2, rest) : NULL;
    }
    if (path[0] == FILE_ENUM && index < file->n_enum_type) {
        symbol = child(loader, file->package, file->enum_type[index]->name);
        return symbol ? enum_comment(loader, symbol, path + 2, rest) : NULL;
    }
    if (path[0] == FILE_SERVICE && index < file->n_service) {
        symbol = child(loader, file->package, file->service[index]->name);
        return symbol ? service_comment(loader, symbol, path + 2, rest) : NULL;
    }
    return NULL;
}

bool load_comments(struct loader *loader)
{
    for (size_t f = 0; f < loader->tables->schema.file_count; f++) {
        const file_proto *file = loader->files[f];

        if (!file->source_code_info)
            continue;
        for (size_t i = 0; i < file->source_code_info->n_location; i++) {
            const location_proto *location = file->source_code_info->location[i];
            const char *comment = location->leading_comments ? location->leading_comments
                                                             : location->trailing_comments;
            const char **where = comment ? destination(loader, file, location) : NULL;

            if (where && !(*where = trimmed(loader, comment)))
                return false;
        }
    }
    return true;
}
