#include "audit_rows.h"
#include "handlers/handlers.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "service/paging.h"

/* Changes of one page, as JSON: serialized they are up to 6.5 times that, and gRPC clients take
 * 4 MB by default. */
#define PAGE_BYTES_LIMIT 500000

enum { COLUMN_TOTAL = AUDIT_COLUMNS, COLUMN_FETCHED };

void check_list_audit_entries(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ListAuditEntriesRequest *request = request_;
    char *scope = page_scope(violations->arena, AUDIT_SCOPE, request->company_id);

    if (scope)
        page_check(scope, request->skip, request->page_token, violations);
}

static void on_listed(void *context, const struct pg_outcome *outcome);

void list_audit_entries(struct rpc_call *call, const void *request_)
{
    Dialplane__V1__ListAuditEntriesRequest *request = (void *)request_;
    struct skillbase_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct pg_params params = {.arena = arena};
    struct page_start start;
    char *scope = page_scope(arena, AUDIT_SCOPE, request->company_id);

    if (!rpc_apply_defaults(service->schema, &request->base, arena) || !scope ||
        !page_open(arena, scope, request->page_token, &start)) {
        fail_memory(call);
        return;
    }
    const struct audit_filter filter = AUDIT_FILTER_OF(request);

    param_audit_filter(&params, call, &filter);
    param_page(&params, &start);
    pg_param_int64(&params, request->skip);
    pg_param_int64(&params, request->limit);
    pg_param_int64(&params, PAGE_BYTES_LIMIT);
    rpc_call_set_state(call, request);
    pg_read(service->pool, rpc_call_owner(call), &sql_list_audit_entries, &params, on_listed, call);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct rpc_call *call = context;
    const Dialplane__V1__ListAuditEntriesRequest *request = rpc_call_state(call);
    const struct pg_result *rows = outcome->result;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ListAuditEntriesResponse response =
        DIALPLANE__V1__LIST_AUDIT_ENTRIES_RESPONSE__INIT;
    struct err err = {0};

    if (!rows) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(rows) == 0) {
        fail_not_found(call, "company", request->company_id);
        return;
    }
    int shown = pg_is_null(rows, 0, AUDIT_ID) ? 0 : pg_rows(rows);

    response.total = pg_int64(rows, 0, COLUMN_TOTAL);
    response.items = ARENA_ARRAY(arena, Dialplane__V1__AuditEntry *, (size_t)shown);
    for (int i = 0; response.items && i < shown; i++) {
        Dialplane__V1__AuditEntry *entry = audit_entry_from_row(call, rows, i, &err);

        if (!entry) {
            rpc_fail(call, &err);
            return;
        }
        response.items[response.n_items++] = entry;
    }
    if (pg_int64(rows, 0, COLUMN_FETCHED) > shown) {
        char *scope = page_scope(arena, AUDIT_SCOPE, request->company_id);

        response._next_page_token_case =
            DIALPLANE__V1__LIST_AUDIT_ENTRIES_RESPONSE___NEXT_PAGE_TOKEN_NEXT_PAGE_TOKEN;
        response.next_page_token =
            scope ? page_token_after(arena, scope, rows, shown - 1, AUDIT_AT, AUDIT_ID) : NULL;
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
