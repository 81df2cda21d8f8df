#include "campaign.h"
#include "campaign_sql.h"
#include "handlers/handlers.h"
#include "phone.h"
#include "suppression_rows.h"

#include "domain/call_list.h"

#include <string.h>

struct adding {
    struct rpc_call *call;
    const char *company_id;
    char id[UUID_TEXT_SIZE];
    char pattern[PHONE_TEXT_SIZE];
};

static bool has_prefix(const Dialplane__V1__Suppression *suppression)
{
    return suppression->_prefix_case && *suppression->prefix;
}

static bool has_number(const Dialplane__V1__Suppression *suppression)
{
    return suppression->_phone_number_case && *suppression->phone_number;
}

void check_create_suppression(const void *request_, struct violations *violations)
{
    const Dialplane__V1__CreateSuppressionRequest *request = request_;
    const Dialplane__V1__Suppression *suppression = request->suppression;

    if (!suppression)
        return;
    if (has_prefix(suppression) == has_number(suppression))
        violations_add(violations, "suppression.phone_number",
                       has_prefix(suppression) ? "cannot be given together with prefix"
                                               : "is required, or else prefix");
    if (has_prefix(suppression) && !is_phone_prefix(str_from(suppression->prefix)))
        violations_add(violations, "suppression.prefix",
                       "must be \"+\" and 1 to 14 digits, the first not 0");
}

static void on_added(void *context, const struct pg_outcome *outcome);

void create_suppression(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__CreateSuppressionRequest *request = request_;
    const Dialplane__V1__Suppression *suppression = request->suppression;
    struct campaign_service *service = rpc_call_context(call);
    struct adding *adding = ARENA_NEW(rpc_call_arena(call), struct adding);
    struct pg_params params = {.arena = rpc_call_arena(call)};
    struct uuid id = uuid_v7(loop_clock(service->loop), &service->entropy);

    if (!adding) {
        fail_memory(call);
        return;
    }
    adding->call = call;
    adding->company_id = request->company_id;
    uuid_format(&id, adding->id);
    if (has_prefix(suppression)) {
        memcpy(adding->pattern, suppression->prefix, strlen(suppression->prefix) + 1);
    } else if (phone_normalise(suppression->phone_number, strlen(suppression->phone_number),
                               service->default_region, adding->pattern) != PHONE_RESULT_OK) {
        fail_field(call, "suppression.phone_number", "is not a phone number with country code");
        return;
    }
    param_scope(&params, call);
    pg_param_uuid(&params, &id);
    pg_param_text(&params, request->company_id);
    pg_param_text(&params, adding->pattern);
    pg_param_bool(&params, has_prefix(suppression));
    pg_param_text(&params,
                  suppression->_reason_case && *suppression->reason ? suppression->reason : NULL);
    pg_write(service->pool, rpc_call_owner(call), &sql_create_suppression, &params, on_added,
             adding);
}

static void on_added(void *context, const struct pg_outcome *outcome)
{
    const struct adding *adding = context;

    if (!outcome->result)
        rpc_fail(adding->call, &outcome->err);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(adding->call, "company", adding->company_id);
    else if (!pg_bool(outcome->result, 0, 0))
        rpc_fail_code(adding->call, ERR_ALREADY_EXISTS, "ALREADY_SUPPRESSED",
                      "it is on the do-not-call list already");
    else
        reply_suppression(adding->call, adding->company_id, adding->id);
}
