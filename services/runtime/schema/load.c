/* The load, in order: the set's files are kept raw and parsed; every message, enum and service gets
 * its place and its name; then fields, rules, services, comments and lookups are filled in, each of
 * which may now point at any message. The parsed descriptors live in a scratch arena and are gone
 * at the end. */
#include "internal.h"

#include "base/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SCHEMA_ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define SCRATCH_ARENA_BYTES ((size_t)256 * 1024 * 1024)
#define NESTING_LIMIT 32 /* of message types in message types */

bool loader_fail(struct loader *loader, const char *symbol, const char *format, ...)
{
    char text[300];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return err_set(loader->err, ERR_INTERNAL, NULL, "%s: %s: %s", loader->file_name, symbol, text);
}

bool loader_short_of_memory(struct loader *loader)
{
    return err_set(loader->err, ERR_RESOURCE_EXHAUSTED, NULL,
                   "%s: not enough memory for the schema", loader->file_name);
}

const char *loader_keep(struct loader *loader, const char *text)
{
    if (!text || !*text)
        return "";
    const char *copy = arena_strdup(loader->arena, text);

    if (!copy)
        loader_short_of_memory(loader);
    return copy;
}

void *loader_array(struct loader *loader, size_t count, size_t size)
{
    void *array = arena_calloc(loader->arena, count, size);

    if (!array)
        loader_short_of_memory(loader);
    return array;
}

const struct symbol *loader_resolve(struct loader *loader, const char *type_name,
                                    enum symbol_kind kind)
{
    if (!type_name || type_name[0] != '.')
        return NULL;
    const struct symbol *symbol = symbol_find(loader->tables, str_from(type_name + 1));

    return symbol && symbol->kind == kind ? symbol : NULL;
}

static void *scratch_alloc(void *data, size_t size)
{
    return arena_alloc(data, size);
}

static void scratch_free(void *data, void *pointer)
{
    (void)data; /* the arena goes as a whole */
    (void)pointer;
}

/* protobuf-c follows nesting without a limit, so how deep `number` nests in itself is looked at
 * before it parses. */
bool wire_nests_within(struct str wire, uint32_t number, unsigned limit)
{
    struct wire_reader reader;

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader))
        if (reader.number == number && reader.type == 2 &&
            (limit == 0 || !wire_nests_within(reader.bytes, number, limit - 1)))
            return false;
    return true;
}

/* Message types (field 4 of a file) nest through field 3 of theirs. */
static bool types_nest_within_limit(struct str file)
{
    struct wire_reader reader;

    wire_reader_init(&reader, file);
    while (wire_reader_next(&reader))
        if (reader.number == 4 && reader.type == 2 &&
            !wire_nests_within(reader.bytes, 3, NESTING_LIMIT))
            return false;
    return true;
}

/* Files, raw and parsed. The set is `repeated FileDescriptorProto file = 1`. */
static bool read_files(struct loader *loader, struct str set)
{
    struct schema *schema = &loader->tables->schema;
    ProtobufCAllocator allocator = {scratch_alloc, scratch_free, loader->scratch};
    struct wire_reader reader;
    size_t count = 0;

    wire_reader_init(&reader, set);
    while (wire_reader_next(&reader))
        count += reader.number == 1 && reader.type == 2;
    if (reader.malformed)
        return err_set(loader->err, ERR_INTERNAL, NULL, "the descriptor set is malformed");
    schema->files = loader_array(loader, count, sizeof(*schema->files));
    loader->files = arena_calloc(loader->scratch, count, sizeof(*loader->files));
    if (!schema->files || !loader->files)
        return loader_short_of_memory(loader);
    wire_reader_init(&reader, set);
    while (wire_reader_next(&reader)) {
        if (reader.number != 1 || reader.type != 2)
            continue;
        struct schema_file *file = &schema->files[schema->file_count];
        file_proto *proto = NULL;

        if (types_nest_within_limit(reader.bytes))
            proto = google__protobuf__file_descriptor_proto__unpack(
                &allocator, reader.bytes.length, (const uint8_t *)reader.bytes.data);
        if (!proto || !proto->name)
            return err_set(loader->err, ERR_INTERNAL, NULL,
                           "file %zu of the descriptor set is malformed", schema->file_count);
        loader->files[schema->file_count] = proto;
        file->raw = reader.bytes;
        file->name = loader_keep(loader, proto->name);
        file->dependencies = loader_array(loader, proto->n_dependency, sizeof(*file->dependencies));
        if (!file->name || !file->dependencies)
            return false;
        for (size_t i = 0; i < proto->n_dependency; i++)
            if (!(file->dependencies[i] = loader_keep(loader, proto->dependency[i])))
                return false;
        file->dependency_count = proto->n_dependency;
        schema->file_count++;
    }
    return true;
}

