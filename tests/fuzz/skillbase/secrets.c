/* Hiding on the wire: whatever bytes are stored, nothing that is called a secret is left, and
 * hiding twice is hiding once. Keeping: takes any two configurations. */
#include "domain/secrets.h"

#include <stdlib.h>
#include <string.h>

/* Deeper nesting is refused before anything decodes it (rpc_request_read()). */
#define DECODED_BYTES_LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void forget(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

static Dialplane__V1__SkillbaseConfig *read_config(struct arena *arena, struct str wire)
{
    ProtobufCAllocator allocator = {allocate, forget, arena};

    return dialplane__v1__skillbase_config__unpack(&allocator, wire.length,
                                                   (const uint8_t *)wire.data);
}

/* Every secret of a shown configuration is a mark. */
static void look(const struct secret_names *names, const Google__Protobuf__Struct *object)
{
    for (size_t i = 0; i < object->n_fields; i++) {
        const Google__Protobuf__Value *v = object->fields[i]->value;

        if (!v)
            continue;
        if (secret_names_match(names, str_from(object->fields[i]->key))) {
            if (v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE ||
                v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE ||
                (v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE && *v->string_value &&
                 strcmp(v->string_value, SECRET_MARK) != 0) ||
                (v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE &&
                 v->struct_value->n_fields) ||
                (v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE &&
                 v->list_value->n_values))
                abort();
        } else if (v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE) {
            look(names, v->struct_value);
        }
    }
}

/* `wire` is as our own serializer writes it, and can be read. */
static void check(const struct secret_names *names, struct arena *arena, struct str wire)
{
    struct buf shown, twice;
    struct violations wrong;

    buf_init(&shown, 0);
    buf_init(&twice, 0);
    enum secrets_shown how = secrets_hide(names, wire, &shown);

    if (how != SECRETS_BROKEN) {
        struct str seen = how == SECRETS_HIDDEN ? buf_str(&shown) : wire;
        Dialplane__V1__SkillbaseConfig *config = read_config(arena, seen);
        const Dialplane__V1__SkillbaseConfig *stored = read_config(arena, wire);

        if (!config || !stored)
            abort();
        for (size_t i = 0; i < config->n_tools; i++)
            if (config->tools[i]->config)
                look(names, config->tools[i]->config);
        if (secrets_hide(names, seen, &twice) == SECRETS_HIDDEN &&
            !str_equal(buf_str(&twice), seen))
            abort();
        violations_init(&wrong, arena, 10);
        secrets_find_marks(names, config, "config", &wrong, &wrong);
        secrets_restore(names, config, stored, "config", arena, &wrong);
    }
    buf_done(&shown);
    buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct secret_names *names;
    struct err err = {0};
    struct buf ignored;

    if (!names)
        names = secret_names_new(SECRET_NAMES_DEFAULT, &err);
    buf_init(&ignored, 0);
    secrets_hide(names, (struct str){(const char *)data, size}, &ignored);
    buf_done(&ignored);
    if (size > DECODED_BYTES_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)64 << 20);
    const Dialplane__V1__SkillbaseConfig *config =
        read_config(arena, (struct str){(const char *)data, size});

    if (config) {
        size_t length = dialplane__v1__skillbase_config__get_packed_size(config);
        uint8_t *bytes = arena_alloc(arena, length);

        dialplane__v1__skillbase_config__pack(config, bytes);
        check(names, arena, (struct str){(const char *)bytes, length});
    }
    arena_free(arena);
    return 0;
}
