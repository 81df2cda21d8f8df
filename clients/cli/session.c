/* Settings, connections and calls of one run. */
#include "cli.h"

#include "app/app.h"
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VIOLATIONS_MAX 200
#define INPUT_LIMIT ((size_t)32 << 20)
#define DEFAULT_SERVER "127.0.0.1:8000"
#define DEFAULT_TIMEOUT "30s"

void failure_init(struct failure *failure, struct arena *arena)
{
    *failure = (struct failure){.source = {.name = NULL}};
    violations_init(&failure->violations, arena, VIOLATIONS_MAX);
}

bool parse_duration(const char *text, int64_t minimum_us, int64_t maximum_us, int64_t *ret_us,
                    char *reason, size_t reason_size)
{
    const struct app_setting setting = {
        .kind = APP_DURATION, .ret_value = ret_us, .minimum = minimum_us, .maximum = maximum_us};
    return app_value_set(&setting, text, reason, reason_size);
}

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static bool bad_setting(struct failure *failure, const char *where, const char *why)
{
    return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE", "%s: %s", where, why);
}

static bool choose_profile(struct cli *cli, const struct invocation *invocation,
                           const struct config_profile **ret_profile, struct failure *failure)
{
    const char *named = invocation_value(invocation, "profile");
    if (!named)
        named = from_environment("DIALPLANE_PROFILE");
    if (!named)
        named = cli->config.profile;
    cli->profile = named ? named : "default";
    *ret_profile = config_find(&cli->config, cli->profile);
    bool may_be_new = invocation->group && strcmp(invocation->group->name, "config") == 0;
    if (named && !*ret_profile && !may_be_new)
        return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                       "there is no profile \"%.64s\" in %.250s", named, cli->config_path);
    return true;
}

static bool set_timeout(struct cli *cli, const struct invocation *invocation,
                        const struct config_profile *profile, struct failure *failure)
{
    const char *text = invocation_value(invocation, "timeout"), *where = "--timeout";
    int64_t timeout_us = 0;
    char reason[120];
    if (!text && profile && profile->values[CONFIG_TIMEOUT] &&
        !(invocation->command && invocation->command->deadline)) {
        text = profile->values[CONFIG_TIMEOUT];
        where = "timeout of the profile";
    }
    if (!text)
        text = invocation->command && invocation->command->deadline ? invocation->command->deadline
                                                                    : DEFAULT_TIMEOUT;
    if (!parse_duration(text, TIME_US_PER_SECOND / 10, 24 * 3600 * TIME_US_PER_SECOND, &timeout_us,
                        reason, sizeof(reason)))
        return bad_setting(failure, where, reason);
    cli->timeout_ms = (unsigned)(timeout_us / 1000);
    return true;
}

static bool set_tls(struct cli *cli, const struct invocation *invocation, struct failure *failure)
{
    const struct {
        const char *flag, *variable;
        const char **place;
    } parts[] = {
        {"tls-ca", "DIALPLANE_SERVICES_TLS_CA", &cli->tls.ca_file},
        {"tls-certificate", "DIALPLANE_SERVICES_TLS_CERTIFICATE", &cli->tls.certificate_file},
        {"tls-key", "DIALPLANE_SERVICES_TLS_KEY", &cli->tls.key_file},
        {"tls-name", "DIALPLANE_SERVICES_TLS_NAME", &cli->tls.name},
    };
    struct dialplane_error error;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        *parts[i].place = invocation_value(invocation, parts[i].flag);
        if (!*parts[i].place)
            *parts[i].place = from_environment(parts[i].variable);
    }
    return dialplane_tls_check(&cli->tls, &error) ||
           err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE", "%s", error.message);
}

bool session_configure(struct cli *cli, const struct invocation *invocation,
                       struct failure *failure)
{
    const struct config_profile *profile;
    cli->json = invocation_has(invocation, "json");
    cli->allow_insecure = invocation_has(invocation, "allow-insecure");
    if (!config_file_load(cli, failure) || !choose_profile(cli, invocation, &profile, failure) ||
        !set_timeout(cli, invocation, profile, failure))
        return false;
    const char *server = invocation_value(invocation, "server");
    if (!server)
        server = from_environment("DIALPLANE_SERVER");
    if (!server && profile)
        server = profile->values[CONFIG_SERVER];
    if (!addresses_parse(server ? server : DEFAULT_SERVER, &cli->addresses, &failure->err)) {
        snprintf(failure->err.reason, sizeof(failure->err.reason), "USAGE");
        return false;
    }
    cli->token = invocation_value(invocation, "token");
    if (!cli->token)
        cli->token = from_environment("DIALPLANE_TOKEN");
    if (!cli->token && profile)
        cli->token = profile->values[CONFIG_TOKEN];
    return set_tls(cli, invocation, failure);
}

enum backend session_backend(const struct schema_method *method)
{
    for (int i = 0; i < BACKEND_COUNT; i++)
        if (strcmp(method->service->backend, backend_names[i]) == 0)
            return (enum backend)i;
    return BACKEND_SKILLBASE;
}

