/* core: what all connections of one server share: limits, the handler above, the Date header, ids,
 * free exchanges, counters. */
#ifndef GATEWAY_HTTP_CORE_H
#define GATEWAY_HTTP_CORE_H

#include "base/time.h"
#include "base/uuid.h"
#include "gateway/http/exchange.h"
#include "gateway/http/h2_memory.h"
#include "gateway/http/server.h"

#define HTTP_DRAINED_BELOW_BYTES ((size_t)16 * 1024)
#define HTTP_METHODS_ALLOWED "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" /* to "OPTIONS *" */

struct http_core {
    struct http_limits limits;
    const struct exchange_handler *handler;
    const struct clock *clock;
    struct entropy entropy;
    struct http_stats stats;
    bool draining; /* answers say Connection: close */

    struct arena *exhausted_arena; /* stands in where there is no memory for one */
    struct exchange *free_exchanges;
    unsigned free_exchange_count;
    struct h2_memory h2_memory;

    int64_t date_second;
    char date[32]; /* "Sat, 17 Jan 2026 09:30:00 GMT" */
};

/* limits may be NULL (all defaults); handler and clock are borrowed. False: no memory. */
bool http_core_init(struct http_core *core, const struct http_limits *limits,
                    const struct exchange_handler *handler, const struct clock *clock);
void http_core_done(struct http_core *core);

static inline void http_count_limit(struct http_core *core, enum http_limit limit)
{
    core->stats.limited[limit]++;
}
/* What must move within such a time, at the least rate. */
uint64_t http_bytes_in(const struct http_limits *limits, int64_t window_us);

/* RFC 9110 IMF-fixdate of now, 29 bytes. */
struct str http_core_date(struct http_core *core);
void http_core_new_id(struct http_core *core, char out[UUID_TEXT_SIZE]);

/* "Not Found"; "Unknown" for what has no name. */
const char *http_reason(unsigned status);

/* The problem+json body for an answer made here; gives its length. out is cut never: detail is ours
 * and short. */
#define PROBLEM_TEXT_SIZE 640
size_t http_problem(unsigned status, const char *detail, const char *request_id,
                    char out[PROBLEM_TEXT_SIZE]);

#endif
