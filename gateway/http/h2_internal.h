/* h2_internal: one HTTP/2 connection, shared by h2.c (session, requests) and h2_answer.c (answers).
 */
#ifndef GATEWAY_HTTP_H2_INTERNAL_H
#define GATEWAY_HTTP_H2_INTERNAL_H

#include "gateway/http/exchange_internal.h"
#include "gateway/http/h2.h"

#include <nghttp2/nghttp2.h>

struct h2 {
    struct protocol protocol; /* first member */
    nghttp2_session *session;
    struct exchange *streams; /* open ones */
    unsigned stream_count;
    size_t stream_bytes; /* waiting in all streams' `out`, for the peer's windows */
    int32_t open_head;   /* the stream whose header block is half received; 0: none */
    int64_t resets_since_us;
    uint32_t resets;  /* RST_STREAM of the peer in this second */
    bool deliver_due; /* some stream can be given a piece of its body */
    bool ended;       /* the session is over: no call into it but its freeing */
};

extern const struct exchange_ops h2_exchange_ops;

/* Answers with a problem. The exchange must not have begun an answer. */
void h2_reject(struct exchange *exchange, unsigned status, const char *detail);

#endif
