#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/list.h"

/* Configurations of one page, serialized: gRPC clients take 4 MB by default. */
#define PAGE_BYTES_LIMIT 3000000

enum { COLUMN_TOTAL = SKILLBASE_COLUMNS, COLUMN_FETCHED };

static void *item(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    return skillbase_from_row(call, rows, row, err);
}

static const struct list skillbases = {
    .scope = "skillbases",
    .response = &dialplane__v1__list_skillbases_response__descriptor,
    .order = PAGE_BY_TIME,
    .key_columns = {SKILLBASE_CREATED_AT, SKILLBASE_ID},
    .total_column = COLUMN_TOTAL,
    .fetched_column = COLUMN_FETCHED,
    .item = item,
};

void check_list_skillbases(const void *request, struct violations *violations)
{
    list_check(&skillbases, request, violations);
}

void list_skillbases(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListSkillbasesRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &skillbases, request))
        return;
    param_scope(&params, call);
    param_if(&params, request->_is_active_case, request->is_active ? "true" : "false");
    param_if(&params, request->_is_published_case, request->is_published ? "true" : "false");
    list_param_page(&params, call);
    pg_param_int64(&params, PAGE_BYTES_LIMIT);
    /* Who may see one company only reads along that company's index, whatever the filter. */
    const char *company_id =
        request->company_id && *request->company_id ? request->company_id : service_scope(call);
    const struct pg_statement *statement = &sql_list_skillbases;

    if (company_id) {
        pg_param_text(&params, company_id);
        statement = &sql_list_company_skillbases;
    }
    pg_read(service->pool, rpc_call_owner(call), statement, &params, list_on_rows, call);
}
