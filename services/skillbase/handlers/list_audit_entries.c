#include "audit_rows.h"
#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/list.h"

/* Changes of one page, as JSON: serialized they are up to 6.5 times that, and gRPC clients take
 * 4 MB by default. */
#define PAGE_BYTES_LIMIT 500000

enum { COLUMN_TOTAL = AUDIT_COLUMNS, COLUMN_FETCHED };

static void *item(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err)
{
    return audit_entry_from_row(call, rows, row, err);
}

static const struct list audit_entries = {
    .scope = "audit/",
    .parent = "company",
    .parent_field = "company_id",
    .response = &dialplane__v1__list_audit_entries_response__descriptor,
    .order = PAGE_BY_TIME,
    .key_columns = {AUDIT_AT, AUDIT_ID},
    .total_column = COLUMN_TOTAL,
    .fetched_column = COLUMN_FETCHED,
    .item = item,
};

void check_list_audit_entries(const void *request, struct violations *violations)
{
    list_check(&audit_entries, request, violations);
}

void list_audit_entries(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ListAuditEntriesRequest *request = request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    if (!list_open(call, &audit_entries, request))
        return;
    const struct audit_filter filter = AUDIT_FILTER_OF(request);

    param_audit_filter(&params, call, &filter);
    list_param_page(&params, call);
    pg_param_int64(&params, PAGE_BYTES_LIMIT);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_audit_entries, &params, list_on_rows,
            call);
}
