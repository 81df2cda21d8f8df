/* dialplane-skillbase: companies, their API keys, skillbases and their versions. */
#include "handlers/handlers.h"
#include "skillbase.h"

#include "service/service.h"

#include "dialplane/v1/api_key.pb-c.h"
#include "google/protobuf/empty.pb-c.h"

#include <stdlib.h>

/* A configuration may fill a message (4 MB). Saving one has it in the arena as objects, as wire
 * bytes and as JSON, the last two once more as parameters; that does not fit the usual limit. */
#define CONFIG_ARENA_LIMIT ((size_t)40 << 20)

static const struct rpc_handler handlers[] = {
    {
        .path = "/dialplane.v1.CompanyService/ListCompanies",
        .request = &dialplane__v1__list_companies_request__descriptor,
        .response = &dialplane__v1__list_companies_response__descriptor,
        .check = check_list_companies,
        .handle = list_companies,
    },
    {
        .path = "/dialplane.v1.CompanyService/CreateCompany",
        .request = &dialplane__v1__create_company_request__descriptor,
        .response = &dialplane__v1__company__descriptor,
        .handle = create_company,
    },
    {
        .path = "/dialplane.v1.CompanyService/GetCompany",
        .request = &dialplane__v1__get_company_request__descriptor,
        .response = &dialplane__v1__company__descriptor,
        .handle = get_company,
    },
    {
        .path = "/dialplane.v1.CompanyService/UpdateCompany",
        .request = &dialplane__v1__update_company_request__descriptor,
        .response = &dialplane__v1__company__descriptor,
        .partial_field = "company",
        .handle = update_company,
    },
    {
        .path = "/dialplane.v1.CompanyService/DeleteCompany",
        .request = &dialplane__v1__delete_company_request__descriptor,
        .response = &google__protobuf__empty__descriptor,
        .handle = delete_company,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/ListSkillbases",
        .request = &dialplane__v1__list_skillbases_request__descriptor,
        .response = &dialplane__v1__list_skillbases_response__descriptor,
        .check = check_list_skillbases,
        .handle = list_skillbases,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/CreateSkillbase",
        .request = &dialplane__v1__create_skillbase_request__descriptor,
        .response = &dialplane__v1__skillbase__descriptor,
        .check = check_create_skillbase,
        .handle = create_skillbase,
        .arena_limit = CONFIG_ARENA_LIMIT,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/GetSkillbase",
        .request = &dialplane__v1__get_skillbase_request__descriptor,
        .response = &dialplane__v1__skillbase__descriptor,
        .handle = get_skillbase,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/UpdateSkillbase",
        .request = &dialplane__v1__update_skillbase_request__descriptor,
        .response = &dialplane__v1__skillbase__descriptor,
        .check = check_update_skillbase,
        .partial_field = "skillbase",
        .handle = update_skillbase,
        .arena_limit = CONFIG_ARENA_LIMIT,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/DeleteSkillbase",
        .request = &dialplane__v1__delete_skillbase_request__descriptor,
        .response = &google__protobuf__empty__descriptor,
        .handle = delete_skillbase,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/ListSkillbaseVersions",
        .request = &dialplane__v1__list_skillbase_versions_request__descriptor,
        .response = &dialplane__v1__list_skillbase_versions_response__descriptor,
        .check = check_list_skillbase_versions,
        .handle = list_skillbase_versions,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/GetSkillbaseVersion",
        .request = &dialplane__v1__get_skillbase_version_request__descriptor,
        .response = &dialplane__v1__skillbase_version__descriptor,
        .handle = get_skillbase_version,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/RollbackSkillbase",
        .request = &dialplane__v1__rollback_skillbase_request__descriptor,
        .response = &dialplane__v1__skillbase__descriptor,
        .handle = rollback_skillbase,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/ValidateSkillbaseConfig",
        .request = &dialplane__v1__validate_skillbase_config_request__descriptor,
        .response = &dialplane__v1__validate_skillbase_config_response__descriptor,
        .check = check_validate_skillbase_config,
        .handle = validate_skillbase_config,
    },
    {
        .path = "/dialplane.v1.SkillbaseService/GetSkillbaseForCall",
        .request = &dialplane__v1__get_skillbase_for_call_request__descriptor,
        .response = &dialplane__v1__skillbase_for_call__descriptor,
        .handle = get_skillbase_for_call,
    },
    {
        .path = "/dialplane.v1.ApiKeyService/ListApiKeys",
        .request = &dialplane__v1__list_api_keys_request__descriptor,
        .response = &dialplane__v1__list_api_keys_response__descriptor,
        .check = check_list_api_keys,
        .handle = list_api_keys,
    },
    {
        .path = "/dialplane.v1.ApiKeyService/CreateApiKey",
        .request = &dialplane__v1__create_api_key_request__descriptor,
        .response = &dialplane__v1__api_key__descriptor,
        .check = check_create_api_key,
        .handle = create_api_key,
    },
    {
        .path = "/dialplane.v1.ApiKeyService/GetApiKey",
        .request = &dialplane__v1__get_api_key_request__descriptor,
        .response = &dialplane__v1__api_key__descriptor,
        .handle = get_api_key,
    },
    {
        .path = "/dialplane.v1.ApiKeyService/DeleteApiKey",
        .request = &dialplane__v1__delete_api_key_request__descriptor,
        .response = &google__protobuf__empty__descriptor,
        .handle = delete_api_key,
    },
};

static void *start(struct loop *loop, struct pg_pool *pool, const struct schema *schema,
                   struct err *err)
{
    struct skillbase_service *service = malloc(sizeof(*service));

    if (!service) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    *service = (struct skillbase_service){.loop = loop, .pool = pool, .schema = schema};
    entropy_init_system(&service->entropy);
    return service;
}

int main(int argc, char **argv)
{
    static const char *const services[] = {
        "dialplane.v1.CompanyService",
        "dialplane.v1.SkillbaseService",
        "dialplane.v1.ApiKeyService",
        NULL,
    };
    const struct service service = {
        .process = "dialplane-skillbase",
        .summary = "Companies, and the versioned configurations of their voice agents.",
        .default_listen = "127.0.0.1:7001",
        .default_metrics_listen = "127.0.0.1:9101",
        .services = services,
        .handlers = handlers,
        .handler_count = sizeof(handlers) / sizeof(handlers[0]),
        .start = start,
        .stop = free,
    };

    return service_main(&service, argc, argv);
}
