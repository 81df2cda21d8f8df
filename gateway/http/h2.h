/* h2: HTTP/2 (RFC 9113) with prior knowledge on one connection, through nghttp2: bytes in through
 * protocol->ops->feed (the client's preface first), bytes out through link->out. */
#ifndef GATEWAY_HTTP_H2_H
#define GATEWAY_HTTP_H2_H

#include "gateway/http/link.h"

struct protocol *h2_new(struct link *link); /* NULL: no memory */

#endif
