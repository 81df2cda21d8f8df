/* download: a server stream whose messages are the pieces of one file, as the body of one answer.
 * Flow control goes all the way: a client that does not read holds the service back, and neither
 * keeps more than a window of it. */
#ifndef GATEWAY_CALL_DOWNLOAD_H
#define GATEWAY_CALL_DOWNLOAD_H

#include "gateway/call/request.h"

/* request->route is a method with a download_type; from here on it answers. */
void download_start(struct request *request);

#endif
