/* audit_rows: entries of the audit log as messages, and what its list and its exports ask alike. */
#ifndef DIALPLANE_SKILLBASE_AUDIT_ROWS_H
#define DIALPLANE_SKILLBASE_AUDIT_ROWS_H

#include "base/arena.h"
#include "pg/pg.h"
#include "rpc/rpc.h"

#include "dialplane/v1/audit.pb-c.h"

/* Columns as list_audit_entries.sql and export_audit_entries.sql have them. */
enum audit_column {
    AUDIT_ID,
    AUDIT_COMPANY_ID,
    AUDIT_AT,
    AUDIT_ACTOR,
    AUDIT_ADDRESS,
    AUDIT_REQUEST_ID,
    AUDIT_KIND,
    AUDIT_RESOURCE_ID,
    AUDIT_ACTION,
    AUDIT_BEFORE,
    AUDIT_AFTER,
    AUDIT_COLUMNS, /* first column after them */
};

/* What both requests may filter by. */
struct audit_filter {
    const char *company_id;
    const char *kind, *resource_id, *actor, *action; /* NULL: all */
    const Google__Protobuf__Timestamp *since, *until;
};
/* `request` is a message that has the fields of a filter under these names. */
#define AUDIT_FILTER_OF(request)                                                                   \
    {                                                                                              \
        .company_id = (request)->company_id,                                                       \
        .kind = (request)->_kind_case ? (request)->kind : NULL,                                    \
        .resource_id = (request)->_resource_id_case && *(request)->resource_id                     \
                           ? (request)->resource_id                                                \
                           : NULL,                                                                 \
        .actor = (request)->_actor_case ? (request)->actor : NULL,                                 \
        .action = (request)->_action_case ? (request)->action : NULL, .since = (request)->since,   \
        .until = (request)->until,                                                                 \
    }
/* $1 to $8: the caller's company, and the filter. */
void param_audit_filter(struct pg_params *params, const struct rpc_call *call,
                        const struct audit_filter *filter);

/* In the call's arena; for rpc_reply() only (see company_from_row()). NULL with err set. */
Dialplane__V1__AuditEntry *audit_entry_from_row(struct rpc_call *call, const struct pg_result *rows,
                                                int row, struct err *err);

#endif
