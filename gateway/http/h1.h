/* h1: HTTP/1.0 and 1.1 (RFC 9112) on one connection: bytes in through protocol->ops->feed, bytes
 * out through link->out. Requests are taken one after the other; what was pipelined waits unread.
 */
#ifndef GATEWAY_HTTP_H1_H
#define GATEWAY_HTTP_H1_H

#include "gateway/http/link.h"

struct protocol *h1_new(struct link *link); /* NULL: no memory */
/* Answers with a problem and ends, before any request was read (too many connections). */
void h1_refuse(struct protocol *protocol, unsigned status, const char *detail);

#endif
