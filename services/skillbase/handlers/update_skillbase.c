/* One statement. A configuration in which "***" keeps a stored secret takes two: what is stored is
 * read, and written on condition that it is still the current one. */
#include "domain/config_check.h"
#include "domain/secrets.h"
#include "handlers/handlers.h"
#include "secret_settings.h"
#include "skillbase.h"
#include "skillbase_sql.h"

#include "rpc/update.h"

#define CONFIG_PATH "skillbase.config"
#define VIOLATION_LIMIT 100
/* Others may change the configuration between the reading of its secrets and the writing. */
#define ATTEMPTS 5

enum {
    COLUMN_REVISION_MATCHES = SKILLBASE_COLUMNS,
    COLUMN_COMPANY_MATCHES,
    COLUMN_VERSION_MATCHES
};

struct update {
    struct rpc_call *call;
    const Dialplane__V1__UpdateSkillbaseRequest *request;
    /* The configuration as it was sent, when it keeps stored secrets; data NULL: it keeps none. */
    struct str sent;
    unsigned attempts;
    /* Asked before the defaults of what was left out are filled in. */
    bool description, knowledge_base, is_active, is_published;
};

static bool changes(const Dialplane__V1__UpdateSkillbaseRequest *request, const char *field)
{
    return rpc_update_changes(request->update_mask, &request->skillbase->base, field);
}

void check_update_skillbase(const void *request_, struct violations *violations)
{
    const Dialplane__V1__UpdateSkillbaseRequest *request = request_;

    if (!request->skillbase || !changes(request, "config"))
        return;
    skillbase_config_check(request->skillbase->config, CONFIG_PATH, violations);
    secrets_find_marks(secret_settings_names(), request->skillbase->config, CONFIG_PATH, NULL,
                       violations);
}

/* A new configuration in both its forms, or two NULLs. */
static bool param_config(struct pg_params *params, struct rpc_call *call,
                         const Dialplane__V1__SkillbaseConfig *config)
{
    if (!config) {
        pg_param_null(params);
        pg_param_null(params);
        return true;
    }
    struct str wire = rpc_pack(&config->base, rpc_call_arena(call));

    if (!wire.data) {
        fail_memory(call);
        return false;
    }
    if (!param_json(params, call, &config->base))
        return false;
    pg_param_bytes(params, wire);
    return true;
}

static void read_stored(struct update *update);
static void on_stored(void *context, const struct pg_outcome *outcome);
static void on_updated(void *context, const struct pg_outcome *outcome);

/* version: the one that the configuration was made from; 0: any. */
static void write_skillbase(struct update *update, const Dialplane__V1__SkillbaseConfig *config,
                            int64_t version)
{
    const Dialplane__V1__UpdateSkillbaseRequest *request = update->request;
    const Dialplane__V1__Skillbase *skillbase = request->skillbase;
    struct rpc_call *call = update->call;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, request->id);
    param_if_match(&params, call);
    param_if(&params, changes(request, "company_id"), skillbase->company_id);
    param_if(&params, changes(request, "name"), skillbase->name);
    param_if(&params, changes(request, "slug"), skillbase->slug);
    pg_param_bool(&params, update->description);
    param_if(&params, update->description, skillbase->description);
    if (!param_config(&params, call, config))
        return;
    pg_param_bool(&params, update->knowledge_base);
    param_if(&params, update->knowledge_base, skillbase->knowledge_base_id);
    param_if(&params, update->is_active, skillbase->is_active ? "true" : "false");
    param_if(&params, update->is_published, skillbase->is_published ? "true" : "false");
    if (version)
        pg_param_int64(&params, version);
    else
        pg_param_null(&params);
    pg_write(service->pool, rpc_call_owner(call), &sql_update_skillbase, &params, on_updated,
             update);
}

void update_skillbase(struct rpc_call *call, const void *request_)
{
    const Dialplane__V1__UpdateSkillbaseRequest *request = request_;
    Dialplane__V1__Skillbase *skillbase = request->skillbase;
    struct skillbase_service *service = rpc_call_context(call);
    struct arena *arena = rpc_call_arena(call);
    struct update *update = ARENA_NEW(arena, struct update);
    const Dialplane__V1__SkillbaseConfig *config =
        changes(request, "config") ? skillbase->config : NULL;

    if (!update) {
        fail_memory(call);
        return;
    }
    *update = (struct update){
        .call = call,
        .request = request,
        .description = changes(request, "description"),
        .knowledge_base = changes(request, "knowledge_base_id"),
        .is_active = changes(request, "is_active"),
        .is_published = changes(request, "is_published"),
    };
    /* A configuration is replaced as a whole, so what it leaves out has its default; so has what
     * changes but was sent without a value. */
    if (!rpc_apply_defaults(service->schema, &skillbase->base, arena)) {
        fail_memory(call);
        return;
    }
    if (!secrets_find_marks(secret_settings_names(), config, CONFIG_PATH, NULL, NULL)) {
        write_skillbase(update, config, 0);
        return;
    }
    update->sent = rpc_pack(&config->base, arena);
    if (update->sent.data)
        read_stored(update);
    else
        fail_memory(call);
}

