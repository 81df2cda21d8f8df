/* Failures that several handlers answer, each with one sentence. */
#include "campaign.h"

#include <stdio.h>
#include <string.h>

void fail_campaign_write(struct rpc_call *call, const struct pg_outcome *outcome,
                         const Dialplane__V1__Campaign *campaign)
{
    if (!strcmp(outcome->constraint, "campaigns_company_fkey"))
        fail_field(call, "campaign.company_id", "company %s does not exist", campaign->company_id);
    else if (!strcmp(outcome->constraint, "campaigns_skillbase_fkey"))
        fail_field(call, "campaign.skillbase_id", "the company has no skillbase %s",
                   campaign->skillbase_id);
    else if (!strcmp(outcome->constraint, "campaigns_end_after_start"))
        fail_field(call, "campaign.end_time", "must be after start_time");
    else if (!strcmp(outcome->sqlstate, "22023")) /* invalid_parameter_value: AT TIME ZONE */
        fail_field(call, "campaign.timezone", "the database does not know the time zone");
    else
        rpc_fail(call, &outcome->err);
}

Dialplane__V1__CallRefusal *refusal_from_err(struct arena *arena, const struct err *err)
{
    Dialplane__V1__CallRefusal *refusal = ARENA_NEW(arena, Dialplane__V1__CallRefusal);

    if (!refusal)
        return NULL;
    dialplane__v1__call_refusal__init(refusal);
    refusal->code = arena_strdup(arena, err_code_name(err->code));
    refusal->message = arena_strdup(arena, err->message);
    if (*err->reason) {
        refusal->_reason_case = DIALPLANE__V1__CALL_REFUSAL___REASON_REASON;
        refusal->reason = arena_strdup(arena, err->reason);
    }
    return refusal->code && refusal->message ? refusal : NULL;
}

void check_each_once(const char *const *call_ids, size_t count, struct violations *violations)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!*call_ids[i] ||
                !str_equal_ignore_case(str_from(call_ids[i]), str_from(call_ids[k])))
                continue;
            char field[40];

            snprintf(field, sizeof(field), "calls[%zu].call_id", i);
            violations_add(violations, field, "is the same call as calls[%zu]", k);
            break;
        }
    }
}
