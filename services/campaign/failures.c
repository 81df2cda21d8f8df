/* Failures that several handlers answer, each with one sentence. */
#include "campaign.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fail_memory(struct rpc_call *call)
{
    rpc_fail_code(call, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE,
                  "the request does not fit the memory of one call");
}

void fail_field(struct rpc_call *call, const char *field, const char *format, ...)
{
    char message[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    struct violations *violations = ARENA_NEW(rpc_call_arena(call), struct violations);

    if (!violations) {
        fail_memory(call);
        return;
    }
    violations_init(violations, rpc_call_arena(call), 1);
    violations_add(violations, field, "%s", message);
    struct err err = {0};

    err_set_violations(&err, violations);
    rpc_fail(call, &err);
}

void fail_not_found(struct rpc_call *call, const char *noun, const char *id)
{
    rpc_fail_code(call, ERR_NOT_FOUND, NULL, "%s %s does not exist", noun, id);
}

void fail_changed(struct rpc_call *call)
{
    int64_t revision_us = -1;
    char revision[TIME_TEXT_SIZE];

    rpc_call_if_match(call, &revision_us);
    if (revision_us < 0) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, REASON_ETAG_MISMATCH,
                      "the campaign does not have the revision that If-Match names");
        return;
    }
    time_format_rfc3339(revision_us, revision);
    rpc_fail_code(call, ERR_FAILED_PRECONDITION, REASON_ETAG_MISMATCH,
                  "the campaign has been changed since %s", revision);
}

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
