/* The settings that every service has, before its own. */
#include "service/internal.h"

#include "app/exposure.h"
#include "auth/key_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMON_LIMIT 36
#define AUTH_SETTINGS 12

/* Who may call. */
static void auth_settings(struct service_settings *s, struct app_setting out[AUTH_SETTINGS])
{
    const struct app_setting settings[] = {
        {.name = "auth",
         .kind = APP_TEXT,
         .ret_value = &s->auth,
         .help = "who may call; one of them must be given: \"token\" (who shows a signed bearer "
                 "token, see --auth-keys) or \"off\" (everybody, as the platform's administrator: "
                 "on loopback and unix sockets only)"},
        {.name = "auth-keys",
         .kind = APP_TEXT,
         .ret_value = &s->auth_keys,
         .help =
             "the JWK set that tokens are verified with (RS256, ES256, EdDSA): a file, read again "
             "when it changes, or an https:// URL (http:// on loopback only)"},
        {.name = "auth-keys-refresh",
         .kind = APP_DURATION,
         .default_text = "5m",
         .minimum = TIME_US_PER_SECOND,
         .maximum = 24 * 3600 * TIME_US_PER_SECOND,
         .ret_value = &s->auth_keys_refresh_us,
         .help = "how often a URL is asked for the keys again, 1s to 24h; when it does not answer, "
                 "the last good ones stay in force"},
        {.name = "auth-keys-retry",
         .kind = APP_DURATION,
         .default_text = "30s",
         .minimum = TIME_US_PER_SECOND,
         .maximum = 3600 * TIME_US_PER_SECOND,
         .ret_value = &s->auth_keys_retry_us,
         .help = "least time between two attempts to fetch the keys, also when a token names one "
                 "that is not known, 1s to 1h"},
        {.name = "auth-keys-wait",
         .kind = APP_DURATION,
         .default_text = "30s",
         .minimum = 0,
         .maximum = 3600 * TIME_US_PER_SECOND,
         .ret_value = &s->auth_keys_wait_us,
         .help = "longest wait for the URL of the keys at start, up to 1h; then the start fails"},
        {.name = "auth-keys-ca",
         .kind = APP_TEXT,
         .ret_value = &s->auth_keys_ca,
         .help =
             "file with the certificates (PEM) that the URL of the keys is trusted by; default: "
             "the system's"},
        {.name = "auth-issuer",
         .kind = APP_TEXT,
         .default_text = "dialplane",
         .ret_value = &s->auth_issuer,
         .help = "what a token's iss must be"},
        {.name = "auth-audience",
         .kind = APP_TEXT,
         .default_text = "dialplane",
         .ret_value = &s->auth_audience,
         .help = "what a token's aud must be or contain"},
        {.name = "auth-leeway",
         .kind = APP_DURATION,
         .default_text = "30s",
         .minimum = 0,
         .maximum = 300 * TIME_US_PER_SECOND,
         .ret_value = &s->auth_leeway_us,
         .help = "how far the clock of the tokens' issuer may be off, up to 5m"},
        {.name = "auth-hs256",
         .kind = APP_BOOL,
         .default_text = "false",
         .ret_value = &s->auth_hs256,
         .help = "accept tokens signed with a shared secret (a key of type oct in --auth-keys)"},
        {.name = "auth-cache",
         .kind = APP_INT,
         .default_text = "4096",
         .minimum = 0,
         .maximum = 1000000,
         .ret_value = &s->auth_cache,
         .help = "verified tokens that are remembered, up to 4 KB each, and as many API keys and "
                 "companies, 0.5 KB each; 0 to 1000000"},
        {.name = "auth-recheck",
         .kind = APP_DURATION,
         .default_text = "5s",
         .minimum = 0,
         .maximum = 300 * TIME_US_PER_SECOND,
         .ret_value = &s->auth_recheck_us,
         .help = "how long what the database says of an API key or a token's company is taken for "
                 "so: one that is revoked or deleted is refused after it, up to 5m"},
    };
    _Static_assert(sizeof(settings) / sizeof(settings[0]) == AUTH_SETTINGS, "count AUTH_SETTINGS");
    memcpy(out, settings, sizeof(settings));
}

