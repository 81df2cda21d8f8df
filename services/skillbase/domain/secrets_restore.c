/* Keeping: the "***" of a new configuration become what the stored one has, on decoded messages.
 * The two are walked side by side; where the new one has no counterpart, nothing is stored. */
#include "domain/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Google__Protobuf__Struct object;
typedef Google__Protobuf__Struct__FieldsEntry member;
typedef Google__Protobuf__Value value;
typedef Google__Protobuf__ListValue list;

/* In longer lists only what is in the same place is compared: the work stays bounded. */
#define LIST_MATCH_LIMIT 64
/* From so many members on they are sorted before they are looked for. */
#define SORT_FROM 17
#define PATH_LIMIT 1000

/* Where the walk is: from here up to the root, whose key is the path of the configuration. */
struct step {
    const struct step *up;
    const char *key; /* NULL: index */
    size_t index;
};

struct walk {
    const struct secret_names *names;
    struct arena *arena;
    struct violations *wrong; /* NULL: not wanted */
    struct violations *marks; /* NULL: not wanted */
    size_t mark_count;
    size_t missing;  /* marks for which nothing is stored */
    bool only_finds; /* nothing is stored anywhere, and nobody is told so */
    bool is_trial;   /* counts, and changes nothing */
};

static void walk_value(struct walk *walk, value *new, const value *old, const struct step *at);

/* ---- Paths ---- */

static size_t put_path(const struct step *at, char *out, size_t size)
{
    size_t length = at->up ? put_path(at->up, out, size) : 0;
    char index[24];
    const char *text = at->key;

    if (!text) {
        snprintf(index, sizeof(index), "[%zu]", at->index);
        text = index;
    } else if (at->up && length + 1 < size) {
        out[length++] = '.';
    }
    size_t more = strlen(text);

    if (more > size - 1 - length)
        more = size - 1 - length;
    memcpy(out + length, text, more);
    out[length + more] = '\0';
    return length + more;
}

static void complain(struct violations *violations, const struct step *at, const char *sentence)
{
    char path[PATH_LIMIT];

    if (!violations)
        return;
    put_path(at, path, sizeof(path));
    violations_add(violations, path, "%s", sentence);
}

/* ---- Values ---- */

static bool is_mark(const value *v)
{
    return v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE &&
           !strcmp(v->string_value, SECRET_MARK);
}

/* As secrets_hide() sees it. */
static bool is_empty(const value *v)
{
    switch (v ? v->kind_case : GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET) {
    case GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET:
    case GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE:
        return true;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        return !*v->string_value;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        return v->struct_value->n_fields == 0;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        return v->list_value->n_values == 0;
    default:
        return false;
    }
}

static bool has_mark_inside(const value *v)
{
    if (is_mark(v))
        return true;
    if (v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE) {
        for (size_t i = 0; i < v->struct_value->n_fields; i++)
            if (has_mark_inside(v->struct_value->fields[i]->value))
                return true;
    } else if (v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE) {
        for (size_t i = 0; i < v->list_value->n_values; i++)
            if (has_mark_inside(v->list_value->values[i]))
                return true;
    }
    return false;
}

static bool is_pair(const struct secret_names *names, const object *o)
{
    for (size_t i = 0; i < o->n_fields; i++) {
        const member *m = o->fields[i];

        if (secret_is_label(str_from(m->key)) && m->value &&
            m->value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE &&
            secret_names_match(names, str_from(m->value->string_value)))
            return true;
    }
    return false;
}

static bool is_secret(const struct secret_names *names, const member *m, bool pair)
{
    return !is_empty(m->value) &&
           (secret_names_match(names, str_from(m->key)) || (pair && !strcmp(m->key, "value")));
}

/* ---- Counterparts ---- */

struct members {
    const member **sorted; /* NULL: few enough to go through */
    const object *of;      /* NULL: none */
};

static int compare_members(const void *a, const void *b)
{
    return strcmp((*(const member *const *)a)->key, (*(const member *const *)b)->key);
}

static struct members members_of(struct arena *arena, const object *o)
{
    struct members members = {NULL, o};

    if (!o || o->n_fields < SORT_FROM)
        return members;
    members.sorted = arena_memdup(arena, o->fields, o->n_fields * sizeof(*o->fields));
    if (members.sorted)
        qsort(members.sorted, o->n_fields, sizeof(*members.sorted), compare_members);
    else
        members.of = NULL; /* the arena is exhausted, and who owns it will say so */
    return members;
}