/* How many of each kind there are. */
struct census {
    size_t messages, enums, services, others;
};

static bool has_name(struct loader *loader, const char *name, const char *what)
{
    return (name && *name) || loader_fail(loader, what, "has no name");
}

static bool count_enum(struct loader *loader, const enum_proto *proto, struct census *census)
{
    census->enums++;
    census->others += proto->n_value;
    for (size_t i = 0; i < proto->n_value; i++)
        if (!has_name(loader, proto->value[i]->name, "an enum value"))
            return false;
    return has_name(loader, proto->name, "an enum");
}

static bool count_extensions(struct loader *loader, field_proto *const *extensions, size_t count,
                             struct census *census)
{
    census->others += count;
    for (size_t i = 0; i < count; i++)
        if (!has_name(loader, extensions[i]->name, "an extension"))
            return false;
    return true;
}

static bool count_message(struct loader *loader, const message_proto *proto, struct census *census)
{
    census->messages++;
    if (!has_name(loader, proto->name, "a message") ||
        !count_extensions(loader, proto->extension, proto->n_extension, census))
        return false;
    for (size_t i = 0; i < proto->n_oneof_decl; i++)
        if (!has_name(loader, proto->oneof_decl[i]->name, "a oneof"))
            return false;
    for (size_t i = 0; i < proto->n_enum_type; i++)
        if (!count_enum(loader, proto->enum_type[i], census))
            return false;
    for (size_t i = 0; i < proto->n_nested_type; i++)
        if (!count_message(loader, proto->nested_type[i], census))
            return false;
    return true;
}

static bool count_service(struct loader *loader, const service_proto *proto, struct census *census)
{
    census->services++;
    for (size_t i = 0; i < proto->n_method; i++)
        if (!has_name(loader, proto->method[i]->name, "a method"))
            return false;
    return has_name(loader, proto->name, "a service");
}

/* Also makes sure that everything has the name that later steps take for granted. */
static bool count_all(struct loader *loader, struct census *census)
{
    for (size_t f = 0; f < loader->tables->schema.file_count; f++) {
        const file_proto *file = loader->files[f];

        loader->file_name = file->name;
        if (!count_extensions(loader, file->extension, file->n_extension, census))
            return false;
        for (size_t i = 0; i < file->n_enum_type; i++)
            if (!count_enum(loader, file->enum_type[i], census))
                return false;
        for (size_t i = 0; i < file->n_message_type; i++)
            if (!count_message(loader, file->message_type[i], census))
                return false;
        for (size_t i = 0; i < file->n_service; i++)
            if (!count_service(loader, file->service[i], census))
                return false;
    }
    return true;
}

/* "scope.name", or the name where the scope is empty; NULL with err when memory is short. */
static const char *join(struct loader *loader, const char *scope, const char *name)
{
    const char *full = scope && *scope ? arena_printf(loader->arena, "%s.%s", scope, name)
                                       : arena_strdup(loader->arena, name);

    if (!full)
        loader_short_of_memory(loader);
    return full;
}

static bool add_other(struct loader *loader, const char *scope, const char *name, uint32_t file)
{
    const char *full = join(loader, scope, name);

    return full && symbol_add(loader, full, SYMBOL_OTHER, 0, file);
}

static bool add_enum(struct loader *loader, const char *scope, enum_proto *proto, uint32_t file)
{
    struct schema *schema = &loader->tables->schema;
    struct schema_enum *enumeration = &schema->enums[schema->enum_count];

    enumeration->full_name = join(loader, scope, proto->name);
    enumeration->comment = "";
    if (!enumeration->full_name ||
        !symbol_add(loader, enumeration->full_name, SYMBOL_ENUM, schema->enum_count, file))
        return false;
    /* The names of enum values stand beside their enum, as in C++. */
    for (size_t i = 0; i < proto->n_value; i++)
        if (!add_other(loader, scope, proto->value[i]->name, file))
            return false;
    loader->enums[schema->enum_count++] = proto;
    return true;
}

