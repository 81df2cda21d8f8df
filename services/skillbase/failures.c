/* Failures that several handlers answer, each with one sentence. */
#include "skillbase.h"

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

void fail_no_version(struct rpc_call *call, const char *id, int32_t version)
{
    rpc_fail_code(call, ERR_NOT_FOUND, NULL, "skillbase %s has no version %d", id, version);
}

void fail_changed(struct rpc_call *call, const char *noun)
{
    int64_t revision_us = -1;
    char revision[TIME_TEXT_SIZE];

    rpc_call_if_match(call, &revision_us);
    if (revision_us < 0) {
        rpc_fail_code(call, ERR_FAILED_PRECONDITION, REASON_ETAG_MISMATCH,
                      "the %s does not have the revision that If-Match names", noun);
        return;
    }
    time_format_rfc3339(revision_us, revision);
    rpc_fail_code(call, ERR_FAILED_PRECONDITION, REASON_ETAG_MISMATCH,
                  "the %s has been changed since %s", noun, revision);
}

void fail_company_write(struct rpc_call *call, const struct pg_outcome *outcome,
                        const Dialplane__V1__Company *company)
{
    if (!strcmp(outcome->constraint, "companies_slug_key"))
        rpc_fail_code(call, ERR_ALREADY_EXISTS, "SLUG_TAKEN",
                      "a company with the slug \"%s\" exists already", company->slug);
    else if (!strcmp(outcome->constraint, "companies_name_key"))
        /* The name may be longer than a sentence holds, and the client knows it. */
        rpc_fail_code(call, ERR_ALREADY_EXISTS, "NAME_TAKEN",
                      "a company with this name exists already");
    else
        rpc_fail(call, &outcome->err);
}

void fail_skillbase_write(struct rpc_call *call, const struct pg_outcome *outcome,
                          const Dialplane__V1__Skillbase *skillbase)
{
    if (!strcmp(outcome->constraint, "skillbases_company_id_slug_key"))
        rpc_fail_code(call, ERR_ALREADY_EXISTS, "SLUG_TAKEN",
                      "a skillbase with the slug \"%s\" exists already in the company",
                      skillbase->slug);
    else if (!strcmp(outcome->constraint, "skillbases_company_id_fkey"))
        fail_field(call, "skillbase.company_id", "company %s does not exist",
                   skillbase->company_id);
    else
        rpc_fail(call, &outcome->err);
}
