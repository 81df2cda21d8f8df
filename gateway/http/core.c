#include "gateway/http/core.h"

#include "base/log.h"
#include "gateway/http/exchange_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT(field, value)                                                                      \
    if (!limits->field) {                                                                          \
        limits->field = (value);                                                                   \
    }

static void fill_defaults(struct http_limits *limits)
{
    DEFAULT(connections, 10000);
    DEFAULT(header_bytes, 32 * 1024);
    DEFAULT(header_count, 100);
    DEFAULT(target_bytes, 8 * 1024);
    DEFAULT(handshake_timeout_us, 10 * TIME_US_PER_SECOND);
    DEFAULT(header_timeout_us, 10 * TIME_US_PER_SECOND);
    DEFAULT(body_idle_us, 30 * TIME_US_PER_SECOND);
    DEFAULT(keep_alive_us, 75 * TIME_US_PER_SECOND);
    DEFAULT(write_idle_us, 60 * TIME_US_PER_SECOND);
    DEFAULT(pipeline_depth, 16);
    DEFAULT(streams, 128);
    DEFAULT(resets_per_second, 200);
    DEFAULT(output_bytes, (size_t)4 * 1024 * 1024);
    DEFAULT(websocket_message_bytes, (size_t)64 * 1024);
    DEFAULT(websocket_output_bytes, (size_t)256 * 1024);
    DEFAULT(arena_bytes, (size_t)1024 * 1024);
    DEFAULT(websocket_ping_us, 30 * TIME_US_PER_SECOND);
    DEFAULT(control_frames_per_second, 500);
    DEFAULT(websocket_frames_per_second, 200);
    DEFAULT(websocket_fragments, 1024);
    DEFAULT(all_output_bytes, (size_t)256 * 1024 * 1024);
}

const char *const http_limit_names[HTTP_LIMIT_COUNT] = {
    "connections",   "idle_connections", "address_connections", "header_size", "header_time",
    "body_time",     "write_time",       "output_memory",       "resets",      "control_frames",
    "continuations", "websocket_frames", "websocket_size",
};

uint64_t http_bytes_in(const struct http_limits *limits, int64_t window_us)
{
    return limits->least_rate_bytes * (uint64_t)window_us / TIME_US_PER_SECOND;
}

bool http_core_init(struct http_core *core, const struct http_limits *limits,
                    const struct exchange_handler *handler, const struct clock *clock)
{
    memset(core, 0, sizeof(*core));
    if (limits) {
        core->limits = *limits;
    }
    fill_defaults(&core->limits);
    core->handler = handler;
    core->clock = clock;
    core->date_second = -1;
    entropy_init_system(&core->entropy);
    h2_memory_init(&core->h2_memory);
    core->exhausted_arena = arena_new(0);
    return core->exhausted_arena != NULL;
}

void http_core_done(struct http_core *core)
{
    exchange_pool_free(core);
    h2_memory_done(&core->h2_memory);
    arena_free(core->exhausted_arena);
}

struct str http_core_date(struct http_core *core)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t second = core->clock->wall_us(core->clock) / TIME_US_PER_SECOND;

    if (second != core->date_second) {
        time_t seconds = (time_t)second;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        /* By hand: strftime() would follow the locale. */
        snprintf(core->date, sizeof(core->date), "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                 days + 3 * (tm.tm_wday % 7), (unsigned)tm.tm_mday % 100u,
                 months + 3 * (tm.tm_mon % 12), (unsigned)(tm.tm_year + 1900) % 10000u,
                 (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u,
                 (unsigned)tm.tm_sec % 100u);
        core->date_second = second;
    }
    return (struct str){core->date, 29};
}

void http_core_new_id(struct http_core *core, char out[UUID_TEXT_SIZE])
{
    /* Version 4: uuid_v7() keeps its order in state of the process, and there is a server a thread.
     */
    struct uuid uuid;
    core->entropy.fill(&core->entropy, uuid.bytes, sizeof(uuid.bytes));
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    uuid_format(&uuid, out);
}

const char *http_reason(unsigned status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 302:
        return "Found";
    case 303:
        return "See Other";
    case 304:
        return "Not Modified";
    case 307:
        return "Temporary Redirect";
    case 308:
        return "Permanent Redirect";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 426:
        return "Upgrade Required";
    case 428:
        return "Precondition Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 499:
        return "Client Closed Request";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Unknown";
    }
}

/* The contract's word for a status that is made here. */
static const char *problem_code(unsigned status)
{
    switch (status) {
    case 408:
        return "DEADLINE_EXCEEDED";
    case 413:
        return "RESOURCE_EXHAUSTED";
    case 417:
    case 426:
        return "FAILED_PRECONDITION";
    case 500:
        return "INTERNAL";
    case 501:
    case 505:
        return "UNIMPLEMENTED";
    case 503:
        return "UNAVAILABLE";
    default:
        return "INVALID_ARGUMENT";
    }
}

void http_log_refused(const struct link *link, unsigned status, const char *detail,
                      const char *request_id)
{
    /* As seen as the line of a request: the id that the answer names must be found. */
    if (log_is_enabled(LOG_LEVEL_INFO)) {
        log_event(LOG_LEVEL_INFO, "request refused", log_int("status", status),
                  log_text("detail", detail), log_text("request_id", request_id),
                  log_text("peer", link->peer));
    }
}

size_t http_problem(unsigned status, const char *detail, const char *request_id,
                    char out[PROBLEM_TEXT_SIZE])
{
    /* Our texts begin small, so that they also fit into logs; the contract wants a sentence. */
    char first = detail[0] >= 'a' && detail[0] <= 'z' ? (char)(detail[0] - 0x20) : detail[0];
    int length =
        snprintf(out, PROBLEM_TEXT_SIZE,
                 "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\","
                 "\"detail\":\"%c%s\",\"errors\":[],\"request_id\":\"%s\"}",
                 http_reason(status), status, problem_code(status), first, detail + 1, request_id);
    return length < PROBLEM_TEXT_SIZE ? (size_t)length : PROBLEM_TEXT_SIZE - 1;
}
