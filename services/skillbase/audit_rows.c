#include "audit_rows.h"

#include "service/handler.h"

/* Field numbers of what is attached. */
enum { FIELD_BEFORE = 10, FIELD_AFTER = 11 };

void param_audit_filter(struct pg_params *params, const struct rpc_call *call,
                        const struct audit_filter *filter)
{
    param_scope(params, call);
    pg_param_text(params, filter->company_id);
    pg_param_text(params, filter->kind);
    pg_param_text(params, filter->resource_id);
    pg_param_text(params, filter->actor);
    pg_param_text(params, filter->action);
    param_timestamp(params, filter->since);
    param_timestamp(params, filter->until);
}

static bool attach_change(struct rpc_call *call, Dialplane__V1__AuditEntry *entry, uint32_t number,
                          const struct pg_result *rows, int row, int column, struct err *err)
{
    return pg_is_null(rows, row, column) ||
           attach_json(call, &entry->base, number, 2, "google.protobuf.Struct",
                       pg_str(rows, row, column), err);
}

Dialplane__V1__AuditEntry *audit_entry_from_row(struct rpc_call *call, const struct pg_result *rows,
                                                int row, struct err *err)
{
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__AuditEntry *entry = ARENA_NEW(arena, Dialplane__V1__AuditEntry);

    if (!entry)
        goto out_of_memory;
    dialplane__v1__audit_entry__init(entry);
    entry->id = pg_text(rows, row, AUDIT_ID, arena);
    entry->company_id = pg_text(rows, row, AUDIT_COMPANY_ID, arena);
    entry->at = timestamp_from_us(arena, pg_time_us(rows, row, AUDIT_AT));
    entry->kind = pg_text(rows, row, AUDIT_KIND, arena);
    entry->action = pg_text(rows, row, AUDIT_ACTION, arena);
    if (!pg_is_null(rows, row, AUDIT_ACTOR)) {
        entry->_actor_case = DIALPLANE__V1__AUDIT_ENTRY___ACTOR_ACTOR;
        entry->actor = pg_text(rows, row, AUDIT_ACTOR, arena);
    }
    if (!pg_is_null(rows, row, AUDIT_ADDRESS)) {
        entry->_address_case = DIALPLANE__V1__AUDIT_ENTRY___ADDRESS_ADDRESS;
        entry->address = pg_text(rows, row, AUDIT_ADDRESS, arena);
    }
    if (!pg_is_null(rows, row, AUDIT_REQUEST_ID)) {
        entry->_request_id_case = DIALPLANE__V1__AUDIT_ENTRY___REQUEST_ID_REQUEST_ID;
        entry->request_id = pg_text(rows, row, AUDIT_REQUEST_ID, arena);
    }
    if (!pg_is_null(rows, row, AUDIT_RESOURCE_ID)) {
        entry->_resource_id_case = DIALPLANE__V1__AUDIT_ENTRY___RESOURCE_ID_RESOURCE_ID;
        entry->resource_id = pg_text(rows, row, AUDIT_RESOURCE_ID, arena);
    }
    if (arena_is_exhausted(arena))
        goto out_of_memory;
    if (!attach_change(call, entry, FIELD_BEFORE, rows, row, AUDIT_BEFORE, err) ||
        !attach_change(call, entry, FIELD_AFTER, rows, row, AUDIT_AFTER, err))
        return NULL;
    return entry;

out_of_memory:
    err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
            "the answer does not fit the memory of one call");
    return NULL;
}
