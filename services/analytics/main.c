/* dialplane-analytics: takes in what happens in calls, and shows it: history, figures, live. */
#include "analytics.h"
#include "handlers/handlers.h"
#include "ingest.h"
#include "tasks.h"
#include "upkeep.h"

#include "live/live.h"
#include "live/metrics.h"
#include "live/scopes.h"

#include "service/database_metrics.h"
#include "service/service.h"
#include "vault/vault.h"

#include "google/protobuf/empty.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

static const struct rpc_handler handlers[] = {
    {
        .path = "/dialplane.v1.AnalyticsService/ReportCallEvents",
        .request = &dialplane__v1__report_call_events_request__descriptor,
        .response = &dialplane__v1__report_call_events_response__descriptor,
        .check = check_report_call_events,
        .on_message = report_call_events_on_message,
        .on_end = report_call_events_on_end,
        .on_gone = report_call_events_on_gone,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/ReportCallEventBatch",
        .request = &dialplane__v1__report_call_events_request__descriptor,
        .response = &dialplane__v1__report_call_events_response__descriptor,
        .check = check_report_call_events,
        .handle = report_call_event_batch,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/ListCalls",
        .request = &dialplane__v1__list_calls_request__descriptor,
        .response = &dialplane__v1__list_calls_response__descriptor,
        .check = check_list_calls,
        .handle = list_calls,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/ExportCalls",
        .request = &dialplane__v1__export_calls_request__descriptor,
        .response = &dialplane__v1__file_piece__descriptor,
        .check = check_export_calls,
        .handle = export_calls,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/GetCall",
        .request = &dialplane__v1__get_call_request__descriptor,
        .response = &dialplane__v1__call_detail__descriptor,
        .handle = get_call,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/GetCallMetrics",
        .request = &dialplane__v1__get_call_metrics_request__descriptor,
        .response = &dialplane__v1__call_metrics__descriptor,
        .handle = get_call_metrics,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/GetMetrics",
        .request = &dialplane__v1__get_metrics_request__descriptor,
        .response = &dialplane__v1__aggregated_metrics__descriptor,
        .check = check_get_metrics,
        .handle = get_metrics,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/GetMetricsTimeSeries",
        .request = &dialplane__v1__get_metrics_time_series_request__descriptor,
        .response = &dialplane__v1__metrics_time_series__descriptor,
        .check = check_get_metrics_time_series,
        .handle = get_metrics_time_series,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/ListPrices",
        .request = &dialplane__v1__list_prices_request__descriptor,
        .response = &dialplane__v1__list_prices_response__descriptor,
        .handle = list_prices,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/SetPrices",
        .request = &dialplane__v1__set_prices_request__descriptor,
        .response = &dialplane__v1__price_list__descriptor,
        .check = check_set_prices,
        .handle = set_prices,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/DeletePrices",
        .request = &dialplane__v1__delete_prices_request__descriptor,
        .response = &google__protobuf__empty__descriptor,
        .handle = delete_prices,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/ReRateCalls",
        .request = &dialplane__v1__re_rate_calls_request__descriptor,
        .response = &dialplane__v1__re_rate_calls_response__descriptor,
        .check = check_re_rate_calls,
        .handle = re_rate_calls,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/WatchCall",
        .request = &dialplane__v1__watch_call_request__descriptor,
        .response = &dialplane__v1__watch_call_response__descriptor,
        .handle = watch_call,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/WatchLive",
        .request = &dialplane__v1__watch_live_request__descriptor,
        .response = &dialplane__v1__watch_live_response__descriptor,
        .check = check_watch_live,
        .handle = watch_live,
    },
    {
        .path = "/dialplane.v1.AnalyticsService/CreateWsTicket",
        .request = &dialplane__v1__create_ws_ticket_request__descriptor,
        .response = &dialplane__v1__ws_ticket__descriptor,
        .handle = create_ws_ticket,
    },
};

/* Settings of this process alone. */
static const char *price_stt_minute, *price_llm_input, *price_llm_output, *price_tts,
    *price_livekit;
static const char *redis_url;
static const char *data_keys, *data_keys_file;
/* Until the process ends: reads that are under way at the stop come back after everything else. */
static struct vault *the_vault;
static int64_t live_poll_us, live_watchers, live_calls, live_scopes;
static bool verify_rollups, re_rate, reencrypt;
static struct re_rate_options re_rate_options;
static int64_t report_transactions, fold_us, keep_calls_days, keep_turns_days, outcome_words;

