#include "domain/config_check.h"
#include "domain/secrets.h"
#include "handlers/handlers.h"
#include "secret_settings.h"
#include "skillbase.h"

/* One for each state and each end of a transition that a configuration may have is more than anyone
 * reads. */
#define WARNING_LIMIT 1000

void check_validate_skillbase_config(const void *request_, struct violations *violations)
{
    const Dialplane__V1__ValidateSkillbaseConfigRequest *request = request_;

    skillbase_config_check(request->config, "config", violations);
    secrets_find_marks(secret_settings_names(), request->config, "config", NULL, violations);
}

/* What is wrong has been answered before; here it is a valid configuration. */
void validate_skillbase_config(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__ValidateSkillbaseConfigRequest *request = request_;
    struct arena *arena = rpc_call_arena(call);
    Dialplane__V1__ValidateSkillbaseConfigResponse response =
        DIALPLANE__V1__VALIDATE_SKILLBASE_CONFIG_RESPONSE__INIT;
    struct violations doubts;

    violations_init(&doubts, arena, WARNING_LIMIT);
    skillbase_config_doubt(request->config, "config", &doubts);
    secrets_find_marks(secret_settings_names(), request->config, "config", &doubts, NULL);
    response.valid = true;
    response.warnings = ARENA_ARRAY(arena, Dialplane__V1__ConfigWarning *, doubts.count);
    for (const struct violation *doubt = doubts.first; doubt && response.warnings;
         doubt = doubt->next) {
        Dialplane__V1__ConfigWarning *warning = ARENA_NEW(arena, Dialplane__V1__ConfigWarning);

        if (!warning)
            break;
        dialplane__v1__config_warning__init(warning);
        warning->field = (char *)doubt->field;
        warning->message = (char *)doubt->message;
        response.warnings[response.n_warnings++] = warning;
    }
    if (arena_is_exhausted(arena))
        fail_memory(call);
    else
        rpc_reply(call, &response.base);
}
