/* transcode: a whole HTTP request as the wire form of its method's request, and what an answer's
 * headers need out of the wire form of the response. Pure. */
#ifndef GATEWAY_ROUTE_TRANSCODE_H
#define GATEWAY_ROUTE_TRANSCODE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "gateway/route/router.h"

/* Path, query and JSON body (empty for a binding without one) appended to `out`. False with err
 * when it is no valid request: all that is wrong is reported at once; paths of violations are
 * relative to what the client sent, and live in the arena. `scratch` is reset and used inside.
 * *ret_violations (may be NULL): when the request could be read and only values are wrong, its
 * violations, and `out` has the message without them: the service can be asked what else is wrong;
 * otherwise NULL. */
bool transcode_request(const struct schema *schema, const struct route_match *match,
                       struct str query, struct str body, struct arena *arena, struct buf *scratch,
                       struct buf *out, struct violations **ret_violations, struct err *err);
/* Adds what the service found wrong (paths from the request's root) to what is known already,
 * unless that explains it. */
void transcode_add_violations(const struct route *route, const struct violations *more,
                              struct violations *violations);

/* The field of the request that the body is bound to, or NULL: what problem_print() strips. */
const char *transcode_body_name(const struct route *route);

/* The revision of a response (etag.h), or ETAG_NO_REVISION. */
int64_t transcode_revision(const struct route *route, struct str response);
/* The Location of a created resource; false when the method names none or a field is missing. */
bool transcode_location(const struct route *route, struct str response, struct buf *out);
/* The same for any template over the response's fields. */
bool transcode_template(const struct route *route, const char *text, struct str response,
                        struct buf *out);

/* Takes field `field` (an integer) out of a message: *ret_value is its last value (0 when absent),
 * the rest is appended to out. For the cursor of a stream. False when the bytes are malformed. */
bool transcode_split_integer(const struct schema_field *field, struct str wire, uint64_t *ret_value,
                             struct buf *out);

#endif
