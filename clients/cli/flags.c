/* Flags from descriptors: the fields of a request, with their comments as help. */
#include "arguments.h"

#include <stdio.h>
#include <string.h>

static const struct flag globals[] = {
    {.name = "server",
     .letter = 's',
     .value = "ADDRESS",
     .help = "Where the platform is: HOST:PORT of the gateway (the services have the three ports "
             "after it, as ./dev up lays them out), unix:FOLDER with the services' sockets, or "
             "skillbase=ADDRESS,campaign=ADDRESS,analytics=ADDRESS. Else DIALPLANE_SERVER, else "
             "the profile's, else 127.0.0.1:8000."},
    {.name = "profile",
     .letter = 'p',
     .value = "NAME",
     .help = "Use this profile of the configuration file. Else DIALPLANE_PROFILE, else the one "
             "that the file names, else \"default\"."},
    {.name = "token",
     .value = "TOKEN",
     .help = "Send it with every call as \"authorization: Bearer TOKEN\". Other users of this "
             "machine can see it in the list of processes: prefer DIALPLANE_TOKEN or a profile. "
             "Refused for servers elsewhere without --tls-ca unless --allow-insecure."},
    {.name = "tls-ca",
     .value = "FILE",
     .help = "Speak TLS (except with unix sockets); FILE has the CA, in PEM form, that has signed "
             "the services' certificates. Else DIALPLANE_SERVICES_TLS_CA."},
    {.name = "tls-certificate",
     .value = "FILE",
     .help = "Show services this certificate (PEM). Else DIALPLANE_SERVICES_TLS_CERTIFICATE."},
    {.name = "tls-key",
     .value = "FILE",
     .help = "Its private key (PEM). Else DIALPLANE_SERVICES_TLS_KEY."},
    {.name = "tls-name",
     .value = "NAME",
     .help = "The name that the services' certificates must carry, if it is not their address's "
             "host. Else DIALPLANE_SERVICES_TLS_NAME."},
    {.name = "allow-insecure",
     .is_bool = true,
     .help = "Send the token over the network without encryption."},
    {.name = "timeout",
     .value = "DURATION",
     .help = "Longest wait for an answer, 100ms to 24h; default 30s (10m for uploads)."},
    {.name = "json",
     .is_bool = true,
     .help = "Print the answer as JSON, the same as over REST; errors too, on standard error."},
    {.name = "help", .letter = 'h', .is_bool = true, .help = "Show help and exit."},
    {.name = "version", .is_bool = true, .help = "Print the version and exit."},
};
const struct flags global_flags = {globals, sizeof(globals) / sizeof(*globals)};

static enum resource resource_of(const struct schema_field *field)
{
    if (field->rules.format != SCHEMA_FORMAT_UUID)
        return RESOURCE_NONE;
    if (strcmp(field->name, "company_id") == 0)
        return RESOURCE_COMPANY;
    if (strcmp(field->name, "skillbase_id") == 0)
        return RESOURCE_SKILLBASE;
    return strcmp(field->name, "campaign_id") == 0 ? RESOURCE_CAMPAIGN : RESOURCE_NONE;
}

static bool is_structured(const struct schema_field *field)
{
    return field->map ||
           (field->type == SCHEMA_MESSAGE && field->message->well_known != SCHEMA_TIMESTAMP &&
            field->message->well_known != SCHEMA_DURATION &&
            field->message->well_known != SCHEMA_WRAPPER);
}

static const char *value_of(const struct schema_field *field, enum resource resource)
{
    if (resource != RESOURCE_NONE)
        return resource == RESOURCE_COMPANY     ? "COMPANY"
               : resource == RESOURCE_SKILLBASE ? "SKILLBASE"
                                                : "CAMPAIGN";
    if (is_structured(field))
        return "JSON|@FILE";
    switch (field->type) {
    case SCHEMA_BOOL:
        return field->repeated ? "BOOL" : NULL;
    case SCHEMA_ENUM:
        return "WORD";
    case SCHEMA_MESSAGE:
        return field->message->well_known == SCHEMA_TIMESTAMP ? "TIME" : "TEXT";
    case SCHEMA_DOUBLE:
    case SCHEMA_FLOAT:
        return "NUMBER";
    case SCHEMA_STRING:
        switch (field->rules.format) {
        case SCHEMA_FORMAT_UUID:
            return "ID";
        case SCHEMA_FORMAT_DATE:
            return "YYYY-MM-DD";
        case SCHEMA_FORMAT_TIME_OF_DAY:
            return "HH:MM";
        default:
            return "TEXT";
        }
    case SCHEMA_BYTES:
        return "BASE64";
    default:
        return field->rules.decimal_places ? "NUMBER" : "N";
    }
}

