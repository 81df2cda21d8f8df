#include "service/list.h"

#include "base/log.h"
#include "service/handler.h"

#include <stdlib.h>
#include <string.h>

/* In the call's arena. */
struct page {
    const struct list *list;
    const char *parent_id; /* NULL: a list without parent */
    const char *scope;
    struct page_start start;
    const int32_t *skip; /* NULL: the request has none */
    int32_t limit;
};

/* NULL: the message has no such field. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessage *message, const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessage *message, const char *name,
                                                ProtobufCType type)
{
    const ProtobufCFieldDescriptor *field = find_field(message, name);

    if (!field || field->type != type) {
        log_event(LOG_LEVEL_ERROR, "list_without_field",
                  log_text("message", message->descriptor->name), log_text("field", name));
        abort(); /* a mistake of ours, which the method's first test finds */
    }
    return field;
}

static void *at(const ProtobufCMessage *message, unsigned offset)
{
    return (char *)(uintptr_t)message + offset;
}

static void *member_of(const ProtobufCMessage *message, const char *name, ProtobufCType type)
{
    return at(message, field_of(message, name, type)->offset);
}

static const char *text_of(const ProtobufCMessage *message, const char *name)
{
    return *(char **)member_of(message, name, PROTOBUF_C_TYPE_STRING);
}

static const int32_t *skip_of(const ProtobufCMessage *request)
{
    if (!find_field(request, "skip"))
        return NULL;
    return member_of(request, "skip", PROTOBUF_C_TYPE_INT32);
}

/* NULL: arena exhausted. */
static const char *scope_of(struct arena *arena, const struct list *list,
                            const ProtobufCMessage *request)
{
    if (list->scope[strlen(list->scope) - 1] != '/')
        return list->scope;
    return page_scope(arena, list->scope, text_of(request, list->parent_field));
}

void list_check(const struct list *list, const void *request, struct violations *violations)
{
    const char *scope = scope_of(violations->arena, list, request);
    const int32_t *skip = skip_of(request);

    if (scope)
        page_check(scope, skip ? *skip : 0, text_of(request, "page_token"), violations);
}

bool list_open(struct rpc_call *call, const struct list *list, const void *request)
{
    ProtobufCMessage *message = (void *)request;
    struct arena *arena = rpc_call_arena(call);
    struct page *page = ARENA_NEW(arena, struct page);
    const char *scope = scope_of(arena, list, message);
    const char *token = text_of(message, "page_token");
    bool continues = token && *token;

    if (!page || !scope || !rpc_apply_defaults(rpc_call_schema(call), message, arena) ||
        (continues && !page_token_read(arena, scope, token, &page->start.after))) {
        fail_memory(call); /* the token itself was checked */
        return false;
    }
    page->list = list;
    page->parent_id = list->parent ? text_of(message, list->parent_field) : NULL;
    page->scope = scope;
    page->start.continues = continues;
    page->skip = skip_of(message);
    page->limit = *(int32_t *)member_of(message, "limit", PROTOBUF_C_TYPE_INT32);
    rpc_call_set_state(call, page);
    return true;
}

void list_param_page(struct pg_params *params, const struct rpc_call *call)
{
    const struct page *page = rpc_call_state(call);

    param_page(params, page->list->order, &page->start);
    if (page->skip)
        pg_param_int64(params, *page->skip);
    pg_param_int64(params, page->limit);
}

/* Fills `items` up to the end of the page; gives their number, negative after the call has been
 * failed. */
static int fill_items(struct rpc_call *call, ProtobufCMessage *response,
                      const struct pg_result *rows, int most)
{
    const struct list *list = ((const struct page *)rpc_call_state(call))->list;
    const ProtobufCFieldDescriptor *field = field_of(response, "items", PROTOBUF_C_TYPE_MESSAGE);
    struct arena *arena = rpc_call_arena(call);
    void **items = ARENA_ARRAY(arena, void *, (size_t)most);
    struct err err = {0};
    size_t bytes = 0;
    int count = 0;
    bool ok = items;

    while (ok && count < most && (!list->bytes_limit || bytes <= list->bytes_limit)) {
        items[count] = list->item(call, rows, count, &err);
        ok = items[count];
        if (list->bytes_limit)
            bytes += pg_str(rows, count, list->bytes_column).length;
        count++;
    }
    if (err_is_set(&err)) {
        rpc_fail(call, &err);
        return -1;
    }
    if (!ok || arena_is_exhausted(arena)) {
        fail_memory(call);
        return -1;
    }
    *(void ***)at(response, field->offset) = items;
    *(size_t *)at(response, field->quantifier_offset) = (size_t)count;
    return count;
}

static void reply_page(struct rpc_call *call, const struct pg_result *rows)
{
    const struct page *page = rpc_call_state(call);
    const struct list *list = page->list;
    struct arena *arena = rpc_call_arena(call);
    ProtobufCMessage *response = arena_alloc(arena, list->response->sizeof_message);
    int given = pg_is_null(rows, 0, list->key_columns[0]) ? 0 : pg_rows(rows);
    int64_t found = list->fetched_column ? pg_int64(rows, 0, list->fetched_column) : given;

    if (!response) {
        fail_memory(call);
        return;
    }
    protobuf_c_message_init(list->response, response);
    int shown = fill_items(call, response, rows, given > page->limit ? page->limit : given);

    if (shown < 0)
        return;
    *(int64_t *)member_of(response, "total", PROTOBUF_C_TYPE_INT64) =
        pg_int64(rows, 0, list->total_column);
    if (shown && found > shown) {
        const ProtobufCFieldDescriptor *field =
            field_of(response, "next_page_token", PROTOBUF_C_TYPE_STRING);
        const struct page_start next =
            page_after(arena, list->order, rows, shown - 1, list->key_columns);
        char *token =
            arena_is_exhausted(arena) ? NULL : page_token_make(arena, page->scope, &next.after);

        if (!token) {
            fail_memory(call);
            return;
        }
        *(char **)at(response, field->offset) = token;
        *(uint32_t *)at(response, field->quantifier_offset) = field->id;
    }
    rpc_reply(call, response);
}

void list_on_rows(void *call, const struct pg_outcome *outcome)
{
    const struct page *page = rpc_call_state(call);

    if (!outcome->result)
        rpc_fail(call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, page->list->parent, page->parent_id);
    else
        reply_page(call, outcome->result);
}