static size_t common_settings(const struct service *service, struct service_settings *s,
                              struct app_setting out[COMMON_LIMIT])
{
    const struct app_setting settings[] = {
        {.name = "database-url",
         .kind = APP_TEXT,
         .secret = true,
         .ret_value = &s->database_url,
         .help = "PostgreSQL, as postgresql://USER:PASSWORD@HOST:PORT/NAME or key=value pairs; "
                 "better given as the variable, which no process list shows"},
        {.name = "database-roles",
         .kind = APP_TEXT,
         .default_text = "dialplane",
         .ret_value = &s->database_roles,
         .help = "the database roles that statements run as are called NAME_company and "
                 "NAME_service; the migration makes them (lower-case letters, digits and _, at "
                 "most 40)"},
        {.name = "listen",
         .kind = APP_TEXT,
         .own = true,
         .default_text = service->default_listen,
         .ret_value = &s->listen,
         .help = "where gRPC is served: HOST:PORT (port 0 takes a free one) or unix:PATH, or a "
                 "comma list"},
        {.name = "metrics-listen",
         .kind = APP_TEXT,
         .own = true,
         .default_text = service->default_metrics_listen,
         .ret_value = &s->metrics_listen,
         .help = "where /metrics and /healthz are served: HOST:PORT, or \"off\""},
        {.name = "allow-insecure",
         .kind = APP_BOOL,
         .default_text = "false",
         .ret_value = &s->allow_insecure,
         .help = "listen on addresses that are not loopback although what passes there, tokens "
                 "included, is not encrypted; never with --auth off"},
        {.name = "read-connections",
         .kind = APP_INT,
         .default_text = "2",
         .minimum = 1,
         .maximum = 64,
         .ret_value = &s->read_connections,
         .help = "database connections for reads, 1 to 64"},
        {.name = "write-connections",
         .kind = APP_INT,
         .default_text = "8",
         .minimum = 1,
         .maximum = 256,
         .ret_value = &s->write_connections,
         .help = "database connections for writes, 1 to 256"},
        {.name = "session-connections",
         .kind = APP_INT,
         .default_text = "4",
         .minimum = 1,
         .maximum = 64,
         .ret_value = &s->session_connections,
         .help = "most database sessions at once, for uploads and interactive transactions, 1 to "
                 "64"},
        {.name = "database-wait",
         .kind = APP_DURATION,
         .default_text = "30s",
         .minimum = 0,
         .maximum = 3600 * TIME_US_PER_SECOND,
         .ret_value = &s->database_wait_us,
         .help = "longest wait for the database at start, up to 1h"},
        {.name = "max-calls",
         .kind = APP_INT,
         .default_text = "20000",
         .minimum = 1,
         .maximum = 1000000,
         .ret_value = &s->max_calls,
         .help = "most calls under way at once; more are answered RESOURCE_EXHAUSTED"},
        {.name = "shutdown-grace",
         .kind = APP_DURATION,
         .default_text = "10s",
         .minimum = 0,
         .maximum = 600 * TIME_US_PER_SECOND,
         .ret_value = &s->shutdown_grace_us,
         .help = "time that calls under way get to finish at stop, up to 10m"},
        {.name = "shutdown-leave",
         .kind = APP_DURATION,
         .default_text = "5s",
         .minimum = 0,
         .maximum = 600 * TIME_US_PER_SECOND,
         .ret_value = &s->shutdown_leave_us,
         .help = "before that, the longest time that those who watch this service's health "
                 "(gateways that know another instance) get to move their calls there, up to 10m"},
        {.name = "migrate",
         .kind = APP_BOOL,
         .default_text = "true",
         .ret_value = &s->migrate,
         .help = "bring the database's schema up to date at start"},
        {.name = "migrate-only",
         .kind = APP_BOOL,
         .default_text = "false",
         .ret_value = &s->migrate_only,
         .help = "bring the database's schema up to date and exit"},
    };
    size_t count = sizeof(settings) / sizeof(settings[0]);
    _Static_assert(sizeof(settings) / sizeof(settings[0]) + AUTH_SETTINGS + SERVICE_TLS_SETTINGS +
                           APP_TRACE_SETTINGS <=
                       COMMON_LIMIT,
                   "raise COMMON_LIMIT");
    memcpy(out, settings, sizeof(settings));
    auth_settings(s, out + count);
    count += AUTH_SETTINGS;
    service_tls_settings(s, out + count);
    count += SERVICE_TLS_SETTINGS;
    app_trace_settings(out + count, &s->trace);
    return count + APP_TRACE_SETTINGS;
}

/* Where the process listens is looked at with its sockets: see app/exposure.h. */
static void check_auth(const struct service *service, const struct service_settings *settings)
{
    const char *why = exposure_auth_problem(settings->auth);
    struct err err = {0};
    bool is_on = exposure_auth_is_on(settings->auth);

    if (!why && is_on && !settings->auth_keys)
        why = "--auth token needs --auth-keys: the file or URL with the keys that sign tokens";
    else if (!why && !is_on && settings->auth_keys)
        why = "--auth-keys is given, but --auth is off: nobody would be asked for a token";
    else if (settings->auth_keys && key_fetch_is_url(settings->auth_keys) &&
             !key_fetch_check(settings->auth_keys, &err))
        why = err.message;
    if (!why)
        return;
    fprintf(stderr, "%s: %s\n", service->process, why);
    exit(2);
}

/* They become part of SQL names and of messages. */
static void check_roles(const struct service *service, const struct service_settings *settings)
{
    const char *roles = settings->database_roles;
    size_t length = strspn(roles, "abcdefghijklmnopqrstuvwxyz0123456789_");

    if (length && !roles[length] && length <= 40 && (roles[0] < '0' || roles[0] > '9') &&
        strncmp(roles, "pg_", 3) != 0)
        return;
    fprintf(stderr,
            "%s: --database-roles is 1 to 40 lower-case letters, digits and _, not a digit or pg_ "
            "first\n",
            service->process);
    exit(2);
}

void service_configure(const struct service *service, int argc, char **argv,
                       struct service_settings *ret_settings)
{
    memset(ret_settings, 0, sizeof(*ret_settings));
    struct app_setting common[COMMON_LIMIT];
    size_t common_count = common_settings(service, ret_settings, common);
    struct app_setting *all = calloc(common_count + service->setting_count, sizeof(*all));
    if (!all) {
        fprintf(stderr, "%s: not enough memory\n", service->process);
        exit(1);
    }
    memcpy(all, common, common_count * sizeof(*all));
    if (service->setting_count)
        memcpy(all + common_count, service->settings, service->setting_count * sizeof(*all));
    app_configure(service->process, service->summary, all, common_count + service->setting_count,
                  argc, argv);
    free(all);
    if (!ret_settings->database_url || !ret_settings->database_url[0]) {
        fprintf(stderr, "%s: --database-url or DIALPLANE_DATABASE_URL must name a database\n",
                service->process);
        exit(2);
    }
    if (!ret_settings->migrate_only && !(service->has_task && service->has_task()))
        check_auth(service, ret_settings); /* what serves nobody need not say whom */
    check_roles(service, ret_settings);
    if (ret_settings->metrics_listen && strcmp(ret_settings->metrics_listen, "off") == 0)
        ret_settings->metrics_listen = NULL;
}
