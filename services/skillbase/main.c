/* dialplane-skillbase: companies, their API keys, skillbases and their versions, and the audit log.
 */
#include "audit_upkeep.h"
#include "domain/secret_names.h"
#include "handlers/handlers.h"
#include "secret_settings.h"
#include "skillbase.h"

#include "service/service.h"

#include "dialplane/v1/api_key.pb-c.h"
#include "dialplane/v1/audit.pb-c.h"
#include "dialplane/v1/file.pb-c.h"
#include "google/protobuf/empty.pb-c.h"

#include <stdlib.h>

/* A configuration may fill a message (4 MB). Saving one has it in the arena as objects, as wire
 * bytes and as JSON, the last two once more as parameters; that does not fit the usual limit. */
#define CONFIG_ARENA_LIMIT ((size_t)40 << 20)
/* Twice that when it keeps secrets: what is stored is there as well, as objects. */
#define UPDATE_ARENA_LIMIT ((size_t)80 << 20)

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
        .arena_limit = UPDATE_ARENA_LIMIT,
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
    {
        .path = "/dialplane.v1.AuditService/ListAuditEntries",
        .request = &dialplane__v1__list_audit_entries_request__descriptor,
        .response = &dialplane__v1__list_audit_entries_response__descriptor,
        .check = check_list_audit_entries,
        .handle = list_audit_entries,
    },
    {
        .path = "/dialplane.v1.AuditService/ExportAuditEntries",
        .request = &dialplane__v1__export_audit_entries_request__descriptor,
        .response = &dialplane__v1__file_piece__descriptor,
        .handle = export_audit_entries,
    },
    {
        .path = "/dialplane.v1.AuditService/ExportAuditEntryLines",
        .request = &dialplane__v1__export_audit_entries_request__descriptor,
        .response = &dialplane__v1__file_piece__descriptor,
        .handle = export_audit_entry_lines,
    },
};

static const char *secret_keys;
static int64_t keep_audit_days;

static const struct app_setting settings[] = {
    {.name = "secret-keys",
     .kind = APP_TEXT,
     .own = true,
     .default_text = SECRET_NAMES_DEFAULT,
     .ret_value = &secret_keys,
     .help =
         "keys in the config of tools whose values are secrets, shown as \"***\" to all but the "
         "agents that use them; a comma list in which * stands for anything, case, _ and - do "
         "not count, and ! begins an exception"},
    {.name = "keep-audit-days",
     .kind = APP_INT,
     .own = true,
     .default_text = "0",
     .minimum = 0,
     .maximum = 36500,
     .ret_value = &keep_audit_days,
     .help = "days for which entries of the audit log are kept, at least 31; 0: for ever"},
};

static void *start(struct loop *loop, struct pg_pool *pool, const struct schema *schema,
                   struct err *err)
{
    struct skillbase_service *service;

    if (keep_audit_days && keep_audit_days < 31) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "--keep-audit-days is 0 (for ever) or at least 31, not %lld",
                (long long)keep_audit_days);
        return NULL;
    }
    struct err wrong = {0};

    if (!secret_settings_open(secret_keys, &wrong)) {
        err_set(err, wrong.code, NULL, "--secret-keys: %s", wrong.message);
        return NULL;
    }
    service = calloc(1, sizeof(*service));
    if (service) {
        *service = (struct skillbase_service){.loop = loop, .pool = pool, .schema = schema};
        entropy_init_system(&service->entropy);
        if (!keep_audit_days)
            return service;
        service->audit_upkeep = audit_upkeep_start(loop, pool, keep_audit_days);
        if (service->audit_upkeep)
            return service;
    }
    free(service);
    secret_settings_close();
    err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return NULL;
}

static void stop(void *context)
{
    struct skillbase_service *service = context;

    audit_upkeep_stop(service->audit_upkeep);
    secret_settings_close();
    free(service);
}

int main(int argc, char **argv)
{
    static const char *const services[] = {
        "dialplane.v1.CompanyService",
        "dialplane.v1.SkillbaseService",
        "dialplane.v1.ApiKeyService",
        "dialplane.v1.AuditService",
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
        .settings = settings,
        .setting_count = sizeof(settings) / sizeof(settings[0]),
        .start = start,
        .stop = stop,
    };

    return service_main(&service, argc, argv);
}
