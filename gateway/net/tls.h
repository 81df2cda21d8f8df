/* tls: OpenSSL on non-blocking sockets. Contexts are shared by all threads and replaced while
 * connections are under way, each of which keeps those it began with; a session belongs to one
 * socket and its thread.
 *
 * TLS 1.2 and 1.3, ephemeral keys and authenticated ciphers only, no renegotiation, no compression,
 * no early data. Sessions are resumed by tickets alone, so that nothing is kept for them here; the
 * key of the tickets goes with the contexts. */
#ifndef GATEWAY_NET_TLS_H
#define GATEWAY_NET_TLS_H

#include "base/err.h"
#include "tls/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct outq;
struct tls_context;
struct tls_session;

enum tls_version { TLS_1_2, TLS_1_3 };

/* What a thread makes sessions of. NULL: no memory. */
struct tls_context *tls_context_new_server(enum tls_version minimum);
/* expected_name: what the peer's certificate must name, whatever the address is; NULL: the host of
 * the address. */
struct tls_context *tls_context_new_client(const char *expected_name);
/* No session lives any more. NULL is allowed. */
void tls_context_free(struct tls_context *context);
/* From now on new sessions use this. Any thread. A server's material has at least one pair, of
 * which the client's SNI chooses (the first when it names none); a CA makes it ask clients for a
 * certificate. A client's has a CA, and at most one pair. */
bool tls_context_use(struct tls_context *context, const struct tls_material *material,
                     struct err *err);

/* fd stays the caller's. host: a client's: the address as it was given. NULL: no memory, or nothing
 * to use yet. */
struct tls_session *tls_session_new_server(struct tls_context *context, int fd);
struct tls_session *tls_session_new_client(struct tls_context *context, int fd, const char *host);
/* NULL is allowed. */
void tls_session_free(struct tls_session *session);

enum tls_state {
    TLS_HANDSHAKE,
    TLS_PLAINTEXT, /* the client speaks HTTP without TLS: nothing has been taken from the socket */
    TLS_SECURED,
    TLS_BROKEN,
};
enum tls_state tls_state(const struct tls_session *session);
/* A client's way: until done. */
enum tls_step { TLS_STEP_DONE, TLS_STEP_READ, TLS_STEP_WRITE, TLS_STEP_FAILED };
enum tls_step tls_shake_hands(struct tls_session *session);
/* As recv(2) and send(2), with EAGAIN; tls_receive() takes the handshake forward as well. EPROTO:
 * see tls_failure(). */
ssize_t tls_receive(struct tls_session *session, void *out, size_t size);
/* What EAGAIN of tls_receive() meant, and: there is more to receive, although the socket may never
 * become readable. */
bool tls_wants_write(const struct tls_session *session);
bool tls_has_more(const struct tls_session *session);
ssize_t tls_send(struct tls_session *session, const void *data, size_t length);
/* Sends the queue's first bytes as one record; scratch has TLS_RECORD_BYTES. What it gives is to be
 * consumed. After EAGAIN those bytes are pinned: see outq.h. */
#define TLS_RECORD_BYTES ((size_t)16 * 1024)
ssize_t tls_send_queue(struct tls_session *session, struct outq *queue, char *scratch);
/* Says goodbye (close_notify), if there is room for it. */
void tls_finish(struct tls_session *session);

bool tls_is_h2(const struct tls_session *session); /* agreed on by ALPN */
bool tls_is_resumed(const struct tls_session *session);
/* Why it broke, for a log: "certificate has expired". Lives until the thread's next session. */
const char *tls_failure(const struct tls_session *session);

#endif
