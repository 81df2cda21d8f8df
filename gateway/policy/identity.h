/* identity: the names of one request: X-Request-Id, and W3C traceparent
 * (https://www.w3.org/TR/trace-context/). */
#ifndef GATEWAY_POLICY_IDENTITY_H
#define GATEWAY_POLICY_IDENTITY_H

#include "app/trace.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>

#define REQUEST_ID_SIZE 129

struct identity {
    char request_id[REQUEST_ID_SIZE];
    size_t request_id_length;
    char traceparent[TRACEPARENT_SIZE];
    char trace_id[TRACE_ID_TEXT_SIZE];
    struct trace_span span; /* of the request; traceparent names it */
};

/* Takes what the client sent where it is well formed (request id: 1..128 of [A-Za-z0-9._:/+=@-], so
 * that it can go into a log, a header and a database unquoted), else makes a UUIDv7 and a new
 * trace, of which the tracer (NULL: none) records its ratio. The span of the traceparent is always
 * a new one. */
void identity_init(struct identity *identity, struct str request_id_header,
                   struct str traceparent_header, struct tracer *tracer, const struct clock *clock,
                   struct entropy *entropy);

#endif
