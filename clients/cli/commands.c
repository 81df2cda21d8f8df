#include "commands.h"

#include <stdio.h>
#include <string.h>

const struct command_group command_groups[] = {
    {"company", "companies", "the tenants that own everything else"},
    {"skillbase", "skillbases", "configurations of voice agents, and their versions"},
    {"campaign", "campaigns", "outbound calling over lists of contacts"},
    {"task", "tasks", "the contacts of a campaign, and why they are (not) called"},
    {"call", "calls", "what happened in calls, and what happens in them now"},
    {"metrics", "metrics", "the figures of many calls"},
    {"dnc", "suppressions", "numbers that a company may not call"},
    {"key", "keys", "API keys, with which machines say who they are"},
    {"contact", "contacts", "what is known of a person"},
    {"config", "configs", "profiles: which platform to speak to, and how"},
};
const size_t command_group_count = sizeof(command_groups) / sizeof(*command_groups);

static const struct column company_columns[] = {
    {"ID", "id", CELL_TEXT, false, 0},
    {"SLUG", "slug", CELL_TEXT, true, 0},
    {"NAME", "name", CELL_TEXT, true, 1},
    {"ACTIVE", "is_active", CELL_STATUS, false, 2},
    {"CREATED", "created_at", CELL_TIME, false, 3},
    {NULL, NULL, 0, false, 0},
};
static const struct column skillbase_columns[] = {
    {"ID", "id", CELL_TEXT, false, 0},
    {"SLUG", "slug", CELL_TEXT, true, 0},
    {"NAME", "name", CELL_TEXT, true, 2},
    {"VERSION", "version", CELL_COUNT, false, 1},
    {"ACTIVE", "is_active", CELL_STATUS, false, 3},
    {"PUBLISHED", "is_published", CELL_STATUS, false, 1},
    {"UPDATED", "updated_at", CELL_TIME, false, 4},
    {NULL, NULL, 0, false, 0},
};
static const struct column version_columns[] = {
    {"VERSION", "version", CELL_COUNT, false, 0},
    {"CURRENT", "is_current", CELL_STATUS, false, 0},
    {"SAVED", "created_at", CELL_TIME, false, 0},
    {NULL, NULL, 0, false, 0},
};
static const struct column audit_columns[] = {
    {"AT", "at", CELL_TIME, false, 0},
    {"ACTOR", "actor", CELL_TEXT, true, 0},
    {"KIND", "kind", CELL_TEXT, false, 0},
    {"ACTION", "action", CELL_TEXT, false, 0},
    {"RESOURCE", "resource_id", CELL_TEXT, false, 0},
    {"ADDRESS", "address", CELL_TEXT, false, 1},
    {NULL, NULL, 0, false, 0},
};
static const struct column campaign_columns[] = {
    {"ID", "id", CELL_TEXT, false, 0},
    {"NAME", "name", CELL_TEXT, true, 0},
    {"STATUS", "status", CELL_STATUS, false, 0},
    {"CONTACTS", "total_tasks", CELL_COUNT, false, 1},
    {"REACHED", "completed_tasks", CELL_COUNT, false, 2},
    {"FAILED", "failed_tasks", CELL_COUNT, false, 3},
    {"WAITING", "pending_tasks", CELL_COUNT, false, 4},
    {"CALLING", "in_progress_tasks", CELL_COUNT, false, 5},
    {"CREATED", "created_at", CELL_TIME, false, 6},
    {NULL, NULL, 0, false, 0},
};
static const struct column task_columns[] = {
    {"ID", "id", CELL_TEXT, false, 0},
    {"PHONE", "phone_number", CELL_TEXT, false, 0},
    {"NAME", "contact_name", CELL_TEXT, true, 3},
    {"STATUS", "status", CELL_STATUS, false, 0},
    {"ATTEMPTS", "attempt_count", CELL_COUNT, false, 4},
    {"OUTCOME", "outcome", CELL_STATUS, true, 2},
    {"NEXT ATTEMPT", "next_attempt_at", CELL_TIME, false, 5},
    {"PRIORITY", "priority", CELL_COUNT, false, 6},
    {NULL, NULL, 0, false, 0},
};
static const struct column attempt_columns[] = {
    {"NO", "number", CELL_COUNT, false, 0},
    {"CALL", "call_id", CELL_TEXT, false, 0},
    {"CLAIMED", "claimed_at", CELL_TIME, false, 0},
    {"END", "ended", CELL_STATUS, false, 0},
    {"DISPOSITION", "disposition", CELL_STATUS, false, 1},
    {"OUTCOME", "outcome", CELL_STATUS, true, 2},
    {"AGENT", "worker_id", CELL_TEXT, true, 3},
    {"ERROR", "error_message", CELL_TEXT, true, 4},
    {NULL, NULL, 0, false, 0},
};
static const struct column decision_columns[] = {
    {"PASSED", "passed", CELL_STATUS, false, 0},
    {"RULE", "rule", CELL_TEXT, false, 0},
    {"WHY", "detail", CELL_TEXT, true, 0},
    {"PASSES AT", "passes_at", CELL_TIME, false, 1},
    {NULL, NULL, 0, false, 0},
};
static const struct column call_columns[] = {
    {"ID", "id", CELL_TEXT, false, 0},
    {"STARTED", "started_at", CELL_TIME, false, 0},
    {"STATUS", "status", CELL_STATUS, false, 0},
    {"OUTCOME", "outcome", CELL_STATUS, true, 1},
    {"PHONE", "phone_number", CELL_TEXT, false, 3},
    {"SECONDS", "duration_sec", CELL_SECONDS, false, 2},
    {"TURNS", "turn_count", CELL_COUNT, false, 4},
    {"LATENCY MS", "avg_eou_latency", CELL_SECONDS, false, 5},
    {"COST USD", "cost_total", CELL_MONEY, false, 6},
    {NULL, NULL, 0, false, 0},
};
static const struct column turn_columns[] = {
    {"NO", "turn.turn_index", CELL_COUNT, false, 0},
    {"TIME", "occurred_at", CELL_TIME, false, 1},
    {"ROLE", "turn.role", CELL_TEXT, false, 0},
    {"SAID", "turn.content", CELL_TEXT, true, 0},
    {NULL, NULL, 0, false, 0},
};
static const struct column point_columns[] = {
    {"START", "start", CELL_TIME, false, 0},
    {"CALLS", "total_calls", CELL_COUNT, false, 0},
    {"COMPLETED", "completed_calls", CELL_COUNT, false, 0},
    {"FAILED", "failed_calls", CELL_COUNT, false, 0},
    {"SECONDS", "avg_duration_sec", CELL_SECONDS, false, 1},
    {"LATENCY MS", "avg_eou_latency", CELL_SECONDS, false, 2},
    {"COST USD", "total_cost", CELL_MONEY, false, 0},
    {NULL, NULL, 0, false, 0},
};
static const struct column suppression_columns[] = {
    {"ID", "id", CELL_TEXT, false, 0},
    {"PHONE", "phone_number", CELL_TEXT, false, 0},
    {"PREFIX", "prefix", CELL_TEXT, false, 0},
    {"SOURCE", "source", CELL_STATUS, false, 1},
    {"REASON", "reason", CELL_TEXT, true, 2},
    {"ADDED", "created_at", CELL_TIME, false, 3},
    {NULL, NULL, 0, false, 0},
};

