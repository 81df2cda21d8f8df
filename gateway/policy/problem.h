/* problem: errors as application/problem+json (RFC 9457), in the one shape of the contract. Pure.
 */
#ifndef GATEWAY_POLICY_PROBLEM_H
#define GATEWAY_POLICY_PROBLEM_H

#include "base/buf.h"
#include "base/err.h"

/* Reasons that are the gateway's own: each has an HTTP status that no canonical code has. */
#define REASON_BAD_GATEWAY "BAD_GATEWAY"               /* a service broke the protocol → 502 */
#define REASON_METHOD_NOT_ALLOWED "METHOD_NOT_ALLOWED" /* → 405 */
#define REASON_NOT_ACCEPTABLE "NOT_ACCEPTABLE"         /* → 406 */
#define REASON_MEDIA_TYPE "UNSUPPORTED_MEDIA_TYPE"     /* → 415 */
#define REASON_OVERLOADED "OVERLOADED"                 /* → 503 */

unsigned problem_status(const struct err *err);
/* "Not Found"; "Error" for a number that has no phrase here. */
const char *problem_title(unsigned status);
/* Appends the body. strip: the request's field that the body is bound to ("skillbase"; NULL: none):
 * the paths of violations are made relative to what the client sent. */
void problem_print(const struct err *err, const char *strip, struct str request_id,
                   struct buf *out);
/* The path without "<strip>."; path itself when it does not begin so. */
const char *problem_field(const char *path, const char *strip);

#endif