struct dialplane_client *session_client(struct cli *cli, enum backend backend,
                                        struct failure *failure)
{
    const char *target = cli->addresses.target[backend];
    const struct dialplane_client_options options = {
        .token = cli->token, .fail_fast = true, .tls = &cli->tls};
    if (cli->clients[backend])
        return cli->clients[backend];
    if (cli->token && !cli->allow_insecure && !dialplane_tls_is_set(&cli->tls) &&
        !address_is_local(target)) {
        err_set(&failure->err, ERR_PERMISSION_DENIED, NULL,
                "the token would go to %s without encryption: give --tls-ca; --allow-insecure "
                "sends it all the same",
                target);
        return NULL;
    }
    if (!cli->is_connected)
        dialplane_init(); /* not before: help and completion do not need its threads */
    cli->is_connected = true;
    struct dialplane_client *client = dialplane_client_open_with(target, &options);
    if (!client) {
        err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE",
                "the token must be printable ASCII, and not empty");
        return NULL;
    }
    cli->clients[backend] = client;
    /* Ctrl-C's thread says that it came before it looks for clients: one of us sees the other. */
    if (interrupt_happened())
        dialplane_client_shutdown(client);
    return client;
}

void session_close(struct cli *cli)
{
    for (int i = 0; i < BACKEND_COUNT; i++)
        dialplane_client_close(cli->clients[i]);
    if (cli->is_connected)
        dialplane_exit();
}

void failure_from_error(const struct cli *cli, enum backend backend,
                        const struct dialplane_error *error, struct failure *failure)
{
    size_t position = 0;
    const char *field, *message;
    enum err_code code =
        error->code >= 1 && error->code <= 16 ? (enum err_code)error->code : ERR_UNKNOWN;
    bool from_service = error->reason[0] || error->field_count;
    if (code == ERR_UNAVAILABLE && !from_service) {
        const char *cause = strstr(error->message, "Failed to connect");
        err_set(&failure->err, code, NULL, "the %s service at %s cannot be reached: %s",
                backend_names[backend], cli->addresses.target[backend],
                cause ? cause : error->message);
    } else if (code == ERR_DEADLINE_EXCEEDED) {
        err_set(&failure->err, code, error->reason, "no answer from the %s service within %g s",
                backend_names[backend], cli->timeout_ms / 1000.0);
    } else {
        err_set(&failure->err, code, error->reason, "%s",
                error->message[0] ? error->message : dialplane_code_name(code));
    }
    failure->err.retry_after_seconds = error->retry_after_ms / 1000;
    while (dialplane_error_next_field(error, &position, &field, &message)) {
        bool known = false; /* the service and this program may have found the same */
        for (const struct violation *at = failure->violations.first; at; at = at->next)
            known = known || strcmp(at->field, field) == 0;
        if (!known)
            violations_add(&failure->violations, arena_strdup(cli->arena, field), "%s", message);
    }
    failure->err.violations = &failure->violations;
}

bool session_call(struct cli *cli, const struct schema_method *method, struct str request,
                  enum dialplane_call_mode mode, struct str *ret_response, struct failure *failure)
{
    enum backend backend = session_backend(method);
    struct dialplane_client *client = session_client(cli, backend, failure);
    struct dialplane_bytes response;
    struct dialplane_error error;
    if (!client)
        return false;
    if (!dialplane_call_bytes(client, method->path, request.data, request.length, mode,
                              cli->timeout_ms, &response, &error)) {
        failure_from_error(cli, backend, &error, failure);
        return false;
    }
    const char *copy = arena_memdup(cli->arena, response.data, response.size);
    *ret_response = (struct str){copy, response.size};
    free(response.data);
    return copy || err_set(&failure->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}

static bool unreadable(struct failure *failure, const char *name, const char *why)
{
    return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE", "%.250s: %s", name, why);
}

bool read_file(struct cli *cli, const char *name, struct str *ret_text, struct failure *failure)
{
    bool is_input = strcmp(name, "-") == 0;
    int file = is_input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    struct buf text;
    ssize_t count = 0;
    if (file < 0)
        return unreadable(failure, name, strerror(errno));
    buf_init(&text, INPUT_LIMIT);
    while (true) {
        char *room = buf_reserve(&text, 65536);
        if (!room)
            break;
        count = read(file, room, 65536);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        text.length += (size_t)count;
    }
    int error = errno;
    if (!is_input)
        close(file);
    bool ok = true;
    if (text.failed)
        ok = unreadable(failure, name, "is larger than 32 MB");
    else if (count < 0)
        ok = unreadable(failure, name, strerror(error));
    char *copy = ok ? arena_strndup(cli->arena, text.length ? text.data : "", text.length) : NULL;
    if (ok && !copy)
        ok = unreadable(failure, name, "memory is short");
    *ret_text = (struct str){copy, text.length};
    buf_done(&text);
    return ok;
}