static const struct app_setting settings[] = {
    {.name = "price-stt-minute",
     .kind = APP_TEXT,
     .default_text = "0.0043",
     .help = "speech-to-text, USD a minute",
     .own = true,
     .ret_value = &price_stt_minute},
    {.name = "price-llm-input-million",
     .kind = APP_TEXT,
     .default_text = "0.05",
     .help = "language model, USD a million tokens read",
     .own = true,
     .ret_value = &price_llm_input},
    {.name = "price-llm-output-million",
     .kind = APP_TEXT,
     .default_text = "0.08",
     .help = "language model, USD a million tokens written",
     .own = true,
     .ret_value = &price_llm_output},
    {.name = "price-tts-thousand",
     .kind = APP_TEXT,
     .default_text = "0.015",
     .help = "text-to-speech, USD a thousand characters",
     .own = true,
     .ret_value = &price_tts},
    {.name = "price-livekit-minute",
     .kind = APP_TEXT,
     .default_text = "0.004",
     .help = "media server, USD a minute",
     .own = true,
     .ret_value = &price_livekit},
    {.name = "data-keys",
     .kind = APP_TEXT,
     .secret = true,
     .help = "keys for what is said in calls, as ID:BASE64,…: the first encrypts, all decrypt; "
             "none: nothing is encrypted; better given as the variable or as a file",
     .ret_value = &data_keys},
    {.name = "data-keys-file",
     .kind = APP_TEXT,
     .help = "the same in a file, a key a line",
     .ret_value = &data_keys_file},
    {.name = "redis-url",
     .kind = APP_TEXT,
     .secret = true,
     .default_text = "",
     .help =
         "Redis that joins several instances, as redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE] "
         "or unix:PATH; without one, instances find each other's events by polling",
     .ret_value = &redis_url},
    {.name = "live-poll",
     .kind = APP_DURATION,
     .default_text = "2s",
     .help = "how often a watched call is looked up for events that another instance stored",
     .own = true,
     .minimum = 100000,
     .maximum = 60000000,
     .ret_value = &live_poll_us},
    {.name = "live-watchers",
     .kind = APP_INT,
     .default_text = "20000",
     .help = "most streams that watch calls",
     .own = true,
     .minimum = 1,
     .maximum = 1000000,
     .ret_value = &live_watchers},
    {.name = "live-calls",
     .kind = APP_INT,
     .default_text = "5000",
     .help = "most calls that are watched at once",
     .own = true,
     .minimum = 1,
     .maximum = 1000000,
     .ret_value = &live_calls},
    {.name = "live-scopes",
     .kind = APP_INT,
     .default_text = "1000",
     .help = "most companies, campaigns and skillbases whose live figures are watched at once",
     .own = true,
     .minimum = 1,
     .maximum = 1000000,
     .ret_value = &live_scopes},
    {.name = "report-transactions",
     .kind = APP_INT,
     .default_text = "4",
     .help =
         "most transactions at once that store reports; what comes in meanwhile shares the next "
         "one; at most --write-connections",
     .own = true,
     .minimum = 1,
     .maximum = 64,
     .ret_value = &report_transactions},
    {.name = "fold-period",
     .kind = APP_DURATION,
     .default_text = "1s",
     .help = "how often what reports changed is folded into the figures, which are exact anyway",
     .own = true,
     .minimum = 10000,
     .maximum = 60000000,
     .ret_value = &fold_us},
    {.name = "keep-calls-days",
     .kind = APP_INT,
     .default_text = "0",
     .help = "days for which calls are kept at least, then dropped by the month; 0: for ever; the "
             "figures of many calls stay",
     .own = true,
     .minimum = 0,
     .maximum = 36500,
     .ret_value = &keep_calls_days},
    {.name = "keep-turns-days",
     .kind = APP_INT,
     .default_text = "0",
     .help = "the same for what was said in them; 0: as long as the calls",
     .own = true,
     .minimum = 0,
     .maximum = 36500,
     .ret_value = &keep_turns_days},
    {.name = "outcome-words",
     .kind = APP_INT,
     .default_text = "100",
     .help = "most words of its own that a company may have for outcomes; calls that end with a "
             "further one count as \"other\"",
     .own = true,
     .minimum = 0,
     .maximum = 10000,
     .ret_value = &outcome_words},
    {.name = "verify-rollups",
     .kind = APP_BOOL,
     .default_text = "false",
     .help =
         "recount all calls, compare with the figures that are kept, and exit: 0 when they agree",
     .own = true,
     .ret_value = &verify_rollups},
    {.name = "re-rate",
     .kind = APP_BOOL,
     .default_text = "false",
     .help =
         "compute the costs of --company's calls from --from to --to again by its price lists, and "
         "exit",
     .own = true,
     .ret_value = &re_rate},
    {.name = "reencrypt",
     .kind = APP_BOOL,
     .default_text = "false",
     .help = "encrypt all stored events with the first of --data-keys, and exit",
     .own = true,
     .ret_value = &reencrypt},
    {.name = "company",
     .kind = APP_TEXT,
     .help = "for --re-rate: the company's id",
     .own = true,
     .ret_value = &re_rate_options.company},
    {.name = "from",
     .kind = APP_TEXT,
     .help = "for --re-rate: the first day, UTC, YYYY-MM-DD",
     .own = true,
     .ret_value = &re_rate_options.from},
    {.name = "to",
     .kind = APP_TEXT,
     .help = "for --re-rate: the last day, UTC, YYYY-MM-DD",
     .own = true,
     .ret_value = &re_rate_options.to},
};