/* ---- A configuration that keeps secrets ---- */

static void read_stored(struct update *update)
{
    struct rpc_call *call = update->call;
    struct skillbase_service *service = rpc_call_context(call);
    struct pg_params params = {.arena = rpc_call_arena(call)};

    param_scope(&params, call);
    pg_param_text(&params, update->request->id);
    pg_read(service->pool, rpc_call_owner(call), &sql_get_skillbase, &params, on_stored, update);
}

/* NULL after the call has been failed. */
static const Dialplane__V1__SkillbaseConfig *stored_config(struct rpc_call *call,
                                                           const struct pg_result *row)
{
    const ProtobufCMessageDescriptor *type = &dialplane__v1__skillbase_config__descriptor;
    struct err err = {0};
    ProtobufCMessage *config;

    if (pg_is_null(row, 0, SKILLBASE_CONFIG_WIRE)) {
        config = rpc_message_from_json(call, type, pg_str(row, 0, SKILLBASE_CONFIG), &err);
    } else {
        config = rpc_unpack(type, pg_str(row, 0, SKILLBASE_CONFIG_WIRE), rpc_call_arena(call));
        if (!config && !arena_is_exhausted(rpc_call_arena(call)))
            err_set(&err, ERR_INTERNAL, NULL, "the stored configuration cannot be read");
    }
    if (err_is_set(&err))
        rpc_fail(call, &err);
    else if (!config)
        fail_memory(call);
    return (Dialplane__V1__SkillbaseConfig *)config;
}

/* What was sent with what is stored in place of its "***"; NULL after the call has been failed. */
static Dialplane__V1__SkillbaseConfig *restored_config(struct update *update,
                                                       const Dialplane__V1__SkillbaseConfig *stored)
{
    struct rpc_call *call = update->call;
    struct arena *arena = rpc_call_arena(call);
    struct violations *wrong = ARENA_NEW(arena, struct violations);
    Dialplane__V1__SkillbaseConfig *config = (Dialplane__V1__SkillbaseConfig *)rpc_unpack(
        &dialplane__v1__skillbase_config__descriptor, update->sent, arena);
    struct err err = {0};

    if (wrong && config) {
        violations_init(wrong, arena, VIOLATION_LIMIT);
        secrets_restore(secret_settings_names(), config, stored, CONFIG_PATH, arena, wrong);
    }
    if (!wrong || !config || arena_is_exhausted(arena)) {
        fail_memory(call);
        return NULL;
    }
    if (wrong->count) {
        err_set_violations(&err, wrong);
        rpc_fail(call, &err);
        return NULL;
    }
    return config;
}

static void on_stored(void *context, const struct pg_outcome *outcome)
{
    struct update *update = context;
    struct rpc_call *call = update->call;
    const struct pg_result *row = outcome->result;
    int64_t expected_us;

    if (!row) {
        rpc_fail(call, &outcome->err);
        return;
    }
    if (pg_rows(row) == 0) {
        fail_not_found(call, "skillbase", update->request->id);
        return;
    }
    if (rpc_call_if_match(call, &expected_us) &&
        expected_us != pg_time_us(row, 0, SKILLBASE_UPDATED_AT)) {
        fail_changed(call, "skillbase");
        return;
    }
    int64_t version = pg_int64(row, 0, SKILLBASE_VERSION);
    const Dialplane__V1__SkillbaseConfig *stored = stored_config(call, row);
    const Dialplane__V1__SkillbaseConfig *config = stored ? restored_config(update, stored) : NULL;

    if (config)
        write_skillbase(update, config, version);
}

/* ---- The end ---- */

static void on_updated(void *context, const struct pg_outcome *outcome)
{
    struct update *update = context;
    struct rpc_call *call = update->call;
    const Dialplane__V1__UpdateSkillbaseRequest *request = update->request;

    if (!outcome->result)
        fail_skillbase_write(call, outcome, request->skillbase);
    else if (pg_rows(outcome->result) == 0)
        fail_not_found(call, "skillbase", request->id);
    else if (!pg_bool(outcome->result, 0, COLUMN_COMPANY_MATCHES))
        fail_field(call, "skillbase.company_id", "cannot be changed");
    else if (!pg_bool(outcome->result, 0, COLUMN_REVISION_MATCHES))
        fail_changed(call, "skillbase");
    else if (pg_bool(outcome->result, 0, COLUMN_VERSION_MATCHES))
        reply_skillbase(call, outcome->result);
    else if (++update->attempts < ATTEMPTS)
        read_stored(update);
    else
        rpc_fail_code(call, ERR_ABORTED, NULL,
                      "the skillbase is being changed by others at the same time: try again");
}