static const struct column key_columns[] = {
    {"ID", "id", CELL_TEXT, false, 0},
    {"NAME", "name", CELL_TEXT, true, 0},
    {"ROLES", "roles", CELL_TEXT, true, 1},
    {"GRANTS", "grants", CELL_TEXT, true, 2},
    {"PREFIX", "prefix", CELL_TEXT, false, 3},
    {"EXPIRES", "expires_at", CELL_TIME, false, 4},
    {"LAST USED", "last_used_at", CELL_TIME, false, 5},
    {"MADE BY", "created_by", CELL_TEXT, true, 6},
    {"CREATED", "created_at", CELL_TIME, false, 7},
    {NULL, NULL, 0, false, 0},
};

#define FILE_FLAG                                                                                  \
    {                                                                                              \
        "file", 'f', "FILE",                                                                       \
            "Read the values from this JSON file (\"-\": standard input); flags "                  \
            "go over it.",                                                                         \
            false                                                                                  \
    }
#define YES_FLAG                                                                                   \
    {                                                                                              \
        "yes", 'y', NULL, "Do not ask.", false                                                     \
    }
#define NO_MORE_FLAGS                                                                              \
    {                                                                                              \
        NULL, 0, NULL, NULL, false                                                                 \
    }

static const struct own_flag create_flags[] = {FILE_FLAG, NO_MORE_FLAGS};
static const struct own_flag update_flags[] = {
    FILE_FLAG,
    {"clear", 0, "FIELD", "Take this field's value away; may be given several times.", true},
    NO_MORE_FLAGS,
};
static const struct own_flag confirm_flags[] = {YES_FLAG, NO_MORE_FLAGS};
static const struct own_flag watch_campaign_flags[] = {
    {"interval", 'n', "DURATION", "Ask this often, 100ms to 1h; default 1s.", false},
    NO_MORE_FLAGS,
};
static const struct own_flag watch_call_flags[] = {
    {"after-seq", 0, "N", "Go on after this event: the last seq that was seen; default 0: all.",
     false},
    NO_MORE_FLAGS,
};
static const struct own_flag upload_flags[] = {
    {"quiet", 'q', NULL, "Show no progress.", false},
    NO_MORE_FLAGS,
};
static const struct own_flag rpc_flags[] = {
    {"file", 'f', "FILE", "Read the request from this JSON file (\"-\": standard input).", false},
    {"data", 'd', "JSON", "The request.", false},
    NO_MORE_FLAGS,
};