static bool read_prices(struct prices *prices, struct err *err)
{
    const struct {
        const char *name, *text;
        int64_t *price;
    } all[] = {
        {"price-stt-minute", price_stt_minute, &prices->stt_minute},
        {"price-llm-input-million", price_llm_input, &prices->llm_million_input_tokens},
        {"price-llm-output-million", price_llm_output, &prices->llm_million_output_tokens},
        {"price-tts-thousand", price_tts, &prices->tts_thousand_characters},
        {"price-livekit-minute", price_livekit, &prices->livekit_minute},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (!price_parse(all[i].text, all[i].price))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "--%s must be dollars between 0 and 1000 such as 0.0043, got \"%s\"",
                           all[i].name, all[i].text);
    return true;
}

static void stop(void *context)
{
    struct analytics_service *service = context;
    upkeep_stop(service->upkeep);
    ingest_free(service->ingest);
    live_free(service->live);
    scopes_free(service->scopes);
    database_metrics_free(service->active_calls);
    database_metrics_free(service->calls_to_remove);
    free(service);
}

static void *start(struct loop *loop, struct pg_pool *pool, const struct schema *schema,
                   struct err *err)
{
    struct analytics_service *service = calloc(1, sizeof(*service));
    if (!service) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    service->loop = loop;
    service->pool = pool;
    service->schema = schema;
    if (!read_prices(&service->prices, err)) {
        free(service);
        return NULL;
    }
    the_vault = vault_new(data_keys, data_keys_file, err);
    service->vault = the_vault;
    if (!service->vault) {
        free(service);
        return NULL;
    }
    const struct live_options options = {
        .bus_url = redis_url,
        .vault = service->vault,
        .poll_us = live_poll_us,
        .watchers = (uint32_t)live_watchers,
        .watched_calls = (uint32_t)live_calls,
    };
    const struct scopes_options scopes_options = {
        .watchers = (uint32_t)live_watchers,
        .scopes = (uint32_t)live_scopes,
    };
    service->live = live_new(loop, pool, &service->prices, &options, err);
    if (!service->live) {
        stop(service);
        return NULL;
    }
    service->scopes = scopes_new(loop, pool, &scopes_options);
    service->active_calls = active_calls_new(loop, pool);
    service->calls_to_remove = calls_to_remove_new(loop, pool);
    service->outcome_words = outcome_words;
    service->ingest = ingest_new(service, (unsigned)report_transactions);
    const struct upkeep_options upkeep = {
        .fold_us = fold_us, .keep_calls_days = keep_calls_days, .keep_turns_days = keep_turns_days};
    service->upkeep = upkeep_start(service, &upkeep);
    if (!service->scopes || !service->active_calls || !service->calls_to_remove ||
        !service->ingest || !service->upkeep) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        stop(service);
        return NULL;
    }
    return service;
}