static const value *find(const struct members *members, const char *key)
{
    member wanted = {.key = (char *)key};
    const member *wanted_ = &wanted;

    if (members->sorted) {
        const member **found = bsearch(&wanted_, members->sorted, members->of->n_fields,
                                       sizeof(*members->sorted), compare_members);

        return found ? (*found)->value : NULL;
    }
    for (size_t i = 0; members->of && i < members->of->n_fields; i++)
        if (!strcmp(members->of->fields[i]->key, key))
            return members->of->fields[i]->value;
    return NULL;
}

static const object *object_of(const value *v)
{
    return v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE ? v->struct_value : NULL;
}

static const list *list_of(const value *v)
{
    return v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE ? v->list_value : NULL;
}

/* Equal, or equal once what is stored is hidden. Members in the same order, as they were shown. */
static bool equal_hidden(const struct secret_names *names, const value *new, const value *old)
{
    if (!new || !old || new->kind_case != old->kind_case)
        return !new && !old;
    switch (new->kind_case) {
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        return !memcmp(&new->number_value, &old->number_value, sizeof(double));
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        return !strcmp(new->string_value, old->string_value);
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        return !new->bool_value == !old->bool_value;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        if (new->list_value->n_values != old->list_value->n_values)
            return false;
        for (size_t i = 0; i < new->list_value->n_values; i++)
            if (!equal_hidden(names, new->list_value->values[i], old->list_value->values[i]))
                return false;
        return true;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        break;
    default:
        return true;
    }
    const object *n = new->struct_value, *o = old->struct_value;

    if (n->n_fields != o->n_fields)
        return false;
    bool pair = is_pair(names, n);

    for (size_t i = 0; i < n->n_fields; i++) {
        const member *a = n->fields[i], *b = o->fields[i];

        if (strcmp(a->key, b->key) != 0)
            return false;
        bool is_kept = is_mark(a->value) && is_secret(names, a, pair) && !is_empty(b->value);

        if (!is_kept && !equal_hidden(names, a->value, b->value))
            return false;
    }
    return true;
}

/* What an item of a list is called: the first of these that it has as a text. */
static const char *identity_of(const value *item)
{
    static const char *const keys[] = {"id", "name", "key", "header"};
    const struct members members = {NULL, object_of(item)};

    for (size_t i = 0; members.of && i < sizeof(keys) / sizeof(keys[0]); i++) {
        const value *v = find(&members, keys[i]);

        if (v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE && *v->string_value)
            return v->string_value;
    }
    return NULL;
}

static bool same_item(const struct secret_names *names, const value *new, const value *old)
{
    const char *a = identity_of(new), *b = identity_of(old);

    return a && b ? !strcmp(a, b) : !a && !b && equal_hidden(names, new, old);
}

/* The stored item that belongs to new item i, or NULL. `taken` of the stored ones: some other's. */
static const value *own_item(const struct secret_names *names, const list *new, size_t i,
                             const list *old, bool *taken)
{
    if (i < old->n_values && !(taken && taken[i]) &&
        same_item(names, new->values[i], old->values[i])) {
        if (taken)
            taken[i] = true;
        return old->values[i];
    }
    for (size_t k = 0; taken && k < old->n_values; k++)
        if (!taken[k] && same_item(names, new->values[i], old->values[k])) {
            taken[k] = true;
            return old->values[k];
        }
    return NULL;
}

/* ---- The way down ---- */

static void walk_list(struct walk *walk, const list *new, const list *old, const struct step *at)
{
    bool is_short = old && new->n_values <= LIST_MATCH_LIMIT && old->n_values <= LIST_MATCH_LIMIT;
    const value *partners[LIST_MATCH_LIMIT] = {NULL};
    bool taken[LIST_MATCH_LIMIT] = {false};

    for (size_t i = 0; is_short && i < new->n_values; i++)
        partners[i] = own_item(walk->names, new, i, old, taken);
    for (size_t i = 0; i < new->n_values; i++) {
        const struct step here = {.up = at, .index = i};
        const value *partner = NULL;

        if (is_short && partners[i])
            partner = partners[i];
        else if (is_short && new->n_values == old->n_values && !taken[i])
            partner = old->values[i];
        else if (!is_short && old)
            partner = own_item(walk->names, new, i, old, NULL);
        walk_value(walk, new->values[i], partner, &here);
    }
}

