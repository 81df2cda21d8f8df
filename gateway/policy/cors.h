/* cors: which origins may call, and what a pre-flight is told
 * (https://fetch.spec.whatwg.org/#http-cors-protocol). */
#ifndef GATEWAY_POLICY_CORS_H
#define GATEWAY_POLICY_CORS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

struct cors; /* read-only once made: any thread */

/* "https://app.example.com,http://localhost:3000", "*" or empty (no other origin). False with err
 * on what is no origin. */
struct cors *cors_new(const char *origins, struct err *err);
void cors_free(struct cors *cors);

/* The value of access-control-allow-origin for a request with this Origin header; {NULL, 0}: not
 * allowed. */
struct str cors_allow(const struct cors *cors, struct str origin);
/* True when answers depend on Origin (a list), so that "Vary: Origin" must be said even to those
 * without one. */
bool cors_varies(const struct cors *cors);
/* The Origin is this server itself, as the Host header names it. */
bool origin_is_same(struct str origin, struct str authority);

#define CORS_ALLOWED_HEADERS                                                                       \
    "accept, authorization, content-encoding, content-type, idempotency-key, if-match, "           \
    "if-none-match, last-event-id, prefer, traceparent, x-request-id"
#define CORS_EXPOSED_HEADERS                                                                       \
    "Content-Disposition, ETag, Location, Preference-Applied, X-Request-Id, Retry-After, "         \
    "WWW-Authenticate, RateLimit, RateLimit-Policy"
#define CORS_MAX_AGE "7200"

#endif
