/* h1_internal: one HTTP/1 connection, shared by h1.c (requests) and h1_answer.c (answers). */
#ifndef GATEWAY_HTTP_H1_INTERNAL_H
#define GATEWAY_HTTP_H1_INTERNAL_H

#include "gateway/http/exchange_internal.h"
#include "gateway/http/h1.h"

#include <llhttp/llhttp.h>

/*  IDLE ─first byte─▶ HEAD ─whole─▶ BODY ─read─▶ ANSWER ─answered─▶ IDLE
 *                      │             └─answered─▶ DISCARD ─read───▶ IDLE
 *                      ├─no body──────────────▶ ANSWER ─101─▶ UPGRADED
 *   anything ─error, close, abort, end of input─▶ END                       */
enum h1_state {
    H1_IDLE,
    H1_HEAD,
    H1_BODY,
    H1_DISCARD,
    H1_ANSWER,
    H1_UPGRADED,
    H1_END,
};

struct h1 {
    struct protocol protocol; /* first member */
    llhttp_t parser;
    struct exchange *exchange; /* the one being read or answered */
    enum h1_state state;
    bool busy; /* in feed() or run(): what changes is noticed on the way out */
    bool chunked, keep_alive, close_after, eof, message_complete;
    char last_byte;       /* of the head so far, to check line ends across pieces */
    size_t head_bytes;    /* of the head; in a chunked body: framing since the last data */
    uint64_t body_left;   /* with Content-Length */
    unsigned fail_status; /* set in the parser's callbacks */
    const char *fail_detail;
    struct str piece; /* of a chunked body, from the parser's callback */
};

extern const struct exchange_ops h1_exchange_ops;
extern const llhttp_settings_t h1_parser_settings;

/* Gives how many bytes it took; announces the request when the head is whole and good. */
size_t h1_read_head(struct h1 *h1, const char *data, size_t length);
/* What the parser says, in words for the client. */
void h1_fail_parse(struct h1 *h1, enum llhttp_errno code);

/* Answers with a problem unless an answer has begun, ends the exchange and the connection. */
void h1_fail(struct h1 *h1, unsigned status, const char *detail);
/* The problem alone. */
void h1_put_problem(struct h1 *h1, unsigned status, const char *detail);

#endif
