#include "gateway/http/head.h"

#include <stdlib.h>
#include <string.h>

void head_init(struct head *head)
{
    head->target = (struct str){NULL, 0};
    head->method = (struct str){NULL, 0};
    head->authority = (struct str){NULL, 0};
    head->protocol = (struct str){NULL, 0};
    head->fields = head->inline_fields;
    head->field_count = 0;
    head->field_capacity = HEAD_INLINE_FIELDS;
    head->bytes = head->inline_bytes;
    head->length = 0;
    head->capacity = HEAD_INLINE_BYTES;
    head->name_open = false;
    head->value_open = false;
}

void head_done(struct head *head)
{
    if (head->fields != head->inline_fields) {
        free(head->fields);
    }
    if (head->bytes != head->inline_bytes) {
        free(head->bytes);
    }
    head_init(head);
}

static void rebase(struct str *text, const char *from, char *to)
{
    if (text->data) {
        text->data = to + (text->data - from);
    }
}

/* The block moves when it grows, and what points into it with it. */
static bool grow_bytes(struct head *head, size_t length)
{
    size_t capacity = head->capacity;
    char *bytes;
    unsigned i;
    while (capacity - head->length < length) {
        capacity *= 2;
    }
    bytes = malloc(capacity);
    if (!bytes) {
        return false;
    }
    memcpy(bytes, head->bytes, head->length);
    rebase(&head->target, head->bytes, bytes);
    rebase(&head->method, head->bytes, bytes);
    rebase(&head->authority, head->bytes, bytes);
    rebase(&head->protocol, head->bytes, bytes);
    for (i = 0; i < head->field_count; i++) {
        rebase(&head->fields[i].name, head->bytes, bytes);
        rebase(&head->fields[i].value, head->bytes, bytes);
    }
    if (head->bytes != head->inline_bytes) {
        free(head->bytes);
    }
    head->bytes = bytes;
    head->capacity = capacity;
    return true;
}

static char *reserve(struct head *head, size_t length)
{
    if (head->capacity - head->length < length && !grow_bytes(head, length)) {
        return NULL;
    }
    return head->bytes + head->length;
}

/* The text that grows is always the last in the block. */
static bool add(struct head *head, struct str *text, const char *data, size_t length)
{
    char *room = reserve(head, length);
    if (!room) {
        return false;
    }
    memcpy(room, data, length);
    if (!text->data) {
        text->data = room;
    }
    text->length += length;
    head->length += length;
    return true;
}

static struct header *new_field(struct head *head)
{
    struct header *field;
    if (head->field_count == head->field_capacity) {
        unsigned capacity = head->field_capacity * 2;
        struct header *fields = malloc(capacity * sizeof(*fields));
        if (!fields) {
            return NULL;
        }
        memcpy(fields, head->fields, head->field_count * sizeof(*fields));
        if (head->fields != head->inline_fields) {
            free(head->fields);
        }
        head->fields = fields;
        head->field_capacity = capacity;
    }
    field = &head->fields[head->field_count++];
    memset(field, 0, sizeof(*field));
    return field;
}

bool head_add_target(struct head *head, const char *data, size_t length)
{
    return add(head, &head->target, data, length);
}

bool head_set_text(struct head *head, struct str *text, const char *data, size_t length)
{
    return add(head, text, data, length);
}

static char to_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

bool head_add_name(struct head *head, const char *data, size_t length)
{
    struct header *field;
    char *room;
    size_t i;
    if (!head->name_open) {
        head_end(head);
        if (!new_field(head)) {
            return false;
        }
        head->name_open = true;
    }
    room = reserve(head, length); /* may move the name that is there */
    if (!room) {
        return false;
    }
    for (i = 0; i < length; i++) {
        room[i] = to_lower(data[i]);
    }
    field = &head->fields[head->field_count - 1];
    if (!field->name.data) {
        field->name.data = room;
    }
    field->name.length += length;
    head->length += length;
    return true;
}

void head_end_name(struct head *head)
{
    /* An empty value is not a missing one. */
    head->fields[head->field_count - 1].value.data = head->bytes + head->length;
    head->name_open = false;
    head->value_open = true;
}

bool head_add_value(struct head *head, const char *data, size_t length)
{
    return add(head, &head->fields[head->field_count - 1].value, data, length);
}

void head_end(struct head *head)
{
    if (head->value_open) {
        struct str *value = &head->fields[head->field_count - 1].value;
        *value = str_trim(*value);
        head->value_open = false;
    }
}

bool head_add_field(struct head *head, struct str name, struct str value)
{
    struct header *field = new_field(head);
    if (!field || !add(head, &field->name, name.data, name.length)) {
        return false;
    }
    /* A grown block has moved the field's name, not the field. */
    return add(head, &head->fields[head->field_count - 1].value, value.data, value.length);
}

static bool is_named(const struct header *field, struct str name)
{
    return field->name.length == name.length &&
           memcmp(field->name.data, name.data, name.length) == 0;
}

const struct header *head_find(const struct head *head, struct str name)
{
    unsigned i;
    for (i = 0; i < head->field_count; i++) {
        if (is_named(&head->fields[i], name)) {
            return &head->fields[i];
        }
    }
    return NULL;
}

unsigned head_count(const struct head *head, struct str name)
{
    unsigned i, count = 0;
    for (i = 0; i < head->field_count; i++) {
        count += is_named(&head->fields[i], name);
    }
    return count;
}

static bool list_has(struct str list, struct str token)
{
    while (list.length > 0) {
        const char *comma = memchr(list.data, ',', list.length);
        size_t length = comma ? (size_t)(comma - list.data) : list.length;
        if (str_equal_ignore_case(str_trim((struct str){list.data, length}), token)) {
            return true;
        }
        if (!comma) {
            return false;
        }
        list.data += length + 1;
        list.length -= length + 1;
    }
    return false;
}

bool head_has_token(const struct head *head, struct str name, struct str token)
{
    unsigned i;
    for (i = 0; i < head->field_count; i++) {
        if (is_named(&head->fields[i], name) && list_has(head->fields[i].value, token)) {
            return true;
        }
    }
    return false;
}
