/* dialplane-analytics: takes in what happens in calls, and shows it: history, figures, live. */
#include "analytics.h"
#include "handlers/handlers.h"

#include "live/live.h"

#include "service/service.h"

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
        .path = "/dialplane.v1.AnalyticsService/WatchCall",
        .request = &dialplane__v1__watch_call_request__descriptor,
        .response = &dialplane__v1__watch_call_response__descriptor,
        .handle = watch_call,
    },
};

/* Settings of this process alone. */
static const char *price_stt_minute, *price_llm_input, *price_llm_output, *price_tts,
    *price_livekit;
static int64_t live_poll_us, live_watchers, live_calls;

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
    const struct live_options options = {
        .poll_us = live_poll_us,
        .watchers = (uint32_t)live_watchers,
        .watched_calls = (uint32_t)live_calls,
    };
    service->live = live_new(loop, pool, &service->prices, &options);
    if (!service->live) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        free(service);
        return NULL;
    }
    return service;
}

static void stop(void *context)
{
    struct analytics_service *service = context;
    live_free(service->live);
    free(service);
}

static void collect(struct buf *out, void *context)
{
    const struct analytics_service *service = context;
    struct live_stats live;
    live_stats(service->live, &live);
    metrics_family(out, "dialplane_events_accepted_total", "counter", "Call events stored.");
    metrics_sample(out, "dialplane_events_accepted_total", NULL, (double)service->events_accepted);
    metrics_family(out, "dialplane_events_repeated_total", "counter",
                   "Call events that had been stored before.");
    metrics_sample(out, "dialplane_events_repeated_total", NULL, (double)service->events_repeated);
    metrics_family(out, "dialplane_calls_finished_total", "counter",
                   "Calls whose figures were computed.");
    metrics_sample(out, "dialplane_calls_finished_total", NULL, (double)service->calls_finished);
    metrics_family(out, "dialplane_live_watchers", "gauge", "Streams that watch a call.");
    metrics_sample(out, "dialplane_live_watchers", NULL, live.watchers);
    metrics_family(out, "dialplane_live_calls", "gauge", "Calls that are watched.");
    metrics_sample(out, "dialplane_live_calls", NULL, live.watched_calls);
    metrics_family(out, "dialplane_live_messages_total", "counter", "Messages sent to watchers.");
    metrics_sample(out, "dialplane_live_messages_total", NULL, (double)live.messages_sent);
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
    };
    return service_main(&service, argc, argv);
}
