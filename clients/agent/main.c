/* dialplane-agent: a simulated voice agent. Claims tasks, plays calls with believable turns,
 * reports them and finishes them. */
#include "agent/caller.h"
#include "app/app.h"
#include "base/log.h"
#include "base/uuid.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LINES_LIMIT 500

struct options {
    const char *dispatch, *skillbase, *analytics, *worker_id, *company, *campaign, *speed,
        *dial_log, *token, *token_file;
    struct dialplane_tls tls;
    int64_t calls, seed, limit, idle_exit_us, heartbeat_us;
};

static void read_options(struct options *options, int argc, char **argv)
{
    const struct app_setting settings[] = {
        {.name = "dispatch",
         .kind = APP_TEXT,
         .default_text = "127.0.0.1:7002",
         .help = "address of the campaign service (HOST:PORT or unix:PATH)",
         .own = true,
         .ret_value = &options->dispatch},
        {.name = "skillbase",
         .kind = APP_TEXT,
         .default_text = "127.0.0.1:7001",
         .help = "address of the skillbase service",
         .own = true,
         .ret_value = &options->skillbase},
        {.name = "analytics",
         .kind = APP_TEXT,
         .default_text = "127.0.0.1:7003",
         .help = "address of the analytics service",
         .own = true,
         .ret_value = &options->analytics},
        {.name = "services-tls-ca",
         .kind = APP_TEXT,
         .help =
             "speak TLS with services (unix sockets stay plain), whose certificates one of these "
             "(PEM file) has signed",
         .ret_value = &options->tls.ca_file},
        {.name = "services-tls-certificate",
         .kind = APP_TEXT,
         .help = "PEM file of the certificate that services are shown",
         .ret_value = &options->tls.certificate_file},
        {.name = "services-tls-key",
         .kind = APP_TEXT,
         .help = "PEM file of its private key",
         .ret_value = &options->tls.key_file},
        {.name = "services-tls-name",
         .kind = APP_TEXT,
         .help = "name that the services' certificates must carry, whatever their addresses are",
         .ret_value = &options->tls.name},
        {.name = "token",
         .kind = APP_TEXT,
         .secret = true,
         .help = "token that shows who this agent is, for services with --auth token; better given "
                 "as the variable, which no process list shows",
         .ret_value = &options->token},
        {.name = "token-file",
         .kind = APP_TEXT,
         .help = "file with the token instead; read again when it changes, so that it can be "
                 "renewed before it ends",
         .own = true,
         .ret_value = &options->token_file},
        {.name = "worker-id",
         .kind = APP_TEXT,
         .help = "name of this agent (default: a new one at every start)",
         .own = true,
         .ret_value = &options->worker_id},
        {.name = "company",
         .kind = APP_TEXT,
         .help = "only tasks of this company (UUID)",
         .own = true,
         .ret_value = &options->company},
        {.name = "campaign",
         .kind = APP_TEXT,
         .help = "only tasks of this campaign (UUID)",
         .own = true,
         .ret_value = &options->campaign},
        {.name = "calls",
         .kind = APP_INT,
         .default_text = "5",
         .help = "calls at once, 1 to 500",
         .own = true,
         .minimum = 1,
         .maximum = LINES_LIMIT,
         .ret_value = &options->calls},
        {.name = "speed",
         .kind = APP_TEXT,
         .default_text = "1",
         .help = "how much faster than life, 0.01 to 100000",
         .own = true,
         .ret_value = &options->speed},
        {.name = "seed",
         .kind = APP_INT,
         .default_text = "1",
         .help = "the same seed makes the same calls",
         .own = true,
         .ret_value = &options->seed},
        {.name = "limit",
         .kind = APP_INT,
         .default_text = "0",
         .help = "end after so many calls; 0: no limit",
         .own = true,
         .minimum = 0,
         .maximum = 1000000000,
         .ret_value = &options->limit},
        {.name = "idle-exit",
         .kind = APP_DURATION,
         .default_text = "0s",
         .help = "end when there was nothing to call for so long; 0s: never",
         .own = true,
         .ret_value = &options->idle_exit_us},
        {.name = "heartbeat",
         .kind = APP_DURATION,
         .default_text = "15s",
         .help = "how often leases are kept",
         .own = true,
         .minimum = 100000,
         .maximum = 60000000,
         .ret_value = &options->heartbeat_us},
        {.name = "dial-log",
         .kind = APP_TEXT,
         .help = "file that gets one JSON line for every dial",
         .own = true,
         .ret_value = &options->dial_log},
    };
    app_configure("dialplane-agent",
                  "A simulated voice agent: claims tasks, plays calls, reports and finishes them.",
                  settings, sizeof(settings) / sizeof(*settings), argc, argv);
}

static double parse_speed(const char *text)
{
    char *end;
    errno = 0;
    double speed = strtod(text, &end);
    if (end == text || *end || errno || !(speed >= 0.01 && speed <= 100000)) {
        fprintf(stderr,
                "dialplane-agent: --speed must be a number between 0.01 and 100000, got \"%s\"\n",
                text);
        exit(2);
    }
    return speed;
}

