#include "free_form.h"

#include "base/buf.h"

#include <math.h>
#include <stdio.h>

/* Longest path that is shown; a longer one is cut. */
#define PATH_LIMIT 512

/* One step from the root to the value; they live on the stack, and become text only when something
 * is wrong. */
struct step {
    const struct step *parent;
    const char *key; /* NULL: an element of a list */
    size_t index;
};

static void put_path(struct buf *path, const struct step *step)
{
    if (step->parent)
        put_path(path, step->parent);
    if (!step->key) {
        buf_printf(path, "[%zu]", step->index);
        return;
    }
    if (step->parent)
        buf_put_char(path, '.');
    buf_put_cstr(path, step->key);
}

static void complain(const struct step *step, const char *message, struct violations *violations)
{
    struct buf path;

    buf_init(&path, 0);
    put_path(&path, step);
    buf_put_char(&path, '\0');
    if (path.failed || path.length > PATH_LIMIT) {
        const struct step *root = step;
        while (root->parent)
            root = root->parent;
        violations_add(violations, root->key, "%s", message);
    } else {
        violations_add(violations, path.data, "%s", message);
    }
    buf_done(&path);
}

static void check_object(const Google__Protobuf__Struct *object, const struct step *step,
                         struct violations *violations);

static void check_value(const Google__Protobuf__Value *value, const struct step *step,
                        struct violations *violations)
{
    switch (value ? value->kind_case : GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET) {
    case GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET:
        complain(step, "must have a value (null is one)", violations);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        if (!isfinite(value->number_value))
            complain(step, "must be a finite number", violations);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        check_object(value->struct_value, step, violations);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        for (size_t i = 0; value->list_value && i < value->list_value->n_values; i++)
            check_value(value->list_value->values[i], &(struct step){step, NULL, i}, violations);
        break;
    default:
        break;
    }
}

static void check_object(const Google__Protobuf__Struct *object, const struct step *step,
                         struct violations *violations)
{
    for (size_t i = 0; object && i < object->n_fields; i++) {
        const Google__Protobuf__Struct__FieldsEntry *entry = object->fields[i];
        check_value(entry->value, &(struct step){step, entry->key, 0}, violations);
    }
}

void free_form_check(const Google__Protobuf__Struct *object, const char *path,
                     struct violations *violations)
{
    check_object(object, &(struct step){NULL, path, 0}, violations);
}
