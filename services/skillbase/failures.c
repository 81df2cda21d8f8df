/* Failures that several handlers answer, each with one sentence. */
#include "skillbase.h"

#include <string.h>

void fail_no_version(struct rpc_call *call, const char *id, int32_t version)
{
    rpc_fail_code(call, ERR_NOT_FOUND, NULL, "skillbase %s has no version %d", id, version);
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
