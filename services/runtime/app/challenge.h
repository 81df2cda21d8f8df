/* challenge: the value of WWW-Authenticate that goes with a refusal (RFC 6750 §3), over HTTP and as
 * metadata over gRPC. Pure. */
#ifndef DIALPLANE_APP_CHALLENGE_H
#define DIALPLANE_APP_CHALLENGE_H

#include "base/err.h"

#include <stdbool.h>

#define CHALLENGE_SIZE 256

#define REASON_TOKEN_MISSING "TOKEN_MISSING"
/* A token stood in the address, where logs and histories keep it: INVALID_ARGUMENT. */
#define REASON_CREDENTIALS_IN_URL "CREDENTIALS_IN_URL"

/* Bearer realm="dialplane", and unless no credentials were shown at all what was wrong with them:
 * error="invalid_token" (UNAUTHENTICATED), "insufficient_scope" (PERMISSION_DENIED by role) or
 * "invalid_request" (CREDENTIALS_IN_URL), with the sentence as error_description. False: the error
 * has nothing to do with who is asking, and gets no challenge. */
bool challenge_format(const struct err *err, char out[CHALLENGE_SIZE]);

#endif