static void make_worker_id(char out[64])
{
    struct entropy entropy;
    entropy_init_system(&entropy);
    struct uuid uuid = uuid_v7(clock_system(), &entropy);
    memcpy(out, "agent-", 6);
    uuid_format(&uuid, out + 6);
}

/* Waits for SIGTERM or SIGINT in a thread of its own, then stops the claims and wakes whoever
 * sleeps. */
static void *wait_for_stop(void *context)
{
    struct agent *agent = context;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    int received;
    sigwait(&signals, &received);
    agent->is_stopping = true;
    uint64_t one = 1;
    if (write(agent->wake_descriptor, &one, sizeof(one)) != sizeof(one))
        log_event(LOG_LEVEL_WARN, "wake_failed", log_int("errno", errno));
    /* Claims wait up to 20 s; what was claimed in that moment goes back when its lease ends. */
    dialplane_client_shutdown(agent->claims);
    return NULL;
}

static void block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void log_summary(const struct agent *agent)
{
    log_event(LOG_LEVEL_INFO, "agent_stopped", log_int("calls", agent->calls_made),
              log_int("lost", agent->calls_lost),
              log_int("answered", agent->by_disposition[PLAN_ANSWERED]),
              log_int("no_answer", agent->by_disposition[PLAN_NO_ANSWER]),
              log_int("busy", agent->by_disposition[PLAN_BUSY]),
              log_int("voicemail", agent->by_disposition[PLAN_VOICEMAIL]),
              log_int("declined", agent->by_disposition[PLAN_DECLINED]),
              log_int("invalid_number", agent->by_disposition[PLAN_INVALID_NUMBER]),
              log_int("opt_out", agent->by_disposition[PLAN_OPT_OUT]),
              log_int("carrier_error", agent->by_disposition[PLAN_CARRIER_ERROR]));
}

static bool open_clients(struct agent *agent, const struct options *options)
{
    const struct dialplane_client_options how = {
        .token = options->token_file ? NULL : options->token,
        .token_file = options->token_file,
        .tls = &options->tls,
    };

    agent->renews_token = options->token_file != NULL;
    agent->dispatch = dialplane_client_open_with(options->dispatch, &how);
    agent->skillbase = dialplane_client_open_with(options->skillbase, &how);
    agent->analytics = dialplane_client_open_with(options->analytics, &how);
    agent->claims = dialplane_client_open_with(options->dispatch, &how);
    return agent->dispatch && agent->skillbase && agent->analytics && agent->claims;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    read_options(&options, argc, argv);
    block_signals(); /* before any thread, gRPC's included */

    static struct agent agent;
    char worker_id[64];
    make_worker_id(worker_id);
    agent.worker_id = options.worker_id ? options.worker_id : worker_id;
    agent.company_id = options.company;
    agent.campaign_id = options.campaign;
    agent.speed = parse_speed(options.speed);
    agent.seed = (uint64_t)options.seed;
    agent.call_limit = options.limit;
    agent.idle_exit_ms = options.idle_exit_us / 1000;
    agent.wake_descriptor = eventfd(0, EFD_CLOEXEC);
    if (options.dial_log && !(agent.dial_log = fopen(options.dial_log, "ae"))) {
        fprintf(stderr, "dialplane-agent: --dial-log %s: %s\n", options.dial_log, strerror(errno));
        return 1;
    }

    dialplane_init();
    struct dialplane_error error;
    if (!dialplane_tls_check(&options.tls, &error)) {
        fprintf(stderr, "dialplane-agent: %s\n", error.message);
        return 1;
    }
    if (!open_clients(&agent, &options)) {
        fprintf(stderr, "dialplane-agent: %s\n",
                options.token_file ? "--token-file cannot be read, or holds no token"
                : options.token    ? "--token is no token"
                                   : "out of memory");
        return 1;
    }
    if (!(agent.leases = leases_start(agent.dispatch, agent.worker_id,
                                      (unsigned)(options.heartbeat_us / 1000)))) {
        fprintf(stderr, "dialplane-agent: out of memory\n");
        return 1;
    }
    log_event(LOG_LEVEL_INFO, "agent_started", log_text("worker_id", agent.worker_id),
              log_int("calls", options.calls), log_double("speed", agent.speed));

    pthread_t signals, lines[LINES_LIMIT];
    if (pthread_create(&signals, NULL, wait_for_stop, &agent) != 0) {
        fprintf(stderr, "dialplane-agent: no thread\n");
        return 1;
    }
    int64_t started = 0;
    while (started < options.calls &&
           pthread_create(&lines[started], NULL, caller_run, &agent) == 0)
        started++;
    if (started < options.calls)
        log_event(LOG_LEVEL_WARN, "fewer_lines", log_int("lines", started));
    for (int64_t i = 0; i < started; i++)
        pthread_join(lines[i], NULL);
    leases_stop(agent.leases);
    log_summary(&agent);

    pthread_cancel(
        signals); /* sigwait() is a cancellation point; it has ended already after a signal */
    pthread_join(signals, NULL);
    dialplane_client_close(agent.claims);
    dialplane_client_close(agent.dispatch);
    dialplane_client_close(agent.skillbase);
    dialplane_client_close(agent.analytics);
    dialplane_exit();
    if (agent.dial_log)
        fclose(agent.dial_log);
    return 0;
}