#define THE_COMPANY(field)                                                                         \
    {                                                                                              \
        "COMPANY", field, RESOURCE_COMPANY, NULL, false, NULL                                      \
    }
#define THE_SKILLBASE(field)                                                                       \
    {                                                                                              \
        "SKILLBASE", field, RESOURCE_SKILLBASE, NULL, false, NULL                                  \
    }
#define THE_CAMPAIGN(field)                                                                        \
    {                                                                                              \
        "CAMPAIGN", field, RESOURCE_CAMPAIGN, NULL, false, NULL                                    \
    }
#define THE_ID(title, field)                                                                       \
    {                                                                                              \
        title, field, RESOURCE_NONE, NULL, false, NULL                                             \
    }
#define THE_FILE(help)                                                                             \
    {                                                                                              \
        "FILE", NULL, RESOURCE_NONE, help, false, NULL                                             \
    }

const struct command commands[] = {
    {.group = "company",
     .name = "list",
     .method = "CompanyService/ListCompanies",
     .rows = "items",
     .columns = company_columns},
    {.group = "company",
     .name = "get",
     .method = "CompanyService/GetCompany",
     .positionals = {THE_COMPANY("id")}},
    {.group = "company",
     .name = "create",
     .method = "CompanyService/CreateCompany",
     .own_flags = create_flags},
    {.group = "company",
     .name = "update",
     .method = "CompanyService/UpdateCompany",
     .positionals = {THE_COMPANY("id")},
     .own_flags = update_flags},
    {.group = "company",
     .name = "delete",
     .method = "CompanyService/DeleteCompany",
     .positionals = {THE_COMPANY("id")},
     .own_flags = confirm_flags,
     .confirm = "Delete the company with its skillbases, campaigns, contacts and calls"},
    {.group = "company",
     .name = "audit",
     .method = "AuditService/ListAuditEntries",
     .positionals = {THE_COMPANY("company_id")},
     .rows = "items",
     .columns = audit_columns},

    {.group = "skillbase",
     .name = "list",
     .method = "SkillbaseService/ListSkillbases",
     .rows = "items",
     .columns = skillbase_columns},
    {.group = "skillbase",
     .name = "get",
     .method = "SkillbaseService/GetSkillbase",
     .positionals = {THE_SKILLBASE("id")}},
    {.group = "skillbase",
     .name = "create",
     .method = "SkillbaseService/CreateSkillbase",
     .own_flags = create_flags},
    {.group = "skillbase",
     .name = "update",
     .method = "SkillbaseService/UpdateSkillbase",
     .positionals = {THE_SKILLBASE("id")},
     .own_flags = update_flags},
    {.group = "skillbase",
     .name = "delete",
     .method = "SkillbaseService/DeleteSkillbase",
     .positionals = {THE_SKILLBASE("id")},
     .own_flags = confirm_flags,
     .confirm = "Delete the skillbase with its campaigns and their contacts"},
    {.group = "skillbase",
     .name = "validate",
     .method = "SkillbaseService/ValidateSkillbaseConfig",
     .positionals = {THE_FILE("A JSON file (\"-\": standard input) with a configuration, or with a "
                              "skillbase that has one in its \"config\".")},
     .no_field_flags = true,
     .run = run_validate,
     .more = "What is wrong is said as FILE:LINE:COLUMN, all at once. What would be refused on "
             "create is an error (exit status 4); what is only doubtful is a warning."},
    {.group = "skillbase",
     .name = "versions",
     .method = "SkillbaseService/ListSkillbaseVersions",
     .positionals = {THE_SKILLBASE("id")},
     .rows = "items",
     .columns = version_columns},
    {.group = "skillbase",
     .name = "version",
     .method = "SkillbaseService/GetSkillbaseVersion",
     .positionals = {THE_SKILLBASE("id"), THE_ID("VERSION", "version")}},
    {.group = "skillbase",
     .name = "rollback",
     .method = "SkillbaseService/RollbackSkillbase",
     .positionals = {THE_SKILLBASE("id"), THE_ID("VERSION", "version")}},
    {.group = "skillbase",
     .name = "for-call",
     .method = "SkillbaseService/GetSkillbaseForCall",
     .positionals = {THE_SKILLBASE("id")}},

    {.group = "campaign",
     .name = "list",
     .method = "CampaignService/ListCampaigns",
     .rows = "items",
     .columns = campaign_columns},
    {.group = "campaign",
     .name = "get",
     .method = "CampaignService/GetCampaign",
     .positionals = {THE_CAMPAIGN("id")}},
    {.group = "campaign",
     .name = "create",
     .method = "CampaignService/CreateCampaign",
     .own_flags = create_flags},
    {.group = "campaign",
     .name = "update",
     .method = "CampaignService/UpdateCampaign",
     .positionals = {THE_CAMPAIGN("id")},
     .own_flags = update_flags},
    {.group = "campaign",
     .name = "delete",
     .method = "CampaignService/DeleteCampaign",
     .positionals = {THE_CAMPAIGN("id")},
     .own_flags = confirm_flags,
     .confirm = "Delete the campaign with its contacts"},
    {.group = "campaign",
     .name = "upload",
     .method = "CampaignService/UploadCallList",
     .positionals = {THE_CAMPAIGN("campaign_id"),
                     THE_FILE("The list of contacts; \"-\": standard input.")},
     .own_flags = upload_flags,
     .no_field_flags = true,
     .deadline = "10m",
     .run = run_upload},
    {.group = "campaign",
     .name = "start",
     .method = "CampaignService/StartCampaign",
     .positionals = {THE_CAMPAIGN("id")}},
    {.group = "campaign",
     .name = "pause",
     .method = "CampaignService/PauseCampaign",
     .positionals = {THE_CAMPAIGN("id")}},
    {.group = "campaign",
     .name = "cancel",
     .method = "CampaignService/CancelCampaign",
     .positionals = {THE_CAMPAIGN("id")},
     .own_flags = confirm_flags,
     .confirm = "Cancel the campaign for good"},
    {.group = "campaign",
     .name = "watch",
     .method = "CampaignService/GetCampaign",
     .summary = "Watch a campaign's counters live.",
     .more = "In a terminal redrawn in place; else a line for each change (with --json a JSON "
             "object). Ends by itself when the campaign is completed or cancelled.",
     .positionals = {THE_CAMPAIGN("id")},
     .own_flags = watch_campaign_flags,
     .no_field_flags = true,
     .run = run_watch_campaign},
    {.group = "campaign",
     .name = "simulate",
     .method = "CampaignService/SimulateCampaign",
     .positionals = {THE_CAMPAIGN("id")}},

    {.group = "task",
     .name = "list",
     .method = "CampaignService/ListTasks",
     .positionals = {THE_CAMPAIGN("campaign_id")},
     .rows = "items",
     .columns = task_columns},
    {.group = "task",
     .name = "get",
     .method = "CampaignService/GetTask",
     .positionals = {THE_CAMPAIGN("campaign_id"), THE_ID("TASK", "id")}},
    {.group = "task",
     .name = "attempts",
     .method = "CampaignService/ListAttempts",
     .positionals = {THE_CAMPAIGN("campaign_id"), THE_ID("TASK", "id")},
     .rows = "items",
     .columns = attempt_columns},
    {.group = "task",
     .name = "explain",
     .method = "CampaignService/ExplainTask",
     .positionals = {THE_CAMPAIGN("campaign_id"), THE_ID("TASK", "id")},
     .rows = "decisions",
     .columns = decision_columns},
    {.group = "task",
     .name = "settle",
     .method = "CampaignService/SettleTask",
     .positionals = {THE_CAMPAIGN("campaign_id"), THE_ID("TASK", "id")}},

    {.group = "call",
     .name = "list",
     .method = "AnalyticsService/ListCalls",
     .rows = "items",
     .columns = call_columns},
    {.group = "call",
     .name = "get",
     .method = "AnalyticsService/GetCall",
     .positionals = {THE_ID("CALL", "id")},
     .rows = "turns",
     .columns = turn_columns},
    {.group = "call",
     .name = "metrics",
     .method = "AnalyticsService/GetCallMetrics",
     .positionals = {THE_ID("CALL", "id")}},
    {.group = "call",
     .name = "watch",
     .method = "AnalyticsService/WatchCall",
     .more = "Every turn as it comes; ends after the last event. When the connection breaks it is "
             "made again, and goes on where it was. With --json each message is a line.",
     .positionals = {THE_ID("CALL", "call_id")},
     .own_flags = watch_call_flags,
     .no_field_flags = true,
     .run = run_watch_call},

    {.group = "metrics", .name = "show", .method = "AnalyticsService/GetMetrics"},
    {.group = "metrics",
     .name = "series",
     .method = "AnalyticsService/GetMetricsTimeSeries",
     .rows = "points",
     .columns = point_columns},

    {.group = "dnc",
     .name = "list",
     .method = "SuppressionService/ListSuppressions",
     .positionals = {THE_COMPANY("company_id")},
     .rows = "items",
     .columns = suppression_columns},
    {.group = "dnc",
     .name = "get",
     .method = "SuppressionService/GetSuppression",
     .positionals = {THE_COMPANY("company_id"), THE_ID("ID", "id")}},
    {.group = "dnc",
     .name = "create",
     .method = "SuppressionService/CreateSuppression",
     .positionals = {THE_COMPANY("company_id")},
     .own_flags = create_flags},
    {.group = "dnc",
     .name = "delete",
     .method = "SuppressionService/DeleteSuppression",
     .positionals = {THE_COMPANY("company_id"), THE_ID("ID", "id")},
     .own_flags = confirm_flags,
     .confirm = "Allow calls to this number again"},
    {.group = "dnc",
     .name = "upload",
     .method = "SuppressionService/UploadSuppressions",
     .positionals = {THE_COMPANY("company_id"),
                     THE_FILE("The list of numbers; \"-\": standard input.")},
     .own_flags = upload_flags,
     .no_field_flags = true,
     .deadline = "10m",
     .run = run_upload},

    {.group = "key",
     .name = "list",
     .method = "ApiKeyService/ListApiKeys",
     .positionals = {THE_COMPANY("company_id")},
     .rows = "items",
     .columns = key_columns},
    {.group = "key",
     .name = "get",
     .method = "ApiKeyService/GetApiKey",
     .positionals = {THE_COMPANY("company_id"), THE_ID("ID", "id")}},
    {.group = "key",
     .name = "create",
     .method = "ApiKeyService/CreateApiKey",
     .positionals = {THE_COMPANY("company_id")},
     .own_flags = create_flags},
    {.group = "key",
     .name = "revoke",
     .method = "ApiKeyService/DeleteApiKey",
     .positionals = {THE_COMPANY("company_id"), THE_ID("ID", "id")},
     .own_flags = confirm_flags,
     .confirm = "Revoke the API key: whatever still uses it will be refused"},

    {.group = "contact",
     .name = "erase",
     .method = "PrivacyService/EraseContact",
     .positionals = {THE_COMPANY("company_id")},
     .own_flags = confirm_flags,
     .confirm = "Erase what is known of this person"},

    {.group = "config",
     .name = "show",
     .summary = "Show the profiles, without their tokens.",
     .run = run_config_show},
    {.group = "config",
     .name = "set",
     .summary = "Set a value of a profile.",
     .more = "Of the profile that --profile names, which is made when there is none, else of the "
             "one in use, else of \"default\".",
     .positionals = {{"KEY", NULL, RESOURCE_NONE, "server, token or timeout.", false,
                      "server token timeout"},
                     {"VALUE", NULL, RESOURCE_NONE,
                      "The value; \"-\": a line of standard input, so that a token is in no "
                      "shell's history.",
                      false, NULL}},
     .run = run_config_set},
    {.group = "config",
     .name = "unset",
     .summary = "Take a value of a profile away.",
     .positionals = {{"KEY", NULL, RESOURCE_NONE, "server, token or timeout.", false,
                      "server token timeout"}},
     .run = run_config_unset},
    {.group = "config",
     .name = "use",
     .summary = "Choose the profile to use from now on.",
     .positionals = {{"PROFILE", NULL, RESOURCE_NONE, "Its name.", false, NULL}},
     .run = run_config_use},
    {.group = "config",
     .name = "path",
     .summary = "Print where the configuration file is.",
     .run = run_config_path},

    {.name = "rpc",
     .summary = "Call any RPC by its name, with a JSON request.",
     .more = "What agents do (claim, begin, finish …), and every RPC that has no command of its "
             "own. The answer is JSON; of a stream, one object a line.",
     .positionals = {{"SERVICE/METHOD", NULL, RESOURCE_NONE,
                      "For example DispatchService/ClaimTasks.", false, NULL}},
     .own_flags = rpc_flags,
     .run = run_rpc},
    {.name = "completion",
     .summary = "Print the completion script of a shell.",
     .more = "bash: source <(dialplane completion bash)\n"
             "zsh: dialplane completion zsh > \"${fpath[1]}/_dialplane\"\n"
             "fish: dialplane completion fish > ~/.config/fish/completions/dialplane.fish",
     .positionals = {{"SHELL", NULL, RESOURCE_NONE, "bash, zsh or fish.", false, "bash zsh fish"}},
     .run = run_completion},
    {.name = "man",
     .summary = "Print the manual page (roff).",
     .more = "To read it without having it installed: dialplane man | man -l -",
     .run = run_man},
    {.name = "help",
     .summary = "Show help.",
     .positionals = {{"COMMAND", NULL, RESOURCE_NONE, "A group or a command.", true, NULL},
                     {"NAME", NULL, RESOURCE_NONE, "A command of the group.", true, NULL}},
     .run = run_help},
    {.name = "version", .summary = "Print the version.", .run = run_version},
};
const size_t command_count = sizeof(commands) / sizeof(*commands);

