/* request: one HTTP exchange on its way through the gateway: its names, its route, and how it is
 * answered. */
#ifndef GATEWAY_CALL_REQUEST_H
#define GATEWAY_CALL_REQUEST_H

#include "base/buf.h"
#include "base/err.h"
#include "gateway/call/gateway.h"
#include "gateway/http/exchange.h"
#include "gateway/policy/identity.h"
#include "gateway/route/router.h"
#include "gateway/upstream/upstream.h"

/* Lives in the exchange's arena. */
struct request {
    struct worker *worker;
    struct exchange *exchange;
    struct route_match match;
    const struct route *route; /* NULL: a page, or unknown */
    const char *label;         /* the route's template, for log and figures; "(unknown)" */
    size_t figures;            /* index into stats->routes */
    int64_t started_us;
    struct identity identity;
    struct str query;          /* without a ticket */
    struct str ticket;         /* of the query, or {NULL, 0} */
    const char *authorization; /* "Bearer …" or "Ticket …" for the services, or NULL: see
                                  request_authorize() */
    struct net_address client; /* where it comes from, see limits_find_client() */
    char client_address[NET_ADDRESS_TEXT_SIZE];
    bool principal_known; /* of its Authorization header */
    struct limits_seen limits;
    char rate_policy[2 * RATE_TEXT_SIZE], rate[2 * RATE_TEXT_SIZE]; /* headers */
    struct str protocol;        /* the WebSocket's, to be chosen in the answer, or {NULL, 0} */
    struct upstream_call *call; /* under way, or NULL */
    /* The client has gone: end what is under way. May be NULL. */
    void (*on_gone)(struct request *request);
    struct buf body; /* collected pieces of the body */
    void *state;     /* of what handles it */
    bool answered;   /* the answer is complete or begun */
    bool in_flight;  /* counted in worker->in_flight */
    bool quiet;      /* a probe: logged at debug level only */
};

/* Makes it, names it and hangs it on the exchange. NULL when memory is short: the exchange has been
 * answered. */
struct request *request_new(struct exchange *exchange, struct worker *worker);
/* The callbacks of exchange_handler below on_request. */
void request_on_gone(struct exchange *exchange);
void request_on_done(struct exchange *exchange, unsigned status, uint64_t bytes_sent);

static inline struct arena *request_arena(struct request *request)
{
    return exchange_arena(request->exchange);
}

#define REQUEST_HEADERS_MAX 24
/* Headers of an answer: the caller's, and those that every answer has. Values are borrowed until
 * the answer is given. */
struct answer_headers {
    struct header list[REQUEST_HEADERS_MAX];
    size_t count;
};
void answer_header(struct answer_headers *headers, const char *name, struct str value);
/* x-request-id, what CORS asks for, and safe_headers.h. */
void request_common_headers(struct request *request, struct answer_headers *headers);

/* The collected body, if any, is needed no more. */
void request_forget_body(struct request *request);

/* Answers; headers may be NULL. */
void request_answer(struct request *request, unsigned status, struct answer_headers *headers,
                    struct str body);
/* Begins a streamed answer: exchange_write() and exchange_respond_end() follow. It no longer counts
 * as under way. */
void request_begin(struct request *request, unsigned status, struct answer_headers *headers);
/* Answers with a problem. headers may be NULL. */
void request_fail(struct request *request, const struct err *err, struct answer_headers *headers);
void request_fail_code(struct request *request, enum err_code code, const char *reason,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Looks through the query for what says who is asking: request->query, request->ticket. False: it
 * has been answered 400, because an address must not carry credentials. */
bool request_read_query(struct request *request);
/* Reads who it says it is from, before anything else of a route is looked at. False: it has been
 * answered 401. What the credentials are worth is the services' to say: each verifies them. */
bool request_authorize(struct request *request);
/* The deadline of the route's calls. */
int64_t request_timeout_us(const struct request *request);
/* Fills in what every call of this request carries; if-match and authorization too. False: answered
 * 400. */
bool request_upstream(struct request *request, struct upstream_request *ret_upstream);
/* The scratch buffer, empty, and not larger than need be. */
struct buf *worker_scratch(struct buf *buf);

#endif
