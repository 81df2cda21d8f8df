/* skillbase: what the handlers of this service share: the context, rows as messages, and the
 * failures that several of them answer. */
#ifndef DIALPLANE_SKILLBASE_SKILLBASE_H
#define DIALPLANE_SKILLBASE_SKILLBASE_H

#include "base/arena.h"
#include "base/time.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "rpc/rpc.h"
#include "schema/schema.h"
#include "service/handler.h"

#include "dialplane/v1/company.pb-c.h"
#include "dialplane/v1/skillbase.pb-c.h"

/* What rpc_call_context() gives. */
struct skillbase_service {
    struct loop *loop;
    struct pg_pool *pool;
    const struct schema *schema;
    struct entropy entropy;
    struct audit_upkeep *audit_upkeep; /* NULL: entries are kept for ever */
};

/* ---- Rows as messages; columns as get_company.sql and get_skillbase.sql have them ---- */

enum company_column {
    COMPANY_ID,
    COMPANY_NAME,
    COMPANY_SLUG,
    COMPANY_DESCRIPTION,
    COMPANY_SETTINGS,
    COMPANY_LIMITS,
    COMPANY_IS_ACTIVE,
    COMPANY_CREATED_AT,
    COMPANY_UPDATED_AT,
    COMPANY_COLUMNS, /* first column after them */
};

enum skillbase_column {
    SKILLBASE_ID,
    SKILLBASE_COMPANY_ID,
    SKILLBASE_NAME,
    SKILLBASE_SLUG,
    SKILLBASE_DESCRIPTION,
    SKILLBASE_VERSION,
    SKILLBASE_KNOWLEDGE_BASE_ID,
    SKILLBASE_IS_ACTIVE,
    SKILLBASE_IS_PUBLISHED,
    SKILLBASE_CREATED_AT,
    SKILLBASE_UPDATED_AT,
    SKILLBASE_CONFIG_WIRE,
    SKILLBASE_CONFIG,
    SKILLBASE_COLUMNS, /* first column after them */
};

/* In the call's arena; valid for rpc_reply() only, because free-form parts and configurations are
 * attached as bytes that were serialized before and the members stay NULL. NULL with err set when
 * memory or the stored JSON does not allow it. */
Dialplane__V1__Company *company_from_row(struct rpc_call *call, const struct pg_result *result,
                                         int row, struct err *err);
Dialplane__V1__Skillbase *skillbase_from_row(struct rpc_call *call, const struct pg_result *result,
                                             int row, struct err *err);
/* Whether the secrets of a configuration are shown: to the agent that uses them, and to nobody
 * else.
 */
enum config_secrets { CONFIG_SECRETS_HIDDEN, CONFIG_SECRETS_SHOWN };
/* Attaches a configuration as field `number` of `message`, from the columns config_wire and config.
 * The one way out for configurations. */
bool attach_config(struct rpc_call *call, ProtobufCMessage *message, uint32_t number,
                   const struct pg_result *result, int row, int wire_column, int json_column,
                   enum config_secrets secrets, struct err *err);

/* company_from_row() or skillbase_from_row() of the only row, sent as the answer. */
void reply_company(struct rpc_call *call, const struct pg_result *result);
void reply_skillbase(struct rpc_call *call, const struct pg_result *result);

/* ---- Failures ---- */

/* NOT_FOUND: "skillbase <id> has no version 7". */
void fail_no_version(struct rpc_call *call, const char *id, int32_t version);
/* A write that failed: a violated constraint as its sentence about what was asked for, anything
 * else as it is. */
void fail_company_write(struct rpc_call *call, const struct pg_outcome *outcome,
                        const Dialplane__V1__Company *company);
void fail_skillbase_write(struct rpc_call *call, const struct pg_outcome *outcome,
                          const Dialplane__V1__Skillbase *skillbase);

#endif