static void meet_secret(struct walk *walk, member *m, const struct members *old,
                        const struct step *at)
{
    if (!is_mark(m->value)) {
        if (walk->only_finds && has_mark_inside(m->value))
            complain(walk->wrong, at,
                     "is a secret, which is hidden as a whole: send \"" SECRET_MARK
                     "\" in place of all of it to keep it, or all of it anew");
        return;
    }
    walk->mark_count++;
    if (walk->only_finds) {
        complain(walk->marks, at,
                 "is \"" SECRET_MARK
                 "\", which only an update can keep, where a value is stored: send the value");
        return;
    }
    value *stored = (value *)find(old, m->key);

    if (is_empty(stored)) {
        walk->missing++;
        if (!walk->is_trial)
            complain(walk->wrong, at,
                     "is \"" SECRET_MARK
                     "\", which keeps a stored value, but nothing is stored here: send the value");
    } else if (!walk->is_trial) {
        m->value = stored;
    }
}

static void walk_object(struct walk *walk, const object *new, const object *old,
                        const struct step *at)
{
    bool pair = is_pair(walk->names, new);
    const struct members stored = members_of(walk->arena, old);

    for (size_t i = 0; i < new->n_fields; i++) {
        member *m = new->fields[i];
        const struct step here = {.up = at, .key = m->key};

        if (is_secret(walk->names, m, pair))
            meet_secret(walk, m, &stored, &here);
        else if (object_of(m->value) || list_of(m->value))
            walk_value(walk, m->value, find(&stored, m->key), &here);
    }
}

static void walk_value(struct walk *walk, value *new, const value *old, const struct step *at)
{
    if (object_of(new))
        walk_object(walk, object_of(new), object_of(old), at);
    else if (list_of(new))
        walk_list(walk, list_of(new), list_of(old), at);
}

static void walk_tool(struct walk *walk, const Dialplane__V1__Tool *new,
                      const Dialplane__V1__Tool *old, size_t index, const struct step *tools)
{
    const struct step tool = {.up = tools, .index = index};
    const struct step config = {.up = &tool, .key = "config"};

    if (new->config)
        walk_object(walk, new->config, old ? old->config : NULL, &config);
}

/* ---- Tools ---- */

static const Dialplane__V1__Tool *tool_named(const Dialplane__V1__SkillbaseConfig *config,
                                             const char *name)
{
    for (size_t i = 0; i < config->n_tools; i++)
        if (!strcmp(config->tools[i]->name, name))
            return config->tools[i];
    return NULL;
}

/* The one stored tool that is gone and has all that the new one keeps; NULL when there is none, or
 * a choice. `taken`, of the stored ones: some other's former self. */
static const Dialplane__V1__Tool *former_tool(const struct walk *walk,
                                              const Dialplane__V1__SkillbaseConfig *config,
                                              const Dialplane__V1__Tool *new,
                                              const Dialplane__V1__SkillbaseConfig *stored,
                                              bool *taken)
{
    const struct step root = {.key = ""};
    size_t former = SIZE_MAX;

    for (size_t i = 0; i < stored->n_tools; i++) {
        struct walk trial = {.names = walk->names, .arena = walk->arena, .is_trial = true};

        if (taken[i] || tool_named(config, stored->tools[i]->name))
            continue;
        walk_tool(&trial, new, stored->tools[i], 0, &root);
        if (trial.missing || !trial.mark_count)
            continue;
        if (former != SIZE_MAX)
            return NULL;
        former = i;
    }
    if (former == SIZE_MAX)
        return NULL;
    taken[former] = true;
    return stored->tools[former];
}

size_t secrets_find_marks(const struct secret_names *names,
                          const Dialplane__V1__SkillbaseConfig *config, const char *path,
                          struct violations *marks, struct violations *wrong)
{
    struct walk walk = {.names = names, .wrong = wrong, .marks = marks, .only_finds = true};
    const struct step root = {.key = path};
    const struct step tools = {.up = &root, .key = "tools"};

    for (size_t i = 0; config && i < config->n_tools; i++)
        walk_tool(&walk, config->tools[i], NULL, i, &tools);
    return walk.mark_count;
}

void secrets_restore(const struct secret_names *names, Dialplane__V1__SkillbaseConfig *config,
                     const Dialplane__V1__SkillbaseConfig *stored, const char *path,
                     struct arena *arena, struct violations *wrong)
{
    struct walk walk = {.names = names, .arena = arena, .wrong = wrong};
    const struct step root = {.key = path};
    const struct step tools = {.up = &root, .key = "tools"};
    bool *taken = ARENA_ARRAY(arena, bool, stored->n_tools + 1);

    for (size_t i = 0; taken && i < config->n_tools; i++) {
        const Dialplane__V1__Tool *new = config->tools[i];
        const Dialplane__V1__Tool *old = tool_named(stored, new->name);

        walk_tool(&walk, new, old ? old : former_tool(&walk, config, new, stored, taken), i,
                  &tools);
    }
}
