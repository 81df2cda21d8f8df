#include "gateway/limit_settings.h"

#include <string.h>

#define MB INT64_C(1048576)
#define SECOND TIME_US_PER_SECOND

static unsigned list_rates(struct app_setting *out, struct limits_options *rates)
{
    const struct app_setting settings[] = {
        {"rate-limits", APP_BOOL, "true",
         "limit how often each principal, and each address that has shown no good token, may ask",
         true, false, &rates->enabled, 0, 0},
        {"rate-address", APP_TEXT, "500:1000",
         "requests of an address before anybody is known to be asking: a second, and at once "
         "(RATE[/m|/h]:BURST, or off); an IPv6 address stands for its /64",
         true, false, &rates->address, 0, 0},
        {"rate-reads", APP_TEXT, "1000:2000", "the same: reads of a principal, else of an address",
         true, false, &rates->classes[RATE_READS], 0, 0},
        {"rate-writes", APP_TEXT, "500:1000", "the same: what changes something", true, false,
         &rates->classes[RATE_WRITES], 0, 0},
        {"rate-uploads", APP_TEXT, "2:30", "the same: uploads of files", true, false,
         &rates->classes[RATE_UPLOADS], 0, 0},
        {"rate-streams", APP_TEXT, "50:500", "the same: WebSockets and streams that are opened",
         true, false, &rates->classes[RATE_STREAMS], 0, 0},
        {"rate-failure-cost", APP_INT, "10",
         "how many requests of --rate-address a token that is not good counts as, 0 to 1000", true,
         false, &rates->failure_cost, 0, 1000},
        {"rate-table", APP_INT, "16384",
         "addresses and principals that are counted at once, 64 to 4194304; 208 bytes each", true,
         false, &rates->table_entries, 64, 4194304},
        {"rate-exempt", APP_TEXT, "127.0.0.0/8,::1",
         "networks that are not counted, a comma list or none; a trusted proxy never is one", true,
         false, &rates->exempt, 0, 0},
        {"trusted-proxies", APP_TEXT, "",
         "networks of proxies whose word is taken for where a request comes from, a comma list",
         true, false, &rates->trusted_proxies, 0, 0},
        {"forwarded-header", APP_TEXT, "x-forwarded-for",
         "the header in which they say so: x-forwarded-for or forwarded; the other is not looked "
         "at",
         true, false, &rates->forwarded_header, 0, 0},
        {"redis-url", APP_TEXT, "",
         "Redis through which several gateways share one budget, as "
         "redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE] or unix:PATH; without one, or while it "
         "is away, each limits for itself",
         false, true, &rates->redis_url, 0, 0},
    };

    memcpy(out, settings, sizeof(settings));
    return sizeof(settings) / sizeof(settings[0]);
}

static unsigned list_http(struct app_setting *out, struct limit_settings *values)
{
    const struct app_setting settings[] = {
        {"connections-per-address", APP_INT, "1000",
         "connections of one address (an IPv6 /64) in each thread, 0: any number; --rate-exempt "
         "and --trusted-proxies are not counted",
         true, false, &values->connections_per_address, 0, 1000000},
        {"header-timeout", APP_DURATION, "10s",
         "from the first byte of a request to the end of its headers, 100ms to 5m", true, false,
         &values->header_timeout_us, SECOND / 10, 300 * SECOND},
        {"header-limit", APP_SIZE, "32KB", "largest headers of a request, 1KB to 1MB", true, false,
         &values->header_bytes, 1024, MB},
        {"header-count", APP_INT, "100", "most headers of a request, 10 to 10000", true, false,
         &values->header_count, 10, 10000},
        {"body-timeout", APP_DURATION, "30s",
         "time in which a body must bring what --least-rate asks for, 100ms to 10m", true, false,
         &values->body_timeout_us, SECOND / 10, 600 * SECOND},
        {"write-timeout", APP_DURATION, "60s",
         "time in which a client must take as much of an answer that waits, 100ms to 10m", true,
         false, &values->write_timeout_us, SECOND / 10, 600 * SECOND},
        {"least-rate", APP_SIZE, "500B", "bytes a second, 1B to 1MB", true, false,
         &values->least_rate_bytes, 1, MB},
        {"streams-per-connection", APP_INT, "128", "HTTP/2 streams at once, 1 to 10000", true,
         false, &values->streams, 1, 10000},
        {"resets-per-second", APP_INT, "200",
         "HTTP/2 streams that a connection may open only to reset them, 1 to 100000", true, false,
         &values->resets, 1, 100000},
        {"control-frames-per-second", APP_INT, "500",
         "HTTP/2 frames of a connection that bring nothing (PING, SETTINGS, empty DATA), 10 to "
         "100000",
         true, false, &values->control_frames, 10, 100000},
        {"websocket-frames-per-second", APP_INT, "200",
         "frames that a WebSocket's client may send, twice as many at once, 1 to 100000", true,
         false, &values->websocket_frames, 1, 100000},
        {"websocket-message-limit", APP_SIZE, "64KB",
         "largest message of a WebSocket's client, 1KB to 16MB", true, false,
         &values->websocket_message_bytes, 1024, 16 * MB},
        {"output-memory", APP_SIZE, "256MB",
         "answers that wait for clients, in each thread: beyond it the slowest are cut, 1MB to "
         "64GB",
         true, false, &values->output_memory_bytes, MB, 65536 * MB},
        {"body-memory", APP_SIZE, "256MB",
         "JSON bodies that are being received, in each thread; more get 503, 1MB to 64GB", true,
         false, &values->body_memory_bytes, MB, 65536 * MB},
    };

    memcpy(out, settings, sizeof(settings));
    return sizeof(settings) / sizeof(settings[0]);
}

void limit_settings_list(struct app_setting out[LIMIT_SETTINGS], struct limit_settings *values)
{
    unsigned count = list_rates(out, &values->rates);

    list_http(out + count, values);
}

void limit_settings_apply(const struct limit_settings *values, const struct limits *limits,
                          struct http_limits *http)
{
    http->connections_per_address = (uint32_t)values->connections_per_address;
    http->uncounted = &limits->uncounted;
    http->header_timeout_us = values->header_timeout_us;
    http->header_bytes = (uint32_t)values->header_bytes;
    http->header_count = (uint32_t)values->header_count;
    http->body_idle_us = values->body_timeout_us;
    http->write_idle_us = values->write_timeout_us;
    http->least_rate_bytes = (uint32_t)values->least_rate_bytes;
    http->streams = (uint32_t)values->streams;
    http->resets_per_second = (uint32_t)values->resets;
    http->control_frames_per_second = (uint32_t)values->control_frames;
    http->websocket_frames_per_second = (uint32_t)values->websocket_frames;
    http->websocket_message_bytes = (size_t)values->websocket_message_bytes;
    http->all_output_bytes = (size_t)values->output_memory_bytes;
}
