/* upload: a body of any size as a client stream: multipart/form-data or raw, in pieces of at most
 * 64 KB, nothing held in memory. */
#ifndef GATEWAY_CALL_UPLOAD_H
#define GATEWAY_CALL_UPLOAD_H

#include "gateway/call/request.h"

/* request->route is a client-streaming method with a bytes field as body; from here on it answers.
 */
void upload_start(struct request *request);

#endif
