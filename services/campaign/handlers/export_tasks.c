#include "campaign.h"
#include "campaign_sql.h"
#include "contact_vault.h"
#include "handlers/handlers.h"

#include "service/csv_text.h"
#include "service/export.h"

#include <jansson.h>

/* The task's own columns, as sql/export_tasks.sql gives them. */
static const char *const names[] = {
    "id",
    "phone_number",
    "contact_name",
    "status",
    "attempt_count",
    "last_attempt_at",
    "next_attempt_at",
    "call_id",
    "outcome",
    "error_message",
    "priority",
    "timezone",
    "phone_text",
    "created_at",
    "updated_at",
};
#define NAMES (sizeof(names) / sizeof(names[0]))
#define PHONE_NAME 1
/* Of one row's contact_data. */
#define ROW_ARENA_BYTES ((size_t)16 * 1024 * 1024)
/* As the fields of CallTask; the uploaded columns after them are text. */
static const enum export_personal personal[NAMES] = {
    [PHONE_NAME] = EXPORT_PHONE, [2] = EXPORT_TEXT, [9] = EXPORT_TEXT, [12] = EXPORT_PHONE};
static const struct export_columns columns = {personal, NAMES};

struct task_export {
    struct rpc_call *call;
    const Dialplane__V1__ExportTasksRequest *request;
    const char **columns; /* data columns */
    size_t column_count;
};

enum { COLUMN_RANK, COLUMN_ID, COLUMN_CELLS, COLUMN_STORED };

static void on_header(void *context, const struct pg_outcome *outcome);
static void put_params(void *context, struct pg_params *params, const struct page_start *start);
static bool put_row(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err);

static const struct export_source source = {
    .statement = &sql_export_tasks,
    .order = PAGE_BY_NUMBER_AND_UUID,
    .key_columns = {COLUMN_RANK, COLUMN_ID},
    .put_params = put_params,
    .put_row = put_row,
};

void export_tasks(struct rpc_call *call, const void *request)
{
    struct campaign_service *service = rpc_call_context(call);
    struct task_export *export = ARENA_NEW(rpc_call_arena(call), struct task_export);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!export) {
        fail_memory(call);
        return;
    }
    export->call = call;
    export->request = request;
    param_scope(&params, call);
    pg_param_text(&params, export->request->campaign_id);
    pg_read(service->pool, rpc_call_owner(call), &sql_export_tasks_header, &params, on_header,
            export);
}

/* A data column that is called as one of the task's own says whose it is. */
static void put_data_name(struct buf *out, const char *name, bool *is_first, struct arena *arena)
{
    for (size_t i = 0; i < NAMES; i++)
        if (!strcmp(names[i], name)) {
            char *full = arena_printf(arena, "contact_data.%s", name);

            name = full ? full : name;
            break;
        }
    csv_put_cell(out, str_from(name), is_first);
}

static void put_header(struct task_export *export, struct buf *out)
{
    bool is_first = false;

    export_put_names(out, export->request->bom, names, NAMES);
    for (size_t i = 0; i < export->column_count; i++)
        put_data_name(out, export->columns[i], &is_first, rpc_call_arena(export->call));
    csv_put_line_end(out);
}

static void on_header(void *context, const struct pg_outcome *outcome)
{
    struct task_export *export = context;
    struct rpc_call *call = export->call;
    struct campaign_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct buf head;
    struct str name;

    if (!outcome->result) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(outcome->result) == 0) {
        fail_not_found(call, "campaign", export->request->campaign_id);
        return;
    }
    struct pg_array given = pg_text_array(outcome->result, 0, 0);

    export->columns = ARENA_ARRAY(arena, const char *, (size_t)given.left + 1);
    while (export->columns && pg_array_next(&given, &name))
        export->columns[export->column_count++] = arena_strndup(arena, name.data, name.length);
    if (arena_is_exhausted(arena)) {
        fail_memory(call);
        return;
    }
    buf_init(&head, 0);
    put_header(export, &head);
    export_start(call, service->pool, &head, &source, export);
}

static void put_params(void *context, struct pg_params *params, const struct page_start *start)
{
    const struct task_export *export = context;
    const Dialplane__V1__ExportTasksRequest *request = export->request;

    pg_param_text(params, request->campaign_id);
    pg_param_text(params, request->_status_case ? task_status_word(request->status) : NULL);
    pg_param_text(params, request->_outcome_case && *request->outcome ? request->outcome : NULL);
    pg_param_text(params, request->_phone_number_case && *request->phone_number
                              ? request->phone_number
                              : NULL);
    param_page(params, PAGE_BY_NUMBER_AND_UUID, start);
    pg_param_text_array(params, export->columns, export->column_count);
}

/* A row whose contact_data are encrypted: its own cells, then the data's under the same names. */
static bool put_sealed_row(const struct task_export *export, struct pg_array cells,
                           struct str stored, struct buf *out, struct err *err)
{
    const struct campaign_service *service = rpc_call_context(export->call);
    struct arena *arena = arena_new(ROW_ARENA_BYTES);
    struct str cell, json = {NULL, 0};
    struct uuid campaign;
    bool is_first = true;

    uuid_parse(str_from(export->request->campaign_id), &campaign);
    for (size_t i = 0; i < NAMES && pg_array_next(&cells, &cell); i++) {
        if (i == PHONE_NAME && arena)
            json = contact_data_open(service->vault, &campaign, cell, stored, arena, err);
        export_put_cell(out, export->call, personal[i], cell, &is_first);
    }
    json_t *data = json.data ? json_loadb(json.data, json.length, 0, NULL) : NULL;
    bool ok =
        data || err_is_set(err) || err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");

    for (size_t i = 0; data && i < export->column_count; i++) {
        const json_t *value = json_object_get(data, export->columns[i]);

        cell = (struct str){json_string_value(value), json_string_length(value)};
        export_put_cell(out, export->call, EXPORT_TEXT, cell, &is_first);
    }
    csv_put_line_end(out);
    json_decref(data);
    arena_free(arena);
    return ok && !err_is_set(err);
}

static bool put_row(void *context, const struct pg_result *rows, int row, struct buf *out,
                    struct err *err)
{
    const struct task_export *export = context;

    if (!pg_is_null(rows, row, COLUMN_STORED))
        return put_sealed_row(export, pg_text_array(rows, row, COLUMN_CELLS),
                              pg_str(rows, row, COLUMN_STORED), out, err);
    export_put_line(out, export->call, &columns, rows, row, COLUMN_CELLS);
    return true;
}