static void put_help(struct buf *out, const struct schema_field *field, enum resource resource,
                     bool with_default)
{
    const char *default_json = field->rules.default_json;
    buf_put_cstr(out, field->comment);
    if (resource != RESOURCE_NONE)
        buf_printf(out, " An id, %sa name.",
                   resource == RESOURCE_SKILLBASE ? "a slug, COMPANY/SLUG or "
                   : resource == RESOURCE_COMPANY ? "a slug or "
                                                  : "");
    for (size_t i = 0, shown = 0; field->enumeration && i < field->enumeration->value_count; i++)
        if (field->enumeration->values[i].number != 0)
            buf_printf(out, "%s%s",
                       shown++ ? ", " : " One of: ", field->enumeration->values[i].word);
    if (field->enumeration)
        buf_put_char(out, '.');
    if (field->repeated && !field->map && !is_structured(field))
        buf_put_cstr(out, " May be given several times.");
    if (with_default && default_json && field->type != SCHEMA_ENUM &&
        field->type != SCHEMA_MESSAGE) {
        size_t length = strlen(default_json);
        bool quoted = length >= 2 && default_json[0] == '"';
        buf_printf(out, " Default: %.*s.", (int)(quoted ? length - 2 : length),
                   default_json + (quoted ? 1 : 0));
    }
}

/* One line of text in the arena; NULL: no memory. */
static const char *help_of(const struct schema_field *field, enum resource resource,
                           bool with_default, struct arena *arena)
{
    struct buf text;
    buf_init(&text, 16384);
    put_help(&text, field, resource, with_default);
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] == '\n')
            text.data[i] = ' ';
    const char *copy =
        text.failed ? NULL : arena_strndup(arena, text.length ? text.data : "", text.length);
    buf_done(&text);
    return copy;
}

static bool add_field(struct flag *flag, const struct schema_field *field, bool in_resource,
                      bool with_default, struct arena *arena)
{
    enum resource resource = resource_of(field);
    char *name = arena_strdup(arena, field->name);
    const char *help = help_of(field, resource, with_default, arena);
    if (!name || !help)
        return false;
    for (char *c = name; *c; c++)
        if (*c == '_')
            *c = '-';
    *flag = (struct flag){.name = name,
                          .value = value_of(field, resource),
                          .help = help,
                          .repeats = field->repeated && !is_structured(field),
                          .field = field,
                          .in_resource = in_resource,
                          .is_bool = field->type == SCHEMA_BOOL && !field->repeated,
                          .resource = resource};
    if (strcmp(field->name, "page_size") == 0)
        flag->synonym = "limit"; /* as the other lists call it */
    if (resource != RESOURCE_NONE) {
        flag->synonym = name;
        flag->name = resource == RESOURCE_COMPANY     ? "company"
                     : resource == RESOURCE_SKILLBASE ? "skillbase"
                                                      : "campaign";
    }
    return true;
}

static bool is_positional(const struct command *command, const struct schema_field *field)
{
    for (size_t i = 0; i < POSITIONALS_MAX; i++)
        if (command->positionals[i].field &&
            strcmp(command->positionals[i].field, field->name) == 0)
            return true;
    return false;
}

bool flags_of(const struct schema *schema, const struct command *command, struct arena *arena,
              struct flags *ret_flags)
{
    const struct schema_method *method = command_method(schema, command);
    const struct schema_field *resource = command_resource(method);
    bool is_update = method && schema_find_field(method->input, STR_LITERAL("update_mask"));
    size_t own = 0, most = 0, count = 0;
    while (command->own_flags && command->own_flags[own].name)
        own++;
    most = own + (method ? method->input->field_count : 0) +
           (resource ? resource->message->field_count : 0);
    struct flag *flags = arena_calloc(arena, most ? most : 1, sizeof(*flags));
    if (!flags)
        return false;
    for (size_t i = 0; i < own; i++) {
        const struct own_flag *from = &command->own_flags[i];
        flags[count++] = (struct flag){.name = from->name,
                                       .letter = from->letter,
                                       .value = from->value,
                                       .help = from->help,
                                       .repeats = from->repeats,
                                       .is_bool = !from->value};
    }
    for (size_t i = 0; method && !command->no_field_flags && i < method->input->field_count; i++) {
        const struct schema_field *field = &method->input->fields[i];
        if (field == resource || field->output_only || is_positional(command, field) ||
            strcmp(field->name, "update_mask") == 0)
            continue;
        if (!add_field(&flags[count++], field, false, true, arena))
            return false;
    }
    for (size_t i = 0; resource && !command->no_field_flags && i < resource->message->field_count;
         i++) {
        const struct schema_field *field = &resource->message->fields[i];
        if (field->output_only || (is_update && field->immutable))
            continue;
        if (!add_field(&flags[count++], field, true, !is_update, arena))
            return false;
    }
    *ret_flags = (struct flags){flags, count};
    return true;
}