const struct command_group *command_find_group(const char *name)
{
    for (size_t i = 0; i < command_group_count; i++)
        if (strcmp(command_groups[i].name, name) == 0 ||
            strcmp(command_groups[i].plural, name) == 0)
            return &command_groups[i];
    return NULL;
}

const struct command *command_find(const struct command_group *group, const char *name)
{
    for (size_t i = 0; i < command_count; i++) {
        bool same_group = group ? commands[i].group && strcmp(commands[i].group, group->name) == 0
                                : !commands[i].group;
        if (same_group && strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

const struct schema_method *command_method(const struct schema *schema,
                                           const struct command *command)
{
    char path[200];
    if (!command->method)
        return NULL;
    snprintf(path, sizeof(path), "/dialplane.v1.%s", command->method);
    return schema_find_method(schema, str_from(path));
}

const struct schema_field *command_resource(const struct schema_method *method)
{
    const struct schema_field *field =
        method && method->binding_count ? method->bindings[0].body_field : NULL;
    return field && field->type == SCHEMA_MESSAGE && !field->repeated ? field : NULL;
}

static struct str first_line(const char *text)
{
    return (struct str){text, strcspn(text, "\n")};
}

struct str command_summary(const struct schema *schema, const struct command *command)
{
    const struct schema_method *method = command_method(schema, command);
    if (command->summary)
        return str_from(command->summary);
    return first_line(method ? method->comment : "");
}

struct str command_more(const struct schema *schema, const struct command *command)
{
    const struct schema_method *method = command_method(schema, command);
    if (command->more || command->summary)
        return str_from(command->more ? command->more : "");
    const char *comment = method ? method->comment : "";
    comment += first_line(comment).length;
    return str_from(*comment ? comment + 1 : comment);
}