static void collect(struct buf *out, void *context)
{
    const struct analytics_service *service = context;
    const struct upkeep_figures *upkeep = upkeep_figures(service->upkeep);
    struct ingest_stats ingest;
    struct live_stats live;
    ingest_stats(service->ingest, &ingest);
    live_stats(service->live, &live);
    metrics_family(out, "dialplane_events_accepted_total", "counter", "Call events stored.");
    metrics_sample(out, "dialplane_events_accepted_total", NULL, (double)service->events_accepted);
    metrics_family(out, "dialplane_events_repeated_total", "counter",
                   "Call events that had been stored before.");
    metrics_sample(out, "dialplane_events_repeated_total", NULL, (double)service->events_repeated);
    metrics_family(out, "dialplane_calls_finished_total", "counter",
                   "Calls whose figures were computed.");
    metrics_sample(out, "dialplane_calls_finished_total", NULL, (double)service->calls_finished);
    metrics_family(out, "dialplane_report_transactions_total", "counter",
                   "Transactions that stored reports.");
    metrics_sample(out, "dialplane_report_transactions_total", NULL, (double)ingest.groups);
    metrics_family(out, "dialplane_reports_total", "counter", "Reports in those transactions.");
    metrics_sample(out, "dialplane_reports_total", NULL, (double)ingest.reports);
    metrics_family(out, "dialplane_reports_waiting", "gauge",
                   "Reports that wait for their transaction.");
    metrics_sample(out, "dialplane_reports_waiting", NULL, ingest.waiting);
    metrics_family(out, "dialplane_figure_changes_folded_total", "counter",
                   "Changes folded into the figures of many calls.");
    metrics_sample(out, "dialplane_figure_changes_folded_total", NULL, (double)upkeep->folded);
    metrics_family(out, "dialplane_months_dropped_total", "counter",
                   "Months of calls or turns dropped by retention.");
    metrics_sample(out, "dialplane_months_dropped_total", NULL, (double)upkeep->months_dropped);
    metrics_family(out, "dialplane_calls_removed_total", "counter",
                   "Calls of deleted companies that were removed.");
    metrics_sample(out, "dialplane_calls_removed_total", NULL, (double)upkeep->calls_removed);
    metrics_family(out, "dialplane_companies_removed_total", "counter",
                   "Deleted companies of which nothing is left any more.");
    metrics_sample(out, "dialplane_companies_removed_total", NULL,
                   (double)upkeep->companies_removed);
    metrics_family(out, "dialplane_upkeep_failures_total", "counter",
                   "Statements of upkeep that failed.");
    metrics_sample(out, "dialplane_upkeep_failures_total", NULL, (double)upkeep->failures);
    metrics_family(out, "dialplane_live_watchers", "gauge", "Streams that watch a call.");
    metrics_sample(out, "dialplane_live_watchers", NULL, live.watchers);
    metrics_family(out, "dialplane_live_calls", "gauge", "Calls that are watched.");
    metrics_sample(out, "dialplane_live_calls", NULL, live.watched_calls);
    metrics_family(out, "dialplane_live_messages_total", "counter", "Messages sent to watchers.");
    metrics_sample(out, "dialplane_live_messages_total", NULL, (double)live.messages_sent);
    collect_live(out, service);
}

/* ---- Tasks ---- */

static bool has_task(void)
{
    struct err err = {0};
    if (verify_rollups + re_rate + reencrypt > 1)
        err_set(&err, ERR_INVALID_ARGUMENT, NULL,
                "--verify-rollups, --re-rate and --reencrypt exclude each other");
    else if (!re_rate && !reencrypt)
        return verify_rollups;
    else if (reencrypt) {
        the_vault = vault_new(data_keys, data_keys_file, &err);
        if (vault_seals(the_vault))
            return true;
        if (the_vault)
            err_set(&err, ERR_INVALID_ARGUMENT, NULL, "--reencrypt needs --data-keys");
    } else if (re_rate_check(&re_rate_options, &err) && read_prices(&re_rate_options.prices, &err))
        return true;
    fprintf(stderr, "dialplane-analytics: %s\n", err.message);
    exit(2);
}

static void run_task(struct loop *loop, struct pg_pool *pool,
                     void (*done)(void *context, int status), void *context)
{
    if (verify_rollups)
        task_verify_rollups(loop, pool, done, context);
    else if (reencrypt)
        task_reencrypt(pool, the_vault, done, context);
    else
        task_re_rate(loop, pool, &re_rate_options, done, context);
}

int main(int argc, char **argv)
{
    static const char *const services[] = {"dialplane.v1.AnalyticsService", NULL};
    const struct service service = {
        .process = "dialplane-analytics",
        .summary = "Takes in what happens in calls, and shows it: history, figures, live.",
        .default_listen = "127.0.0.1:7003",
        .default_metrics_listen = "127.0.0.1:9103",
        .services = services,
        .handlers = handlers,
        .handler_count = sizeof(handlers) / sizeof(handlers[0]),
        .settings = settings,
        .setting_count = sizeof(settings) / sizeof(settings[0]),
        .start = start,
        .stop = stop,
        .collect = collect,
        .has_task = has_task,
        .run_task = run_task,
    };
    return service_main(&service, argc, argv);
}
