/* percent: percent-encoding (RFC 3986 §2.1) of paths and queries. Pure. */
#ifndef GATEWAY_ROUTE_PERCENT_H
#define GATEWAY_ROUTE_PERCENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

enum percent_result { PERCENT_OK, PERCENT_MALFORMED, PERCENT_NOT_UTF8, PERCENT_NO_MEMORY };

/* plus_is_space: the query's rule. Text without anything to decode is returned as it is, else it is
 * copied into the arena. */
enum percent_result percent_decode(struct str text, bool plus_is_space, struct arena *arena,
                                   struct str *ret_text);
/* Why, for an answer: "has a malformed percent-escape" … */
const char *percent_problem(enum percent_result result);
/* Everything but unreserved characters is escaped. */
void percent_encode(struct str text, struct buf *out);
/* In place and lenient, for gRPC's grpc-message: what is no escape stays. Gives the new length. */
size_t percent_decode_lenient(char *text, size_t length);

#endif
