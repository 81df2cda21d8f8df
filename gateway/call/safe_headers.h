/* safe_headers: what every answer tells the browser that it must not do with it. */
#ifndef GATEWAY_CALL_SAFE_HEADERS_H
#define GATEWAY_CALL_SAFE_HEADERS_H

#include "gateway/call/request.h"

/* Added last, by request_common_headers(): the type is not to be guessed, pages of other origins
 * may not load it (CORS decides about what they may ask for), nothing keeps it unless the answer
 * says so itself, and over TLS, that this host is to be reached through TLS alone (RFC 6797). */
void safe_headers_add(struct request *request, struct answer_headers *headers);

/* Beside them on a page. policy: its content security policy. */
void safe_headers_add_page(struct answer_headers *headers, const char *policy);

/* For pages of our own: everything is a file of this origin, nothing stands in a page itself. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "                  \
    "form-action 'self'; frame-ancestors 'none'"
/* For ReDoc, which makes two style elements: an empty one, whose rules it adds by script, and a
 * fixed one, both known by their hashes (of the pinned version); and its search is a worker of its
 * own making. */
#define REDOC_POLICY                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self' "                                     \
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "                                       \
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; "                                      \
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; "         \
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
/* For a directory that somebody gave (--pages): they may have styles in them, never scripts. */
#define GIVEN_POLICY                                                                               \
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "                 \
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "            \
    "frame-ancestors 'none'"

#endif
