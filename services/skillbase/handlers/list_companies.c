#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/list.h"

/* Settings and limits of one page, as JSON: serialized they are up to 6.5 times that, and gRPC
 * clients take 4 MB by default. */
#define PAGE_BYTES_LIMIT 500000

enum { COLUMN_TOTAL = COMPANY_COLUMNS, COLUMN_FETCHED };

static void *item(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    return company_from_row(call, rows, row, err);
}

static const struct list companies = {
    .scope = "companies",
    .response = &dialplane__v1__list_companies_response__descriptor,
    .order = PAGE_BY_NAME,
    .key_columns = {COMPANY_NAME},
    .total_column = COLUMN_TOTAL,
    .fetched_column = COLUMN_FETCHED,
    .item = item,
};

void check_list_companies(const void *request, struct violations *violations)
{
    list_check(&companies, request, violations);
}

void list_companies(struct rpc_call *call, const void *request)
{
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &companies, request))
        return;
    param_scope(&params, call);
    list_param_page(&params, call);
    pg_param_int64(&params, PAGE_BYTES_LIMIT);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_companies, &params, list_on_rows, call);
}