static bool add_message(struct loader *loader, const char *scope, message_proto *proto,
                        uint32_t file)
{
    struct schema *schema = &loader->tables->schema;
    struct schema_message *message = &schema->messages[schema->message_count];

    message->full_name = join(loader, scope, proto->name);
    message->comment = "";
    if (!message->full_name ||
        !symbol_add(loader, message->full_name, SYMBOL_MESSAGE, schema->message_count, file))
        return false;
    loader->messages[schema->message_count].proto = proto;
    loader->messages[schema->message_count].file = file;
    schema->message_count++;
    for (size_t i = 0; i < proto->n_enum_type; i++)
        if (!add_enum(loader, message->full_name, proto->enum_type[i], file))
            return false;
    for (size_t i = 0; i < proto->n_extension; i++)
        if (!add_other(loader, message->full_name, proto->extension[i]->name, file))
            return false;
    for (size_t i = 0; i < proto->n_nested_type; i++)
        if (!add_message(loader, message->full_name, proto->nested_type[i], file))
            return false;
    return true;
}

static bool add_services(struct loader *loader, const file_proto *file, uint32_t index)
{
    struct schema *schema = &loader->tables->schema;

    for (size_t i = 0; i < file->n_service; i++) {
        struct schema_service *service = &schema->services[schema->service_count];

        service->full_name = join(loader, file->package, file->service[i]->name);
        service->comment = service->backend = "";
        if (!service->full_name ||
            !symbol_add(loader, service->full_name, SYMBOL_SERVICE, schema->service_count, index))
            return false;
        loader->services[schema->service_count++] = file->service[i];
    }
    return true;
}

static bool allocate(struct loader *loader, const struct census *census)
{
    struct schema *schema = &loader->tables->schema;
    size_t names = census->messages + census->enums + census->services + census->others;
    size_t slots = 16;

    while (slots < 2 * names)
        slots *= 2;
    loader->tables->symbol_mask = slots - 1;
    loader->tables->symbols = loader_array(loader, slots, sizeof(*loader->tables->symbols));
    schema->messages = loader_array(loader, census->messages, sizeof(*schema->messages));
    schema->enums = loader_array(loader, census->enums, sizeof(*schema->enums));
    schema->services = loader_array(loader, census->services, sizeof(*schema->services));
    loader->messages = arena_calloc(loader->scratch, census->messages, sizeof(*loader->messages));
    loader->enums = arena_calloc(loader->scratch, census->enums, sizeof(*loader->enums));
    loader->services = arena_calloc(loader->scratch, census->services, sizeof(*loader->services));
    if (!loader->tables->symbols || !schema->messages || !schema->enums || !schema->services ||
        !loader->messages || !loader->enums || !loader->services)
        return loader_short_of_memory(loader);
    return true;
}

static bool register_all(struct loader *loader)
{
    struct census census = {0};

    if (!count_all(loader, &census) || !allocate(loader, &census))
        return false;
    for (uint32_t f = 0; f < loader->tables->schema.file_count; f++) {
        file_proto *file = loader->files[f];

        loader->file_name = file->name;
        for (size_t i = 0; i < file->n_enum_type; i++)
            if (!add_enum(loader, file->package, file->enum_type[i], f))
                return false;
        for (size_t i = 0; i < file->n_message_type; i++)
            if (!add_message(loader, file->package, file->message_type[i], f))
                return false;
        for (size_t i = 0; i < file->n_extension; i++)
            if (!add_other(loader, file->package, file->extension[i]->name, f))
                return false;
        if (!add_services(loader, file, f))
            return false;
    }
    return true;
}

static bool build_all_plans(struct loader *loader)
{
    struct schema *schema = &loader->tables->schema;

    for (size_t i = 0; i < schema->message_count; i++)
        if (!build_plans(loader, &schema->messages[i]))
            return false;
    return true;
}

static bool load(struct loader *loader, struct str set)
{
    return read_files(loader, set) && register_all(loader) && load_enums(loader) &&
           load_messages(loader) && load_field_rules(loader) && load_services(loader) &&
           load_comments(loader) && build_all_plans(loader);
}

struct schema *schema_load(const void *descriptor_set, size_t size, struct err *err)
{
    struct loader loader = {.err = err, .file_name = "descriptor set"};
    struct schema *schema = NULL;

    loader.arena = arena_new(SCHEMA_ARENA_BYTES);
    loader.scratch = arena_new(SCRATCH_ARENA_BYTES);
    if (loader.arena)
        loader.tables = ARENA_NEW(loader.arena, struct schema_tables);
    if (!loader.scratch || !loader.tables) {
        loader_short_of_memory(&loader);
    } else if (load(&loader, (struct str){descriptor_set, size})) {
        note_personal(&loader.tables->schema);
        schema = &loader.tables->schema;
        schema->arena = loader.arena;
        loader.arena = NULL;
    }
    arena_free(loader.scratch);
    arena_free(loader.arena);
    return schema;
}

void schema_free(struct schema *schema)
{
    if (schema)
        arena_free(schema->arena); /* the schema itself lives in it */
}
